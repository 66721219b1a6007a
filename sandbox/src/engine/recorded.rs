//! What commands of `RUN` do. Nothing is run here: a few commands are known by their text, with what
//! they wrote, changed and ended with when they were recorded; busybox was what ran.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::tree::{Entry, Files};

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It writes lines and ends.
    Ends {
        /// By stream: 1 is its output, 2 its errors.
        lines: Vec<(i64, String)>,
        code: u32,
        /// Folders that it makes.
        folders: Vec<String>,
    },
    /// It writes this line and goes on until it is ended.
    Waits(String),
}

/// What this command does, with these secrets, if that is known.
pub(crate) fn behaviour(
    command: &[String],
    secrets: &BTreeMap<String, Option<Bytes>>,
) -> Option<Behaviour> {
    let text = command.join(" ");
    let words: Vec<_> = text.strip_prefix("/bin/busybox ")?.split(' ').collect();
    let ends = |lines: &[(i64, &str)], code: u32| {
        let lines = lines.iter().map(|(stream, line)| (*stream, format!("{line}\n"))).collect();
        Some(Behaviour::Ends { lines, code, folders: Vec::new() })
    };
    let token = secrets.get("token").and_then(Option::as_ref).filter(|bytes| !bytes.is_empty());
    match words.as_slice() {
        ["true"] => ends(&[], 0),
        ["mkdir", "-p", folder] => {
            let folders = vec![folder.trim_start_matches('/').to_owned()];
            Some(Behaviour::Ends { lines: Vec::new(), code: 0, folders })
        }
        ["seq", "1", last] => {
            let lines: Vec<_> = (1..=last.parse::<u32>().ok()?).map(|n| n.to_string()).collect();
            ends(&lines.iter().map(|line| (1, line.as_str())).collect::<Vec<_>>(), 0)
        }
        ["sh", "-c", ..] => match text.strip_prefix("/bin/busybox sh -c ")? {
            "echo compiling >&2; echo 'error: no such module' >&2; exit 1" => {
                ends(&[(2, "compiling"), (2, "error: no such module")], 1)
            }
            "echo one &&     echo two &&     exit 3" => ends(&[(1, "one"), (1, "two")], 3),
            "seq 1 300; exit 1" => {
                let lines: Vec<_> = (1..=300).map(|n| n.to_string()).collect();
                ends(&lines.iter().map(|line| (1, line.as_str())).collect::<Vec<_>>(), 1)
            }
            "echo waiting; sleep 600" => Some(Behaviour::Waits("waiting\n".into())),
            "test -s /run/secrets/token" => ends(&[], u32::from(token.is_none())),
            _ => None,
        },
        ["cat", "/run/secrets/token"] => match token {
            Some(value) => ends(&[(1, &String::from_utf8_lossy(value))], 0),
            None => {
                ends(&[(2, "cat: can't open '/run/secrets/token': No such file or directory")], 1)
            }
        },
        _ => None,
    }
}

/// Why a program cannot be started at all: it is not there, or it is no program.
pub(crate) fn unstarted(files: &Files, program: &str) -> Option<String> {
    match files.get(program.trim_start_matches('/')) {
        None => Some(format!("exec: {program:?}: stat {program}: no such file or directory")),
        Some(Entry::File { mode, .. }) if mode & 0o111 == 0 => {
            Some(format!("exec: {program:?}: permission denied"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_recorded_is_not_known() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(behaviour(&words("/bin/busybox rm -rf /"), &BTreeMap::new()), None);
        assert_eq!(behaviour(&words("/bin/sh -c true"), &BTreeMap::new()), None);
        let none = Behaviour::Ends { lines: vec![], code: 0, folders: vec![] };
        assert_eq!(behaviour(&words("/bin/busybox true"), &BTreeMap::new()), Some(none));
    }
}
