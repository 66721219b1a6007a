//! The two places where an image's files are: a folder, or a tar that is read in place.
//!
//! Finds files by their path inside, and never one outside: no `..`, no symlink that leads out.
//! What is found stays open, so a name that is replaced later changes nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::blob::Content;
use super::wrong;
use crate::error::Failure;

/// The longest manifest, index or config that is read: registries take 4 MiB.
const DOCUMENT: u64 = 4 * 1024 * 1024;

/// Links inside a tar that are followed for one name.
const HOPS: usize = 8;

/// Where files of an image are found by path.
#[derive(Debug)]
pub(super) struct Shelf {
    /// What was typed, for messages.
    pub(super) shown: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Its canonical path.
    Folder(PathBuf),
    Tar(HashMap<String, Entry>),
}

#[derive(Debug)]
enum Entry {
    File(Content),
    Link(String),
}

impl Shelf {
    pub(super) fn folder(shown: &str, path: &Path) -> Result<Self, Failure> {
        let root = path.canonicalize().map_err(|error| wrong::unreadable(shown, &error))?;
        Ok(Self { shown: shown.into(), place: Place::Folder(root) })
    }

    /// Reads the tar's headers; `stopped` is asked at each.
    pub(super) fn tar(
        shown: &str,
        content: &Content,
        stopped: impl Fn() -> bool,
    ) -> Result<Self, Failure> {
        let entries = entries_of(content, stopped).map_err(|error| {
            wrong::invalid(format!("`{shown}` is neither an OCI layout nor a docker-archive"))
                .why(format!("it is a file, but no whole tar: {error}"))
                .next("give a folder with an OCI layout, or a file of `docker save`")
        })?;
        Ok(Self { shown: shown.into(), place: Place::Tar(entries) })
    }

    /// The file at a path inside, or `None`.
    pub(super) fn find(&self, path: &str) -> Result<Option<Content>, Failure> {
        let Some(inside) = normal(path) else {
            return Err(wrong::outside(&self.shown, path));
        };
        match &self.place {
            Place::Folder(root) => self.find_in_folder(root, &inside),
            Place::Tar(entries) => self.find_in_tar(entries, inside),
        }
    }

    fn find_in_folder(&self, root: &Path, inside: &str) -> Result<Option<Content>, Failure> {
        let place = self.place_of(inside);
        let real = match root.join(inside).canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong::unreadable(&place, &error)),
        };
        if !real.starts_with(root) {
            return Err(wrong::outside(&self.shown, inside));
        }
        // Asked before it is opened: opening a pipe would wait for somebody to write.
        if !real.is_file() {
            return Err(wrong::malformed(&place, "no file"));
        }
        File::open(&real)
            .and_then(Content::file)
            .map(Some)
            .map_err(|error| wrong::unreadable(&place, &error))
    }

    fn find_in_tar(
        &self,
        entries: &HashMap<String, Entry>,
        mut inside: String,
    ) -> Result<Option<Content>, Failure> {
        for _ in 0..HOPS {
            match entries.get(&inside) {
                None => return Ok(None),
                Some(Entry::File(content)) => return Ok(Some(content.clone())),
                Some(Entry::Link(to)) => match normal(to) {
                    Some(next) => inside = next,
                    None => return Err(wrong::outside(&self.shown, &inside)),
                },
            }
        }
        Err(wrong::malformed(&self.place_of(&inside), "a link that leads in a circle"))
    }

    /// The file at a path inside, or the failure that `wanted_by` names it in vain.
    pub(super) fn need(&self, path: &str, wanted_by: &str) -> Result<Content, Failure> {
        self.find(path)?.ok_or_else(|| wrong::missing(&self.shown, path, wanted_by))
    }

    /// The bytes of a manifest, an index or a config.
    pub(super) fn document(&self, path: &str, content: &Content) -> Result<Vec<u8>, Failure> {
        let place = self.place_of(path);
        if content.size() > DOCUMENT {
            return Err(wrong::malformed(&place, "longer than 4 MiB, which no registry takes"));
        }
        let mut bytes = Vec::new();
        let read = content.reader().read_to_end(&mut bytes);
        read.map_err(|error| wrong::unreadable(&place, &error))?;
        Ok(bytes)
    }

    /// A path inside, as messages show it.
    pub(super) fn place_of(&self, path: &str) -> String {
        match self.place {
            Place::Folder(_) => format!("{}/{path}", self.shown.trim_end_matches('/')),
            Place::Tar(_) => format!("{}: {path}", self.shown),
        }
    }
}

/// A path without `.`, or `None` where it is absolute or leads out on its way.
fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// The entries of a tar by name. Layers are skipped over, not read.
fn entries_of(content: &Content, stopped: impl Fn() -> bool) -> io::Result<HashMap<String, Entry>> {
    let Content::Stretch { file, offset: 0, size: whole } = content else {
        return Err(io::Error::other("not a whole file"));
    };
    let mut found = HashMap::new();
    // A file that was just written stands at its end.
    (&**file).rewind()?;
    let mut archive = tar::Archive::new(&**file);
    for entry in archive.entries_with_seek()? {
        if stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let Some(name) = normal(&name) else { continue };
        let kind = entry.header().entry_type();
        let made = if kind.is_file() || kind.is_contiguous() {
            let (offset, size) = (entry.raw_file_position(), entry.size());
            if offset + size > *whole {
                return Err(io::Error::other(format!("`{name}` is cut off")));
            }
            Entry::File(Content::Stretch { file: Arc::clone(file), offset, size })
        } else if kind.is_symlink() || kind.is_hard_link() {
            Entry::Link(target_of(&entry, &name)?)
        } else {
            continue;
        };
        // Of two entries of one name the last is what an unpacked tar would show.
        found.insert(name, made);
    }
    Ok(found)
}

/// What a link means: a symlink is relative to its folder, a hard link to the tar.
fn target_of<R: io::Read>(entry: &tar::Entry<'_, R>, name: &str) -> io::Result<String> {
    let to = entry.link_name()?.ok_or_else(|| io::Error::other("a link to nothing"))?;
    let to = to.to_string_lossy();
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    if entry.header().entry_type().is_hard_link() || to.starts_with('/') {
        return Ok(to.into_owned());
    }
    Ok(folder.join(to.as_ref()).to_string_lossy().into_owned())
}
