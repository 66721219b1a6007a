//! What a target copies out of the context: BuildKit asks for that and for nothing else.

use super::lines::{Instruction, is_list, split, words};
use super::reach::Wish;
use super::{Dockerfile, words_of};

impl Dockerfile {
    /// The paths that are copied on the way to a target, as they would be followed in the context; `None` where
    /// all of it may be.
    #[must_use]
    pub fn copied(&self, wish: Wish<'_>) -> Option<Vec<String>> {
        if self.foreign(wish.args).is_some() {
            return None;
        }
        let mut paths = Vec::new();
        for step in self.steps_to(wish).ok()? {
            match step.word.as_str() {
                "COPY" | "ADD" if step.flags.iter().any(|flag| flag.starts_with("--from=")) => {}
                "COPY" | "ADD" => paths.extend(sources(&step)?),
                // A mount without a source of its own is the whole context.
                "RUN" if step.flags.iter().any(|flag| mounts_context(flag)) => return None,
                _ => {}
            }
        }
        paths.sort();
        paths.dedup();
        Some(paths)
    }
}

fn mounts_context(flag: &str) -> bool {
    let Some(mount) = flag.strip_prefix("--mount=") else { return false };
    let is = |name: &str| mount.split(',').any(|field| field.trim().starts_with(name));
    // Without a type it is a bind mount.
    (is("type=bind") || !is("type=")) && !is("from=")
}

/// The paths in the context that an instruction's text names, as they are written.
pub(in crate::recipe) fn copied_by(instruction: &str) -> Vec<String> {
    let step = split(instruction, 0, '\\');
    if step.flags.iter().any(|flag| flag.starts_with("--from=")) {
        return Vec::new();
    }
    match step.word.as_str() {
        "COPY" | "ADD" => {
            let mut words = words_of(&step.rest);
            words.pop();
            words
        }
        _ => step
            .flags
            .iter()
            .filter(|flag| mounts_context(flag))
            .filter_map(|flag| source(flag))
            .collect(),
    }
}

/// What a mount takes of where it takes from.
fn source(flag: &str) -> Option<String> {
    let mut fields = flag.strip_prefix("--mount=")?.split(',').map(str::trim);
    fields
        .find_map(|field| field.strip_prefix("source=").or(field.strip_prefix("src=")))
        .map(str::to_owned)
}

/// The sources of one instruction in the context; `None` where they are all of it, or cannot be told from here.
fn sources(step: &Instruction) -> Option<Vec<String>> {
    let list: Vec<String> = if is_list(&step.rest) {
        serde_json::from_str(&step.rest).ok()?
    } else {
        words(&step.rest)
    };
    let (_, sources) = list.split_last()?;
    let mut paths = Vec::new();
    for source in sources {
        if source.contains('$') {
            return None;
        }
        let elsewhere =
            source.contains("://") || source.starts_with("git@") || source.starts_with("<<");
        if elsewhere {
            continue;
        }
        let path = super::super::ignore::clean(source);
        let path = path.trim_start_matches('/');
        if path.is_empty() || path == "." {
            return None;
        }
        paths.push(path.to_owned());
    }
    Some(paths)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn copied(text: &str) -> Option<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Dockerfile");
        std::fs::write(&path, text).unwrap();
        let (args, native) = (BTreeMap::new(), "linux/amd64".parse().unwrap());
        let wish = Wish { target: None, args: &args, native: &native, wanted: &native };
        Dockerfile::read(&path).unwrap().copied(wish)
    }

    fn made_for(text: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Dockerfile");
        std::fs::write(&path, text).unwrap();
        let (args, native) = (BTreeMap::new(), "linux/amd64".parse().unwrap());
        let wanted = "linux/arm64".parse().unwrap();
        let wish = Wish { target: None, args: &args, native: &native, wanted: &wanted };
        let (line, platform) = Dockerfile::read(&path).unwrap().made_for(wish)?;
        Some(format!("{line} {platform}"))
    }

    #[test]
    fn the_last_stage_may_say_itself_what_it_is_for() {
        let compiles = "FROM --platform=$BUILDPLATFORM a AS b\nFROM scratch\nCOPY --from=b /x /\n";
        assert_eq!(made_for(compiles), None);
        assert_eq!(made_for("FROM a\n"), None);
        assert_eq!(made_for("FROM --platform=$TARGETPLATFORM a\n").unwrap(), "1 linux/arm64");
        assert_eq!(made_for("FROM --platform=linux/amd64 a\n").unwrap(), "1 linux/amd64");
        let through = "FROM --platform=$BUILDPLATFORM a AS b\nRUN x\nFROM b\n";
        assert_eq!(made_for(through).unwrap(), "1 linux/amd64");
    }

    #[test]
    fn only_what_is_copied_leaves() {
        let two = "FROM a AS one\nCOPY src/ /src\nFROM b AS unused\nCOPY secret /\nFROM scratch\nCOPY --from=one /x /\nCOPY [\"a b\", \"*.json\", \"/\"]\nADD https://example.com/x /x\n";
        assert_eq!(copied(two).unwrap(), ["*.json", "a b", "src"]);
        assert_eq!(copied("FROM scratch\nCOPY . /\n"), None);
        assert_eq!(copied("FROM scratch\nCOPY ./ /\n"), None);
        assert_eq!(copied("FROM scratch\nARG x\nCOPY $x /\n"), None);
        assert_eq!(copied("FROM a\nRUN --mount=target=/src ls\n"), None);
        assert_eq!(copied("FROM a\nRUN --mount=type=cache,target=/c ls\n"), Some(Vec::new()));
        assert_eq!(copied("FROM a\nRUN --mount=type=bind,from=b,target=/c ls\n"), Some(Vec::new()));
        assert_eq!(copied("# syntax=me/mine\nFROM a\n"), None);
    }
}
