//! Why a path that an instruction copies is not among what a build sends.
//!
//! Looks into the context as a builder does: links are followed within it, and what an ignore file excludes is not
//! there. Asked after a build has failed, so what cannot be read counts as not there.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::dockerfile::copied_by;
use super::follow::wild;
use super::ignore::{Shape, clean};
use super::pick::Ignored;
use crate::names::nearest;

/// Links that are followed one after the other before they are taken for a circle.
const MOST: usize = 40;

/// Why a path is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It leads out of the context by `..` at its front.
    Outside,
    /// A line of an ignore file leaves it out, or what a link on the way leads to.
    Excluded {
        /// What is left out, from the context.
        path: String,
        /// The ignore file.
        file: PathBuf,
        /// The line that decides.
        line: usize,
        /// What stands there.
        pattern: String,
    },
    /// A symbolic link leads to what is not sent.
    Dangling {
        /// The link, from the context.
        link: String,
        /// What it says.
        to: String,
        /// That is outside of the context; else it is nothing.
        is_outside: bool,
    },
    /// It is not there.
    Missing {
        /// The last folder on the way that is there, empty for the context itself.
        folder: String,
        /// What is not in it.
        name: String,
        /// That is the end of the path, and no folder on its way.
        is_last: bool,
        /// What is there and may have been meant, from the context.
        near: Option<String>,
    },
    /// A socket or a device.
    Special,
    /// It is there, and would be sent now.
    There,
}

/// The source of an instruction that a builder did not find, as it is written if that can be told, and why. Builders
/// name it from the context, and old ones by what a link leads to.
#[must_use]
pub fn absence(
    context: &Path,
    dockerfile: &Path,
    instruction: &str,
    asked: &str,
) -> (String, Absence) {
    let look = Look { context, dockerfile, ignored: Ignored::of(context, dockerfile) };
    let asked = asked.trim_start_matches('/');
    let sources = copied_by(instruction);
    let bare = |source: &str| {
        let path = clean(source);
        let mut path = path.trim_start_matches('/');
        while let Some(rest) = path.strip_prefix("../") {
            path = rest;
        }
        path.to_owned()
    };
    let written = sources.iter().find(|source| bare(source) == asked).cloned();
    let dangles = |source: &&String| matches!(look.at(source), Absence::Dangling { .. });
    let path = written
        .or_else(|| sources.iter().filter(|source| !source.contains('$')).find(dangles).cloned())
        .unwrap_or_else(|| asked.to_owned());
    let absence = look.at(&path);
    (path, absence)
}

/// Where it is looked for.
struct Look<'a> {
    context: &'a Path,
    dockerfile: &'a Path,
    ignored: Option<Ignored>,
}

