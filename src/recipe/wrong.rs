//! What can be wrong with a build context: one sentence, what was read, and one fix each.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::{Code, Failure, quoted};

fn context(what: String) -> Failure {
    Failure::new(Code::BuildContext, what)
}

pub(super) fn no_folder(root: &Path) -> Failure {
    context(format!("`{}` is no folder", root.display()))
        .why("a build context is the folder that a Dockerfile copies from")
        .next("give the folder that it is in as `context`")
}

pub(super) fn no_context(root: &Path, error: &io::Error) -> Failure {
    let shown = root.display();
    match error.kind() {
        ErrorKind::NotFound => context(format!("the build context `{shown}` is not there"))
            .why(error.to_string())
            .next("correct `context`, or check the repository out before this step"),
        _ => context(format!("the build context `{shown}` cannot be read"))
            .why(error.to_string())
            .next("let this user read it"),
    }
}

/// A file or folder in it; the context itself has an empty name.
pub(super) fn unreadable(path: &str, error: &io::Error) -> Failure {
    let shown = if path.is_empty() { "." } else { path };
    let failure = context(format!("`{shown}` in the build context cannot be read"));
    let failure = failure.why(error.to_string());
    match error.kind() {
        ErrorKind::PermissionDenied => failure.next(format!(
            "add `{shown}` to .dockerignore, or let this user read it: chmod -R u+rX {shown}"
        )),
        _ => {
            failure.next("let nothing else write in the build context meanwhile, and run it again")
        }
    }
}

pub(super) fn changed(path: &str, said: u64) -> Failure {
    context(format!("`{path}` in the build context changed while it was sent"))
        .why(format!("it had {said} bytes when it was listed, and fewer when it was read"))
        .next("let nothing else write in the build context meanwhile, and run it again")
}

pub(super) fn no_thread(error: &io::Error) -> Failure {
    context("the build context cannot be read: no thread can be had".into())
        .why(error.to_string())
        .next("run it where fewer processes run")
}

pub(super) fn no_utf8(path: &str) -> Failure {
    context(format!("`{path}` in the build context cannot be sent to a builder"))
        .why("its name is no UTF-8, and the builder's protocol has no other names")
        .next("rename it, or add a pattern for it to .dockerignore: `?` matches any character")
}

pub(super) fn no_utf8_link(path: &str) -> Failure {
    context(format!("the symbolic link `{path}` in the build context cannot be sent to a builder"))
        .why("what it points to is no UTF-8, and the builder's protocol has no other names")
        .next("rename what it points to, or add the link to .dockerignore")
}

/// A pattern that was given by somebody else than a file.
pub(super) fn pattern(pattern: &str, clause: &str) -> Failure {
    context(format!("the pattern {} of files to send cannot be used", quoted(pattern))).why(clause)
}

/// A line of a `.dockerignore`.
pub(super) fn line(shown: &str, line: usize, pattern: &str, clause: &str) -> Failure {
    context(format!("line {line} of `{shown}` cannot be used"))
        .why(format!("{}: {clause}", quoted(pattern)))
        .next(format!("correct line {line} of `{shown}`"))
}

pub(super) fn ignore_file(shown: &str, error: &io::Error) -> Failure {
    context(format!("`{shown}` cannot be read"))
        .why(error.to_string())
        .next(format!("let this user read `{shown}`, or delete it"))
}
