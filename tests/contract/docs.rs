//! Documents in step with the code: exit codes, codes, links, inputs, commands, versions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use slipway::error::{Code, Ending};
use slipway::inputs::table::{Command, Ways, find};

const FRONT: [&str; 2] = ["README.md", "README.ko.md"];
const ENDINGS: [Ending; 12] = [
    Ending::Shipped,
    Ending::Unchanged,
    Ending::Superseded,
    Ending::BadInput,
    Ending::Refused,
    Ending::NotDeployed,
    Ending::RolledBack,
    Ending::Unknown,
    Ending::Displaced,
    Ending::NotRestored,
    Ending::Cancelled,
    Ending::Bug,
];

struct Page {
    shown: String,
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(shown: &str) -> Page {
    let path = root().join(shown);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{shown}: {error}"));
    Page { shown: shown.to_owned(), path, text }
}

/// Every page of the house, in whatever folder; not what was built or is not ours.
fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && name != ".github";
            if path.is_dir() && !hidden && !matches!(name.as_str(), "target" | "dist") {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(page(path.strip_prefix(root()).unwrap().to_str().unwrap()));
            }
        }
    }
    assert!(found.len() > 90, "only {} pages were found", found.len());
    found
}

/// The fenced blocks of a page, with the word after the fence.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(word) = line.trim_start().strip_prefix("```") {
            inside = !inside;
            if inside {
                found.push((word.to_owned(), String::new()));
            }
        } else if let (true, Some((_, block))) = (inside, found.last_mut()) {
            block.push_str(line);
            block.push('\n');
        }
    }
    found
}

fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// The words in backticks of the second cell, by the number in the first.
fn exits(text: &str) -> Vec<(u8, Vec<String>)> {
    let cells = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
    });
    let words = |cell: String| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    cells.map(|(exit, cell)| (exit, words(cell))).collect()
}

#[test]
fn exit_tables_are_what_the_program_does() {
    let wanted: BTreeSet<_> = ENDINGS.iter().map(|e| (e.exit(), e.word().to_owned())).collect();
    for shown in ["README.md", "README.ko.md", "docs/codes/exit.md"] {
        let table = exits(&page(shown).text);
        let told: BTreeSet<_> = table
            .iter()
            .flat_map(|(exit, words)| words.iter().map(|w| (*exit, w.clone())))
            .collect();
        assert_eq!(told, wanted, "{shown}");
    }
}

#[test]
fn every_code_that_is_named_exists() {
    let mut broken = Vec::new();
    for page in pages() {
        for (at, _) in page.text.match_indices("SW-") {
            let rest = &page.text[at..];
            let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
            let code = rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())].trim_end_matches('-');
            let pattern = rest[code.len()..].starts_with('…') || code == "SW";
            if !pattern && Code::find(code).is_none() {
                broken.push(format!("{}: {code}", page.shown));
            }
        }
    }
    none(broken);
}

/// The targets of markdown's links, without those of other sites.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("](") {
        let rest = &text[at + 2..];
        let target = &rest[..rest.find(')').unwrap_or(0)];
        if !target.contains("://") && !target.starts_with('#') && !target.is_empty() {
            found.push(target.split('#').next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn every_link_leads_to_a_file() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in pages() {
        for target in links(&page.text) {
            followed += 1;
            if !page.path.parent().unwrap().join(&target).exists() {
                broken.push(format!("{}: {target}", page.shown));
            }
        }
    }
    assert!(followed > 30, "only {followed} links were followed");
    none(broken);
}

/// The words after `slipway`, in fenced blocks and in backticks.
fn typed(text: &str) -> Vec<String> {
    let fenced = blocks(text).into_iter().flat_map(|(_, block)| {
        let lines = block.lines().map(str::to_owned).collect::<Vec<_>>();
        lines.into_iter().filter_map(|line| {
            let line = line.trim().trim_start_matches("$ ");
            line.strip_prefix("slipway ").map(str::to_owned)
        })
    });
    let prose: String = {
        let mut outside = true;
        let lines = text.lines().filter(|line| {
            let fence = line.trim_start().starts_with("```");
            outside ^= fence;
            outside && !fence
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let quoted: Vec<_> = prose
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.strip_prefix("slipway "))
        .map(str::to_owned)
        .collect();
    fenced.chain(quoted).collect()
}

#[test]
fn every_command_that_is_shown_exists() {
    let mut broken = Vec::new();
    for page in pages() {
        for line in typed(&page.text) {
            let word = line.split_whitespace().next().unwrap_or_default();
            // `slipway 0.1.0: …` is what the program says, and `-h` is for all of it.
            let said = word.starts_with(|c: char| c.is_ascii_digit());
            let known = Command::find(word).is_some() || matches!(word, "-h" | "--version");
            if !said && !known {
                broken.push(format!("{}: slipway {line}", page.shown));
            }
        }
    }
    none(broken);
}

#[test]
fn every_flag_that_is_shown_exists() {
    let mut broken = Vec::new();
    for page in pages() {
        for line in typed(&page.text) {
            let line = line.split("&&").next().unwrap().split('#').next().unwrap();
            for word in line.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
                let name = word.split('=').next().unwrap();
                if name != "version" && !find(name).is_some_and(|input| input.has_flag()) {
                    broken.push(format!("{}: --{name}", page.shown));
                }
            }
        }
    }
    none(broken);
}

/// The `with:` of every step that is slipway's, and of fragments that name no step.
fn steps<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Mapping(mapping) => {
            let uses = mapping.get("uses").and_then(Value::as_str);
            if uses.is_none_or(|uses| uses.starts_with("slipway/") || uses == "./") {
                found.extend(mapping.get("with"));
            }
            mapping.iter().for_each(|(_, inner)| steps(inner, found));
        }
        Value::Sequence(sequence) => sequence.iter().for_each(|inner| steps(inner, found)),
        _ => {}
    }
}

