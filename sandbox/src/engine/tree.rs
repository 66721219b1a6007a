//! Files: of a context, of a stage, of a layer; how they are found, copied and packed.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Folder { mode: u32, time: i64 },
    File { mode: u32, time: i64, bytes: Bytes },
    Link { to: String },
}

/// Paths without a slash before or after them.
pub(crate) type Files = BTreeMap<String, Entry>;

/// What these paths come to below the root, from where they stand.
pub(crate) fn absolute(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The paths that a word of `COPY` names.
pub(crate) fn matching(files: &Files, word: &str) -> Vec<String> {
    let word = absolute("", word);
    if word.is_empty() {
        return vec![String::new()];
    }
    let matches = |path: &&String| {
        let (pattern, path): (Vec<_>, Vec<_>) =
            (word.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len() && pattern.iter().zip(&path).all(|(p, w)| is_like(p, w))
    };
    files.keys().filter(matches).cloned().collect()
}

fn is_like(pattern: &str, word: &str) -> bool {
    match pattern.chars().next() {
        None => word.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            word.char_indices()
                .map(|(at, _)| at)
                .chain([word.len()])
                .any(|at| is_like(rest, &word[at..]))
        }
        Some(first) => word.chars().next().is_some_and(|letter| {
            (first == '?' || first == letter)
                && is_like(&pattern[first.len_utf8()..], &word[letter.len_utf8()..])
        }),
    }
}

/// What has to be added to `root` so that `source` is at `to`.
pub(crate) fn copied(from: &Files, source: &str, root: &Files, to: &str, into: bool) -> Files {
    let mut changes = Files::new();
    let is_folder = |entry: Option<&Entry>| matches!(entry, Some(Entry::Folder { .. }));
    let bare = absolute("", to);
    let mut put = |path: String, entry: &Entry| _ = changes.insert(path, entry.clone());
    if source.is_empty() || is_folder(from.get(source)) {
        let prefix = if source.is_empty() { String::new() } else { format!("{source}/") };
        for (path, entry) in from {
            if let Some(rest) = path.strip_prefix(&prefix) {
                put(absolute(&bare, rest), entry);
            }
        }
    } else if let Some(entry) = from.get(source) {
        let name = source.rsplit('/').next().unwrap_or_default();
        let into = into || is_folder(root.get(&bare)) || bare.is_empty();
        put(if into { absolute(&bare, name) } else { bare.clone() }, entry);
    }
    changes
}

/// The folders above these changes that are not there yet.
pub(crate) fn with_parents(changes: Files, root: &Files, time: i64) -> Files {
    let mut whole = changes.clone();
    for path in changes.keys() {
        let mut above = path.as_str();
        while let Some((parent, _)) = above.rsplit_once('/') {
            if !root.contains_key(parent) && !whole.contains_key(parent) {
                whole.insert(parent.to_owned(), Entry::Folder { mode: 0o755, time });
            }
            above = parent;
        }
    }
    whole
}

/// The digest of files, without their times: what a builder's cache goes by.
pub(crate) fn content(files: &Files) -> String {
    let mut hash = Sha256::new();
    for (path, entry) in files {
        hash.update(path.as_bytes());
        match entry {
            Entry::Folder { mode, .. } => hash.update(format!("\0d{mode:o}\0")),
            Entry::Link { to } => hash.update(format!("\0l{to}\0")),
            Entry::File { mode, bytes, .. } => {
                hash.update(format!("\0f{mode:o} {}\0", bytes.len()));
                hash.update(bytes);
            }
        }
    }
    hex::encode(hash.finalize())
}

/// A layer of these files.
pub(crate) fn packed(files: &Files) -> Bytes {
    let mut archive = Builder::new(Vec::new());
    for (path, entry) in files {
        let mut header = Header::new_ustar();
        let put = |header: &mut Header, kind, mode, time: i64, size| {
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_mtime(u64::try_from(time).unwrap_or_default());
            header.set_size(size);
            header.set_uid(0);
            header.set_gid(0);
        };
        // Into memory: only a path that no header can hold fails, and that is then not in the layer.
        _ = match entry {
            Entry::Folder { mode, time } => {
                put(&mut header, EntryType::Directory, *mode, *time, 0);
                archive.append_data(&mut header, format!("{path}/"), &b""[..])
            }
            Entry::Link { to } => {
                put(&mut header, EntryType::Symlink, 0o777, 0, 0);
                archive.append_link(&mut header, path, to)
            }
            Entry::File { mode, time, bytes } => {
                put(&mut header, EntryType::Regular, *mode, *time, bytes.len() as u64);
                archive.append_data(&mut header, path, &bytes[..])
            }
        };
    }
    archive.into_inner().unwrap_or_default().into()
}

/// The files of an archive; `None` if it is none.
pub(crate) fn unpacked(archive: &[u8]) -> Option<Files> {
    use std::io::Read as _;
    let mut files = Files::new();
    for entry in tar::Archive::new(archive).entries().ok()? {
        let mut entry = entry.ok()?;
        let path = absolute("", &entry.path().ok()?.to_string_lossy());
        let (mode, time) = (entry.header().mode().ok()? & 0o777, entry.header().mtime().ok()?);
        let time = i64::try_from(time).unwrap_or_default();
        let kind = entry.header().entry_type();
        if path.is_empty() {
            continue;
        }
        let found = if kind.is_dir() {
            Entry::Folder { mode, time }
        } else if kind.is_symlink() {
            let to = entry.link_name().ok()??.to_string_lossy().into_owned();
            Entry::Link { to }
        } else {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).ok()?;
            Entry::File { mode, time, bytes: bytes.into() }
        };
        files.insert(path, found);
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Files {
        let file = |bytes: &'static str| Entry::File { mode: 0o644, time: 0, bytes: bytes.into() };
        paths.iter().map(|&path| (path.to_owned(), file("x"))).collect()
    }

    #[test]
    fn words_name_paths() {
        let all = files(&["a.txt", "b.md", "dir/c.txt"]);
        assert_eq!(matching(&all, "*.txt"), ["a.txt"]);
        assert_eq!(matching(&all, "./dir/?.txt"), ["dir/c.txt"]);
        assert_eq!(matching(&all, "none"), Vec::<String>::new());
    }

    #[test]
    fn a_layer_has_the_folders_above_it_and_comes_back() {
        let copy = copied(&files(&["page"]), "page", &Files::new(), "/www/index.html", false);
        let layer = with_parents(copy, &Files::new(), 7);
        assert_eq!(layer.keys().collect::<Vec<_>>(), ["www", "www/index.html"]);
        assert_eq!(unpacked(&packed(&layer)).unwrap(), layer);
    }
}
