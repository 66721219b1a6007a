//! The files of a build context, in the order that a builder wants them.
//!
//! Leads through folders; `pick` says which files are meant, `wrong` what is said of one that cannot
//! be read. Opens no file by itself.

use std::ffi::OsString;
use std::fs::{self, DirEntry, File, FileType};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::ignore::Matched;
use super::pick::{Asked, Pick};
use super::wrong;
use crate::error::Failure;

/// A folder as a builder sees it.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
}

/// One file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the root, with slashes, without one at either end.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// The permission bits, with those for setuid, setgid and sticky.
    pub mode: u32,
    /// Bytes of a file; 0 for all else.
    pub size: u64,
    /// When it was changed, in nanoseconds since 1970.
    pub modified: i64,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with bytes in it.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, and what it says.
    Link(String),
    /// A pipe, which an image can have; sockets and devices are left out.
    Pipe,
}

impl Tree {
    /// The tree below a folder.
    ///
    /// # Errors
    /// It is no folder, or cannot be read.
    pub fn open(root: &Path) -> Result<Self, Failure> {
        match fs::metadata(root) {
            Ok(found) if found.is_dir() => Ok(Self { root: root.to_owned() }),
            Ok(_) => Err(wrong::no_folder(root)),
            Err(error) => Err(wrong::no_context(root, &error)),
        }
    }

    /// Where an entry is on this machine.
    #[must_use]
    pub fn path(&self, entry: &str) -> PathBuf {
        self.root.join(entry)
    }

    /// A file's path from the root, if it is below it once links are followed.
    #[must_use]
    pub fn inside(&self, file: &Path) -> Option<String> {
        let (root, file) = (self.root.canonicalize().ok()?, file.canonicalize().ok()?);
        file.strip_prefix(root).ok()?.to_str().map(str::to_owned)
    }

    /// Opens a file that `walk` handed out; one that became a link or a pipe since is not opened.
    ///
    /// # Errors
    /// It cannot be read, by its name.
    pub fn bytes(&self, entry: &str) -> Result<File, Failure> {
        let path = self.path(entry);
        let opened = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => File::open(&path),
            Ok(_) => Err(io::Error::other("it is no file any more")),
            Err(error) => Err(error),
        };
        opened.map_err(|error| wrong::unreadable(entry, &error))
    }

    /// Hands out every picked file in a builder's order: a folder before what is in it, names by
    /// their bytes. A folder that is not picked comes before the first file of it that is. Ends when
    /// `each` says false.
    ///
    /// # Errors
    /// A folder or file that cannot be read, by its name; a name that is no UTF-8; a pattern that
    /// cannot be used.
    pub fn walk(&self, pick: &Pick, each: &mut dyn FnMut(Entry) -> bool) -> Result<(), Failure> {
        let asked = pick.asked(self)?;
        let mut walk =
            Walk { tree: self, asked: &asked, each, path: String::new(), levels: vec![] };
        let root = walk.level(None, Matched::default(), Matched::default(), true)?;
        walk.levels.extend(root);
        walk.go()
    }
}

/// A walk on its way.
struct Walk<'a> {
    tree: &'a Tree,
    asked: &'a Asked,
    each: &'a mut dyn FnMut(Entry) -> bool,
    /// The path of the entry that is looked at.
    path: String,
    levels: Vec<Level>,
}

/// A folder that is being read.
struct Level {
    /// What is left of it, the next at the end.
    left: Vec<(OsString, DirEntry)>,
    /// How long its own path is.
    length: usize,
    /// Its own entry as long as it was not handed out.
    held: Option<DirEntry>,
    included: Matched,
    excluded: Matched,
}

