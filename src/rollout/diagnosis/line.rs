//! Picks the line of a log that says most: the last one, unless that is only the tail of a stack
//! trace.

use super::super::Logs;

/// The most telling line, without what is around it.
pub(super) fn telling(logs: &Logs) -> Option<&str> {
    let lines: Vec<_> = logs.lines.iter().map(String::as_str).collect();
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.trim().is_empty()).collect();
    // Go prints the panic before the stacks of all goroutines, Rust before a note.
    let panic = lines
        .iter()
        .rev()
        .find(|line| line.starts_with("panic: ") || line.starts_with("fatal error: "));
    if let Some(panic) = panic {
        return Some(panic.trim());
    }
    let told = lines.iter().rev().find(|line| !is_tail(line));
    told.or(lines.last()).map(|line| line.trim())
}

/// A frame of a stack, or what a runtime adds after it.
fn is_tail(line: &str) -> bool {
    let text = line.trim_start();
    let indented = text.len() < line.len();
    let frame = indented && (text.starts_with("at ") || text.starts_with("... "));
    let added = ["note: run with", "Node.js v", "exit status ", "goroutine "];
    frame || added.iter().any(|begin| text.starts_with(begin)) || matches!(text, "}" | "]" | ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        let lines = text.lines().map(Into::into).collect();
        let logs = Logs { pod: "p".into(), container: "c".into(), previous: true, lines };
        telling(&logs).map(Into::into)
    }

    #[test]
    fn the_last_line_is_the_most_telling_one() {
        assert_eq!(of("starting\nDB_HOST is not set\n\n"), Some("DB_HOST is not set".into()));
        assert_eq!(of("\n\n"), None);
    }

    #[test]
    fn an_exception_is_more_telling_than_its_frames() {
        let java = "Exception in thread \"main\" java.lang.IllegalStateException: start\n\
                    \tat App.main(App.java:3)\n\
                    Caused by: java.net.UnknownHostException: db\n\
                    \tat Db.open(Db.java:9)\n\t... 3 more";
        assert_eq!(of(java), Some("Caused by: java.net.UnknownHostException: db".into()));
        let node =
            "Error: Cannot find module 'express'\n    at Module._load (x.js:1)\n\nNode.js v22.1.0";
        assert_eq!(of(node), Some("Error: Cannot find module 'express'".into()));
        let python = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nKeyError: 'DB'";
        assert_eq!(of(python), Some("KeyError: 'DB'".into()));
    }

    #[test]
    fn a_panic_is_more_telling_than_the_goroutines() {
        let go = "panic: no database\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:12 +0x1d\nexit status 2";
        assert_eq!(of(go), Some("panic: no database".into()));
    }
}
