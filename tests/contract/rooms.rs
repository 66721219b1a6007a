//! The arrows between rooms, read from the code: they point down, and within a floor to the left.
//! A room is a file or folder of `src`; tests inside it are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the ground up. Within a floor a room may lean on those before it only where the floor is in
/// order; rooms of the outside know nothing of each other.
const FLOORS: &[(Within, &[&str])] = &[
    (Within::Nothing, &["error", "names"]),
    (Within::Nothing, &["http"]),
    (
        Within::Nothing,
        &["aws", "recipe", "docker", "github", "image", "rollout", "cluster", "registry"],
    ),
    (
        Within::Order,
        &["cancel", "checkout", "record", "restore", "guard", "inputs", "report", "explain"],
    ),
    (
        Within::Order,
        &[
            "survey", "plan", "build", "publish", "clear", "deploy", "watch", "settle", "rollback",
            "ending",
        ],
    ),
    (Within::Order, &["pipeline", "history", "index"]),
    (Within::Order, &["cli", "main"]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Order,
}

/// Arrows within the outside, each with its reason.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    ("docker", "recipe", "it sends the files that a recipe picks"),
    ("cluster", "rollout", "it feeds the judge, in the judge's words"),
    ("registry", "image", "it pushes an image's blobs and reads manifests as they do"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Whether a file holds nothing but tests: by its name, or by the attribute where it is declared.
pub fn is_test(path: &Path) -> bool {
    if path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
    {
        return true;
    }
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else { return false };
    let declared = [folder.join("mod.rs"), folder.with_extension("rs"), folder.join("lib.rs")];
    declared.iter().filter_map(|file| std::fs::read_to_string(file).ok()).any(|text| {
        let lines: Vec<_> = text.lines().collect();
        let module = format!("mod {};", stem.to_string_lossy());
        lines.windows(2).any(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with(&module))
    })
}

/// A file without its comments and without the tests at its end.
pub fn product(text: &str) -> String {
    let inline = |line: &str| line.contains("mod tests") && line.ends_with('{');
    let ends =
        text.match_indices("#[cfg(test)]\n").map(|(at, attribute)| (at, at + attribute.len()));
    let mut tests = ends.filter(|(_, next)| text[*next..].lines().next().is_some_and(inline));
    let end = tests.next().map_or(text.len(), |(at, _)| at);
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The first names of a list such as `{guard, plan::{self, Run}}`.
fn listed(text: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut expected = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (letter == '{' || letter == ',') {
            expected = true;
        } else if expected && letter.is_ascii_alphabetic() {
            names.push(identifier(&text[at..]).to_owned());
            expected = false;
        }
    }
    names
}

/// The rooms that a file names: by `crate::`, or by as many `super::` as lead to the top.
fn named(text: &str, depth: usize) -> BTreeSet<String> {
    let climb = "super::".repeat(depth);
    let mut rooms = BTreeSet::new();
    for way in ["crate::", climb.as_str()] {
        for (at, _) in text.match_indices(way) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &text[at + way.len()..];
            match rest.starts_with('{') {
                true => rooms.extend(listed(rest)),
                false => {
                    rooms.insert(identifier(rest).to_owned());
                }
            }
        }
    }
    rooms.retain(|room| !room.is_empty() && room != "super" && room != "self");
    rooms
}

/// Which room leans on which, and the file that says so.
fn arrows() -> BTreeMap<(String, String), String> {
    let src = root().join("src");
    let mut found = BTreeMap::new();
    for path in files(&src).iter().filter(|path| !is_test(path) && !path.ends_with("lib.rs")) {
        let shown = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let room = shown.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let folders = shown.matches('/').count();
        let depth = if shown.ends_with("/mod.rs") { folders } else { folders + 1 };
        let mut text = product(&std::fs::read_to_string(path).unwrap());
        if room == "main" {
            text = text.replace("use slipway::", "use crate::");
        }
        for other in named(&text, depth).into_iter().filter(|other| *other != room) {
            found.entry((room.clone(), other)).or_insert(shown.clone());
        }
    }
    found
}

fn place(room: &str) -> (usize, usize) {
    let at = FLOORS.iter().enumerate().find_map(|(floor, (_, rooms))| {
        rooms.iter().position(|known| *known == room).map(|seat| (floor, seat))
    });
    at.unwrap_or_else(|| panic!("`{room}` stands on no floor: tests/contract/rooms.rs"))
}

fn may(from: &str, to: &str) -> bool {
    let ((floor, seat), (below, left)) = (place(from), place(to));
    let sideways = SIDEWAYS.iter().any(|(a, b, _)| (*a, *b) == (from, to));
    below < floor || sideways || (below == floor && left < seat && FLOORS[floor].0 == Within::Order)
}

#[test]
fn every_arrow_points_down() {
    let arrows = arrows();
    assert!(arrows.len() > 100, "only {} arrows were read", arrows.len());
    let wrong: Vec<_> = arrows
        .iter()
        .filter(|((from, to), _)| !may(from, to))
        .map(|((from, to), file)| format!("{from} -> {to} in src/{file}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_exception_outlives_its_arrow() {
    let arrows = arrows();
    for (from, to, reason) in SIDEWAYS {
        let there = arrows.contains_key(&((*from).to_owned(), (*to).to_owned()));
        assert!(there, "{from} -> {to} ({reason}) is not in the code any more");
    }
}

#[test]
fn every_room_stands_on_a_floor_and_in_the_map() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rooms = library.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let rooms: BTreeSet<_> = rooms.map(|line| line.trim_end_matches(';')).collect();
    for room in &rooms {
        let _ = place(room);
        assert!(map.contains(&format!("`{room}`")), "ARCHITECTURE.md does not name `{room}`");
    }
    let known = FLOORS.iter().flat_map(|(_, rooms)| rooms.iter()).filter(|room| **room != "main");
    let gone: Vec<_> = known.filter(|room| !rooms.contains(**room)).collect();
    assert!(gone.is_empty(), "no such rooms: {gone:?}");
    assert!(map.lines().count() <= 150, "the map is to be read in one go");
}

#[test]
fn product_and_sandbox_share_no_code() {
    let src = root().join("src");
    for path in files(&src).iter().filter(|path| !is_test(path)) {
        let text = product(&std::fs::read_to_string(path).unwrap());
        let demo = path.starts_with(src.join("cli/demo")) || path.ends_with("cli/demo.rs");
        assert!(demo || !text.contains("slipway_sandbox"), "{}", path.display());
    }
    let manifest = std::fs::read_to_string(root().join("sandbox/Cargo.toml")).unwrap();
    let leans = manifest.lines().any(|line| line.starts_with("slipway "));
    assert!(!leans, "the sandbox leans on the product");
}

#[test]
fn the_reader_of_arrows_sees_each_way_to_name_a_room() {
    let text = "use crate::{guard, plan::{self, Run}};\nfn a() { super::super::http::get(); my_crate::aws(); }\nuse super::rows;";
    let seen: Vec<_> = named(text, 2).into_iter().collect();
    assert_eq!(seen, ["guard", "http", "plan"]);
}