#[test]
fn every_input_in_a_workflow_exists() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (_, block) in blocks(&page.text).iter().filter(|(word, _)| word == "yaml") {
            for part in block.split("\n\n").flat_map(|part| part.split("\n---\n")) {
                let value: Value = serde_yaml::from_str(part)
                    .unwrap_or_else(|error| panic!("{}: {error} in\n{part}", page.shown));
                let mut with = Vec::new();
                steps(&value, &mut with);
                let keys = with.iter().filter_map(|with| with.as_mapping()).flat_map(|m| m.keys());
                for name in keys.filter_map(Value::as_str) {
                    seen += 1;
                    if find(name).is_none() {
                        broken.push(format!("{}: `{name}`", page.shown));
                    }
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} inputs were seen");
    none(broken);
}

#[test]
fn the_shown_slipway_yml_is_one() {
    for shown in FRONT {
        let text = page(shown).text;
        let files: Vec<_> = blocks(&text)
            .into_iter()
            .filter(|(word, block)| word == "yaml" && block.starts_with("repository:"))
            .collect();
        assert_eq!(files.len(), 1, "{shown}");
        let value: Value = serde_yaml::from_str(&files[0].1).unwrap();
        for name in value.as_mapping().unwrap().keys().filter_map(Value::as_str) {
            assert!(find(name).is_some_and(|input| input.ways == Ways::All), "{shown}: {name}");
        }
    }
}

#[test]
fn both_front_pages_show_the_same_code() {
    let without_remarks = |shown: &str| {
        let blocks =
            blocks(&page(shown).text).into_iter().filter(|(_, b)| !b.starts_with("error["));
        let bare = |block: String| {
            let lines = block.lines().map(|line| line.split(" #").next().unwrap().trim_end());
            let lines = lines.filter(|line| !line.starts_with('#'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        blocks.map(|(_, block)| bare(block)).collect::<Vec<_>>()
    };
    assert_eq!(without_remarks(FRONT[0]), without_remarks(FRONT[1]));
}

#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    for shown in FRONT {
        assert!(
            page(shown).text.contains(&format!(" {version}")),
            "{shown} is not about {version}"
        );
    }
    let changes = page("CHANGELOG.md").text;
    let told = changes.contains("## Unreleased") || changes.contains(&format!("## {version}"));
    assert!(told, "CHANGELOG.md does not know {version}");
    let toolchain = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(toolchain.contains(&format!("channel = \"{rust}")), "rust-version is {rust}");
}

#[test]
fn the_two_first_commands_are_there() {
    for shown in FRONT {
        let text = page(shown).text;
        assert!(text.contains("cargo run -- demo") && text.contains("bash .ci/check"), "{shown}");
    }
    assert!(root().join(".ci/check").is_file());
    assert!(Command::find("demo").is_some());
}

#[test]
fn both_licences_are_there_whole() {
    let mit = std::fs::read_to_string(root().join("LICENSE-MIT")).unwrap();
    let apache = std::fs::read_to_string(root().join("LICENSE-APACHE")).unwrap();
    assert!(
        mit.contains("Permission is hereby granted") && mit.contains("THE SOFTWARE IS PROVIDED")
    );
    assert!(apache.contains("Version 2.0, January 2004") && apache.contains("END OF TERMS"));
    assert_eq!(env!("CARGO_PKG_LICENSE"), "MIT OR Apache-2.0");
}