impl Look<'_> {
    /// Goes along a path, name by name.
    fn at(&self, written: &str) -> Absence {
        let path = clean(written);
        if path == ".." || path.starts_with("../") {
            return Absence::Outside;
        }
        let mut here = String::new();
        let mut rest = path.trim_start_matches('/').to_owned();
        let mut links = 0;
        while !rest.is_empty() {
            let (name, after) = rest.split_once('/').unwrap_or((&rest, ""));
            let Some(name) = self.named(&here, name) else {
                return self.missing(&path, here, name, after);
            };
            let (next, after) = (join(&here, &name), after.to_owned());
            let Ok(found) = fs::symlink_metadata(self.context.join(&next)) else {
                return self.missing(&path, here, &name, &after);
            };
            if found.is_symlink() {
                if let Some(excluded) = self.excluded(&next) {
                    return excluded;
                }
                links += 1;
                match self.led(&here, &next) {
                    Ok(target) if links <= MOST => rest = join(&target, &after),
                    Ok(to) => return Absence::Dangling { link: next, to, is_outside: false },
                    Err(dangling) => return dangling,
                }
                here.clear();
                continue;
            }
            if !after.is_empty() && !found.is_dir() {
                let (name, after) = after.split_once('/').unwrap_or((&after, ""));
                return self.missing(&path, next, name, after);
            }
            let kind = found.file_type();
            if kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
                return Absence::Special;
            }
            (here, rest) = (next, after);
        }
        self.excluded(&here).unwrap_or(Absence::There)
    }

    /// A name itself, or the first in a folder that a pattern matches.
    fn named(&self, folder: &str, name: &str) -> Option<String> {
        if !wild(name) {
            return Some(name.to_owned());
        }
        let shape = Shape::name(name).ok()?;
        self.names(folder).into_iter().filter(|name| shape.matches(name)).min()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.context.join(folder)).into_iter().flatten();
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    /// Where a link leads, from the context.
    fn led(&self, folder: &str, link: &str) -> Result<String, Absence> {
        let to = fs::read_link(self.context.join(link)).unwrap_or_default();
        let to = to.to_string_lossy().into_owned();
        let from = if to.starts_with('/') { "" } else { folder };
        let is_outside = to.starts_with('/') || clean(&join(from, &to)).starts_with("..");
        // A builder takes it as it would be in an image: from the root.
        let target = clean(&format!("/{from}/{to}")).trim_start_matches('/').to_owned();
        match fs::symlink_metadata(self.context.join(&target)) {
            Ok(_) => Ok(target),
            Err(_) => Err(Absence::Dangling { link: link.to_owned(), to, is_outside }),
        }
    }

    fn excluded(&self, path: &str) -> Option<Absence> {
        let ignored = self.ignored.as_ref()?;
        let (line, pattern) = ignored.line_of(path)?;
        let file = ignored.file.clone();
        Some(Absence::Excluded { path: path.to_owned(), file, line, pattern })
    }

    fn missing(&self, path: &str, folder: String, name: &str, after: &str) -> Absence {
        let is_there = |path: &String| {
            !path.is_empty() && fs::symlink_metadata(self.context.join(path)).is_ok()
        };
        let names = self.names(&folder);
        let near = nearest(name, names.iter().map(String::as_str));
        let near = near.map(|near| join(&join(&folder, near), after));
        // As it is from above the context, or from beside the Dockerfile.
        let path = path.trim_start_matches('/');
        let context = fs::canonicalize(self.context).unwrap_or_default();
        let above = path.split_once('/').filter(|(first, _)| context.ends_with(first));
        let above = above.map(|(_, rest)| rest.to_owned());
        let beside = self.dockerfile.parent().and_then(|at| at.strip_prefix(self.context).ok());
        let beside = beside.and_then(Path::to_str).map(|folder| join(folder, path));
        let near = [near, above, beside].into_iter().flatten().find(is_there);
        Absence::Missing { folder, name: name.to_owned(), is_last: after.is_empty(), near }
    }
}

