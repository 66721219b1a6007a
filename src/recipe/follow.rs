//! What paths lead to when the symbolic links on the way are followed, within a tree.
//!
//! A link that leads out of the root is taken as it would be in an image: from the root.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use super::ignore::{Shape, clean};
use super::tree::Tree;
use super::wrong;
use crate::error::Failure;

/// Patterns for the paths and for all that links on the way lead to; `None` if that is everything.
pub(super) fn links(tree: &Tree, paths: &[String]) -> Result<Option<Vec<String>>, Failure> {
    let mut found = BTreeSet::new();
    let mut left: Vec<String> = paths.iter().rev().cloned().collect();
    while let Some(path) = left.pop() {
        let led = one(tree, &path, &mut found)?;
        left.extend(led.into_iter().rev());
    }
    Ok(without_those_below(found.into_iter().collect()))
}

/// Follows one path up to the first link, and gives where that leads, with the rest of the path.
fn one(tree: &Tree, path: &str, found: &mut BTreeSet<String>) -> Result<Vec<String>, Failure> {
    // From the root whether it says so or not; `..` does not lead out.
    let path = clean(&format!("/{path}"));
    let mut rest = path.trim_start_matches('/');
    if rest.is_empty() {
        found.insert(".".into());
    }
    let mut here = String::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('/').unwrap_or((rest, ""));
        rest = after;
        let folder = here.clone();
        here = if here.is_empty() { name.to_owned() } else { format!("{here}/{name}") };
        let targets = targets(tree, &folder, name)?;
        if (rest.is_empty() || !targets.is_empty()) && !found.insert(here.clone()) {
            return Ok(Vec::new());
        }
        if !targets.is_empty() {
            return Ok(targets.into_iter().map(|target| format!("{target}/{rest}")).collect());
        }
    }
    Ok(Vec::new())
}

/// Where a name leads, or where each link leads that a pattern of names matches.
fn targets(tree: &Tree, folder: &str, name: &str) -> Result<Vec<String>, Failure> {
    let join = |name: &str| match folder.is_empty() {
        true => name.to_owned(),
        false => format!("{folder}/{name}"),
    };
    if !wild(name) {
        return Ok(target(tree, folder, &join(name))?.into_iter().collect());
    }
    // A pattern that cannot be read matches nothing here, and is refused as a pattern of files.
    let Ok(shape) = Shape::name(name) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    match fs::read_dir(tree.path(folder)) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(|error| wrong::unreadable(folder, &error))?;
                names.extend(entry.file_name().to_str().map(str::to_owned));
            }
        }
        Err(error) if missing(error.kind()) => {}
        Err(error) => return Err(wrong::unreadable(folder, &error)),
    }
    names.sort();
    let mut found = Vec::new();
    for name in names.iter().filter(|name| shape.matches(name)) {
        found.extend(target(tree, folder, &join(name))?);
    }
    Ok(found)
}

/// Where a path leads, if it is a link.
fn target(tree: &Tree, folder: &str, path: &str) -> Result<Option<String>, Failure> {
    let place = tree.path(path);
    match fs::symlink_metadata(&place) {
        Ok(found) if found.is_symlink() => {}
        Ok(_) => return Ok(None),
        Err(error) if missing(error.kind()) => return Ok(None),
        Err(error) => return Err(wrong::unreadable(path, &error)),
    }
    let to = fs::read_link(&place).map_err(|error| wrong::unreadable(path, &error))?;
    let to = to.to_str().ok_or_else(|| wrong::no_utf8_link(path))?;
    let from = if to.starts_with('/') { String::new() } else { format!("/{folder}") };
    Ok(Some(clean(&format!("{from}/{to}"))))
}

fn missing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether a name is a pattern of names.
pub(super) fn wild(name: &str) -> bool {
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// Leaves out what is below a path before it; `None` if the root is among them.
pub(super) fn without_those_below(paths: Vec<String>) -> Option<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    for path in paths {
        if path == "." {
            return None;
        }
        let below =
            |last: &String| path.strip_prefix(last.as_str()).is_some_and(|r| r.starts_with('/'));
        if !kept.last().is_some_and(below) {
            kept.push(path);
        }
    }
    Some(kept)
}
