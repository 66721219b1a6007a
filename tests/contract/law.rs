//! The house's law, as far as a reader of text can see it; clippy checks the length of functions,
//! prints, `todo!` and `dbg!`.

use std::path::{Path, PathBuf};

use super::rooms::{files, is_test, product};

const MOST_LINES: usize = 500;
const NO_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

struct File {
    shown: String,
    path: PathBuf,
    text: String,
}

fn all() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "sandbox/src", "sandbox/tests", "sandbox/examples", "tests"];
    let paths: Vec<_> = folders.iter().flat_map(|folder| files(&root.join(folder))).collect();
    assert!(paths.len() > 150, "only {} files were found", paths.len());
    let read = |path: PathBuf| File {
        shown: path.strip_prefix(root).unwrap().display().to_string(),
        text: std::fs::read_to_string(&path).unwrap(),
        path,
    };
    paths.into_iter().map(read).collect()
}

/// Fails with every place that breaks a law.
fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn a_file_has_at_most_500_lines() {
    let long = all().into_iter().map(|file| (file.text.lines().count(), file.shown));
    let long = long.filter(|(lines, _)| *lines > MOST_LINES);
    none(long.map(|(lines, shown)| format!("{shown}: {lines} lines")).collect());
}

#[test]
fn a_file_opens_with_what_it_does() {
    let silent = all().into_iter().filter(|file| !file.text.starts_with("//! "));
    none(silent.map(|file| file.shown).collect());
}

#[test]
fn product_code_does_not_panic_for_want_of_a_value() {
    let mut broken = Vec::new();
    for file in all().into_iter().filter(|file| file.shown.starts_with("src/")) {
        if is_test(&file.path) {
            continue;
        }
        let calls = [".unwrap()", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
        let text = product(&file.text);
        let lines = text.lines().filter(|line| calls.iter().any(|call| line.contains(call)));
        broken.extend(lines.map(|line| format!("{}: {}", file.shown, line.trim())));
    }
    none(broken);
}

#[test]
fn product_code_does_not_know_that_it_is_tested() {
    let mut broken = Vec::new();
    for file in all().into_iter().filter(|file| !is_test(&file.path)) {
        let lines: Vec<_> = file.text.lines().collect();
        for pair in lines.windows(2) {
            let attribute = pair[0].trim_start().starts_with("#[cfg(test)]");
            if attribute && !pair[1].contains("mod ") {
                broken.push(format!("{}: {}", file.shown, pair[1].trim()));
            }
        }
        if product(&file.text).contains("cfg!(test)") {
            broken.push(format!("{}: cfg!(test)", file.shown));
        }
    }
    none(broken);
}

#[test]
fn what_is_left_to_do_has_an_issue() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut broken = Vec::new();
    for file in all() {
        let lines = file.text.lines().filter(|line| line.trim_start().starts_with("//"));
        let left = lines.filter(|line| words.iter().any(|word| line.contains(word)));
        let unnumbered = left.filter(|line| !line.contains("(#"));
        broken.extend(unnumbered.map(|line| format!("{}: {}", file.shown, line.trim())));
    }
    none(broken);
}

#[test]
fn nothing_is_called_by_an_empty_word() {
    let mut broken = Vec::new();
    for file in all() {
        let mut words: Vec<String> = Vec::new();
        words.extend(file.shown.trim_end_matches(".rs").split('/').map(str::to_owned));
        for line in file.text.lines() {
            for keyword in ["fn ", "mod ", "struct ", "enum "] {
                let Some((_, rest)) = line.split_once(keyword) else { continue };
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                words.extend(name.unwrap_or_default().to_lowercase().split('_').map(str::to_owned));
            }
        }
        let empty = words.into_iter().filter(|word| NO_NAMES.contains(&word.as_str()));
        broken.extend(empty.map(|word| format!("{}: {word}", file.shown)));
    }
    none(broken);
}

#[test]
fn a_test_is_called_by_the_fact_it_shows() {
    let mut broken = Vec::new();
    for file in all() {
        let mut lines = file.text.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            if !line.starts_with("#[test]") && !line.starts_with("#[tokio::test") {
                continue;
            }
            let Some(function) = lines.find(|line| line.contains("fn ")) else { break };
            let name = function.split_once("fn ").map_or("", |(_, rest)| rest);
            if name.starts_with("test_") || !name.split('(').next().unwrap().contains('_') {
                broken.push(format!("{}: {name}", file.shown));
            }
        }
    }
    none(broken);
}