fn join(folder: &str, name: &str) -> String {
    match (folder.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (false, true) => folder.to_owned(),
        (false, false) => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What is told of each instruction in a context with these lines in its ignore file.
    fn told(ignore: &str, instructions: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("app");
        fs::create_dir_all(root.join("dist")).unwrap();
        fs::create_dir_all(root.join("docker")).unwrap();
        for file in ["page.txt", "dist/app.jar", "docker/entry.sh"] {
            fs::write(root.join(file), "x").unwrap();
        }
        let links = [
            ("out", "/etc/hostname"),
            ("up", "../../other"),
            ("dead", "nowhere"),
            ("circle", "circle"),
            ("to-dist", "dist"),
            ("rooted", "/page.txt"),
        ];
        for (link, to) in links {
            symlink(to, root.join(link)).unwrap();
        }
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        if !ignore.is_empty() {
            fs::write(root.join(".dockerignore"), ignore).unwrap();
        }
        let lines = instructions.iter().map(|(instruction, asked)| {
            let dockerfile = root.join("docker/Dockerfile");
            let (path, why) = absence(&root, &dockerfile, instruction, asked);
            let why = format!("{why:?}").replace(&root.display().to_string(), "");
            format!("{path}: {why}\n")
        });
        lines.collect()
    }

    #[test]
    fn what_is_not_there_is_told_with_what_may_have_been_meant() {
        insta::assert_snapshot!(told("", &[
            ("COPY pgae.txt /", "/pgae.txt"),
            ("COPY --chown=1 PAGE.txt /", "/PAGE.txt"),
            ("COPY [\"dits/app.jar\", \"/\"]", "/dits/app.jar"),
            ("COPY dist/ap.jar /", "/dist/ap.jar"),
            ("COPY /dist/target/x /", "/dist/target/x"),
            ("COPY page.txt/x /", "/page.txt/x"),
            ("COPY app/page.txt /", "/app/page.txt"),
            ("COPY entry.sh /", "/entry.sh"),
            ("COPY *.war /", "*.war"),
            ("COPY $A.txt /", "pgae.txt"),
            ("RUN --mount=type=bind,source=pgae.txt,target=/x cat /x", "/pgae.txt"),
            ("COPY to-dist/app.ja /", "/to-dist/app.ja"),
            ("COPY socket /", "/socket"),
            ("COPY page.txt /", "/page.txt"),
        ]), @r#"
        pgae.txt: Missing { folder: "", name: "pgae.txt", is_last: true, near: Some("page.txt") }
        PAGE.txt: Missing { folder: "", name: "PAGE.txt", is_last: true, near: Some("page.txt") }
        dits/app.jar: Missing { folder: "", name: "dits", is_last: false, near: Some("dist/app.jar") }
        dist/ap.jar: Missing { folder: "dist", name: "ap.jar", is_last: true, near: Some("dist/app.jar") }
        /dist/target/x: Missing { folder: "dist", name: "target", is_last: false, near: None }
        page.txt/x: Missing { folder: "page.txt", name: "x", is_last: true, near: None }
        app/page.txt: Missing { folder: "", name: "app", is_last: false, near: Some("page.txt") }
        entry.sh: Missing { folder: "", name: "entry.sh", is_last: true, near: Some("docker/entry.sh") }
        *.war: Missing { folder: "", name: "*.war", is_last: true, near: None }
        pgae.txt: Missing { folder: "", name: "pgae.txt", is_last: true, near: Some("page.txt") }
        pgae.txt: Missing { folder: "", name: "pgae.txt", is_last: true, near: Some("page.txt") }
        to-dist/app.ja: Missing { folder: "dist", name: "app.ja", is_last: true, near: Some("dist/app.jar") }
        socket: Special
        page.txt: There
        "#);
    }

    #[test]
    fn what_leads_out_or_to_nothing_is_told() {
        insta::assert_snapshot!(told("", &[
            ("COPY ../x /", "/x"),
            ("COPY ./../../x/y /", "/x/y"),
            ("COPY out /", "/out"),
            ("COPY page.txt out /", "/etc/hostname"),
            ("COPY up /", "/up"),
            ("COPY dead /", "/dead"),
            ("COPY circle /", "/circle"),
            ("COPY rooted /", "/rooted"),
        ]), @r#"
        ../x: Outside
        ./../../x/y: Outside
        out: Dangling { link: "out", to: "/etc/hostname", is_outside: true }
        out: Dangling { link: "out", to: "/etc/hostname", is_outside: true }
        up: Dangling { link: "up", to: "../../other", is_outside: true }
        dead: Dangling { link: "dead", to: "nowhere", is_outside: false }
        circle: Dangling { link: "circle", to: "circle", is_outside: false }
        rooted: There
        "#);
    }

    #[test]
    fn the_line_that_excludes_it_is_found() {
        let ignore = "# not these\n*.txt\n!page.txt\n/dist/\nout\n\npage.*\n!other\n";
        insta::assert_snapshot!(told(ignore, &[
            ("COPY page.txt /", "/page.txt"),
            ("COPY dist/app.jar /", "/dist/app.jar"),
            ("COPY dist /", "/dist"),
            ("COPY to-dist/app.jar /", "/to-dist/app.jar"),
            ("COPY out /", "/out"),
            ("COPY *.txt /", "*.txt"),
            ("COPY docker/entry.sh /", "/docker/entry.sh"),
        ]), @r#"
        page.txt: Excluded { path: "page.txt", file: "/.dockerignore", line: 7, pattern: "page.*" }
        dist/app.jar: Excluded { path: "dist/app.jar", file: "/.dockerignore", line: 4, pattern: "/dist/" }
        dist: Excluded { path: "dist", file: "/.dockerignore", line: 4, pattern: "/dist/" }
        to-dist/app.jar: Excluded { path: "dist/app.jar", file: "/.dockerignore", line: 4, pattern: "/dist/" }
        out: Excluded { path: "out", file: "/.dockerignore", line: 5, pattern: "out" }
        *.txt: Excluded { path: "page.txt", file: "/.dockerignore", line: 7, pattern: "page.*" }
        docker/entry.sh: There
        "#);
    }

    #[test]
    fn the_ignore_file_beside_the_dockerfile_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let dockerfile = root.join("Web");
        for (file, text) in [("a", ""), (".dockerignore", "b"), ("Web.dockerignore", "\u{feff}a")] {
            fs::write(root.join(file), text).unwrap();
        }
        let (_, why) = absence(root, &dockerfile, "COPY a /", "/a");
        let file = root.join("Web.dockerignore");
        let pattern = "a".into();
        assert_eq!(why, Absence::Excluded { path: "a".into(), file, line: 1, pattern });
    }
}
