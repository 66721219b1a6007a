//! A folder to be built from, and what a failure says whole.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::*;
use crate::error::Failure;

/// A folder that ends with the test.
pub(in crate::recipe) struct Ground(TempDir);

impl Ground {
    /// One with these files: `a/` is a folder, `a -> b` a link, `a = text` a file with a text.
    pub(in crate::recipe) fn with(files: &[&str]) -> Self {
        let ground = Self(TempDir::new().unwrap());
        for file in files {
            ground.add(file);
        }
        ground
    }

    pub(in crate::recipe) fn add(&self, file: &str) {
        let (path, text) = file.split_once(" = ").unwrap_or((file, ""));
        if let Some((path, to)) = path.split_once(" -> ") {
            std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            symlink(to, self.at(path)).unwrap();
        } else if let Some(folder) = path.strip_suffix('/') {
            std::fs::create_dir_all(self.at(folder)).unwrap();
        } else {
            std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            std::fs::write(self.at(path), text).unwrap();
        }
    }

    pub(in crate::recipe) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(in crate::recipe) fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(in crate::recipe) fn tree(&self) -> Tree {
        Tree::open(self.root()).unwrap()
    }

    /// The paths that are handed out.
    pub(in crate::recipe) fn walked(&self, pick: &Pick) -> Vec<String> {
        let mut paths = Vec::new();
        let walked = self.tree().walk(pick, &mut |entry| {
            paths.push(entry.path);
            true
        });
        walked.unwrap();
        paths
    }

    /// A failure as a user reads it, without the folder's own name.
    pub(in crate::recipe) fn told(&self, failure: &Failure) -> String {
        let Failure { code, what, why, next } = failure;
        let (why, next) = (why.join("\n      "), next.join("\n      "));
        let text = format!("{code}: {what}\nwhy:  {why}\nnext: {next}");
        text.replace(&self.root().display().to_string(), "@@AT@@")
    }
}

pub(in crate::recipe) fn excluding(patterns: &[&str]) -> Pick {
    let exclude = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Pick { exclude, ..Pick::default() }
}

pub(in crate::recipe) fn including(patterns: &[&str]) -> Pick {
    let include = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Pick { include, ..Pick::default() }
}

pub(in crate::recipe) fn following(paths: &[&str]) -> Pick {
    let follow = paths.iter().map(|path| (*path).to_owned()).collect();
    Pick { follow, ..Pick::default() }
}