impl Walk<'_> {
    fn go(mut self) -> Result<(), Failure> {
        while let Some(level) = self.levels.last_mut() {
            self.path.truncate(level.length);
            let Some((name, entry)) = level.left.pop() else {
                self.levels.pop();
                continue;
            };
            if !self.path.is_empty() {
                self.path.push('/');
            }
            self.path.push_str(&name.to_string_lossy());
            if !self.one(entry)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks at one entry; false if no more is wanted.
    fn one(&mut self, entry: DirEntry) -> Result<bool, Failure> {
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => return gone(error).map(|()| true).or_else(|e| self.lost(&e)),
        };
        if kind.is_dir() {
            return self.folder(entry);
        }
        if !(kind.is_file() || kind.is_symlink() || kind.is_fifo()) {
            return Ok(true);
        }
        let level = self.levels.last();
        if !self.asked.takes(&self.path, level.map(|level| (&level.included, &level.excluded))) {
            return Ok(true);
        }
        self.hand_out_held()
            .and_then(|wanted| if wanted { self.hand_out(&entry, kind) } else { Ok(false) })
    }

    fn folder(&mut self, entry: DirEntry) -> Result<bool, Failure> {
        let level = self.levels.last();
        let above = level.map(|level| (&level.included, &level.excluded));
        let Some(told) = self.asked.folder(&self.path, above) else { return Ok(true) };
        let mut held = Some(entry);
        if told.taken {
            if !self.hand_out_held()? {
                return Ok(false);
            }
            if let Some(entry) = held.take() {
                let Ok(kind) = entry.file_type() else { return Ok(true) };
                if !self.hand_out(&entry, kind)? {
                    return Ok(false);
                }
            }
        }
        let level = self.level(held, told.included, told.excluded, told.taken)?;
        self.levels.extend(level);
        Ok(true)
    }

    /// Reads a folder's names. One that may not be read is passed over if it is left out itself.
    fn level(
        &self,
        held: Option<DirEntry>,
        included: Matched,
        excluded: Matched,
        taken: bool,
    ) -> Result<Option<Level>, Failure> {
        let read = fs::read_dir(self.tree.path(&self.path)).and_then(|found| {
            found.map(|entry| entry.map(|entry| (entry.file_name(), entry))).collect()
        });
        let mut left: Vec<(OsString, DirEntry)> = match read {
            Ok(left) => left,
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !taken => return Ok(None),
            Err(error) => return gone(error).map(|()| None).or_else(|e| self.lost(&e)),
        };
        left.sort_unstable_by(|(a, _), (b, _)| b.as_bytes().cmp(a.as_bytes()));
        Ok(Some(Level { left, length: self.path.len(), held, included, excluded }))
    }

    /// Hands out the folders on the way that were not picked themselves.
    fn hand_out_held(&mut self) -> Result<bool, Failure> {
        let here = self.path.len();
        for at in 0..self.levels.len() {
            let Some(entry) = self.levels[at].held.take() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let rest = self.path.split_off(self.levels[at].length);
            let wanted = self.hand_out(&entry, kind);
            self.path.push_str(&rest);
            if !wanted? {
                return Ok(false);
            }
        }
        debug_assert_eq!(here, self.path.len(), "the path is as it was");
        Ok(true)
    }

    /// Hands out the entry that `path` names.
    fn hand_out(&mut self, entry: &DirEntry, kind: FileType) -> Result<bool, Failure> {
        if entry.file_name().to_str().is_none() {
            return Err(wrong::no_utf8(&self.path));
        }
        let found = match entry.metadata() {
            Ok(found) => found,
            Err(error) => return gone(error).map(|()| true).or_else(|e| self.lost(&e)),
        };
        let kind = if kind.is_dir() {
            Kind::Folder
        } else if kind.is_fifo() {
            Kind::Pipe
        } else if kind.is_symlink() {
            match fs::read_link(entry.path()) {
                Ok(to) => match to.to_str() {
                    Some(to) => Kind::Link(to.into()),
                    None => return Err(wrong::no_utf8_link(&self.path)),
                },
                Err(error) => return gone(error).map(|()| true).or_else(|e| self.lost(&e)),
            }
        } else {
            Kind::File
        };
        let entry = Entry {
            size: if kind == Kind::File { found.len() } else { 0 },
            mode: found.mode() & 0o7777,
            modified: found
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(found.mtime_nsec()),
            path: self.path.clone(),
            kind,
        };
        Ok((self.each)(entry))
    }

    fn lost<T>(&self, error: &io::Error) -> Result<T, Failure> {
        Err(wrong::unreadable(&self.path, error))
    }
}

/// What went away while it was looked at is not there, which is no failure.
fn gone(error: io::Error) -> Result<(), io::Error> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(()),
        _ => Err(error),
    }
}
