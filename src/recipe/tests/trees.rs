//! Walks: order, patterns, links that are followed, kinds, and what cannot be read.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use insta::assert_snapshot;

use super::super::{wrong, *};
use super::ground::{Ground, excluding, following, including};

#[test]
fn a_folder_comes_before_its_content_and_names_are_in_the_order_of_bytes() {
    let ground = Ground::with(&["a.txt", "a/z", "a/b/c", "a-b", "B", "é", "a0"]);
    let paths = ground.walked(&Pick::default());
    assert_eq!(paths, ["B", "a", "a/b", "a/b/c", "a/z", "a-b", "a.txt", "a0", "é"]);
}

#[test]
fn what_is_excluded_is_left_out_and_exceptions_are_found_below() {
    let ground = Ground::with(&[
        "a/b/c",
        "a/b/d",
        "a/e",
        "node_modules/x/y",
        "docs/a.md",
        "docs/b.txt",
        "f",
    ]);
    assert_eq!(
        ground.walked(&excluding(&["node_modules", "docs/*.txt"])),
        ["a", "a/b", "a/b/c", "a/b/d", "a/e", "docs", "docs/a.md", "f"]
    );
    assert_eq!(ground.walked(&excluding(&["*", "!a/b/c"])), ["a", "a/b", "a/b/c"]);
    assert_eq!(ground.walked(&excluding(&["**", "!**/*.md"])), ["docs", "docs/a.md"]);
    assert_eq!(ground.walked(&excluding(&["*", "!a", "a/b"])), ["a", "a/e"]);
    assert_eq!(ground.walked(&excluding(&["*", "!nothing"])), Vec::<String>::new());
    let all = ground.walked(&Pick::default());
    assert_eq!(ground.walked(&excluding(&["/", ".", "# a"])), all);
}

#[test]
fn what_is_included_comes_with_the_folders_on_the_way() {
    let ground = Ground::with(&["a/b/c", "a/b/d", "a/e", "ab/c", "z"]);
    assert_eq!(ground.walked(&including(&["a/b/c"])), ["a", "a/b", "a/b/c"]);
    assert_eq!(ground.walked(&including(&["a/b"])), ["a", "a/b", "a/b/c", "a/b/d"]);
    assert_eq!(ground.walked(&including(&["a/*"])), ["a", "a/b", "a/b/c", "a/b/d", "a/e"]);
    assert_eq!(ground.walked(&including(&["**/c"])), ["a", "a/b", "a/b/c", "ab", "ab/c"]);
    assert_eq!(ground.walked(&including(&["missing", "z"])), ["z"]);
    let both = Pick { exclude: vec!["a/b/d".into()], ..including(&["a"]) };
    assert_eq!(ground.walked(&both), ["a", "a/b", "a/b/c", "a/e"]);
    let within = Pick { exclude: vec!["*".into(), "!a/e".into()], ..including(&["a/**"]) };
    assert_eq!(ground.walked(&within), ["a", "a/e"]);
}

#[test]
fn links_are_followed_within_the_root() {
    let ground = Ground::with(&[
        "real/file = x",
        "real/other",
        "link -> real/file",
        "folder -> real",
        "deep/up -> ../link",
        "out -> ../../../../etc/passwd",
        "rooted -> /real/file",
        "round -> around",
        "around -> round",
        "self/self -> .",
        "etc/passwd",
        "unrelated",
    ]);
    let follow = |paths: &[&str]| ground.walked(&following(paths)).join(" ");
    assert_eq!(follow(&["link"]), "link real real/file");
    assert_eq!(follow(&["deep/up"]), "deep deep/up link real real/file");
    assert_eq!(follow(&["folder/file"]), "folder real real/file");
    assert_eq!(follow(&["rooted"]), "real real/file rooted");
    assert_eq!(follow(&["out"]), "etc etc/passwd out");
    assert_eq!(follow(&["round"]), "around round");
    assert_eq!(follow(&["self/self/self/x"]), "self self/self");
    assert_eq!(follow(&["missing", "unrelated"]), "unrelated");
    assert_eq!(follow(&["/unrelated"]), "unrelated");
    assert_eq!(follow(&["../unrelated"]), "unrelated");
}

#[test]
fn links_that_a_pattern_matches_are_followed() {
    let ground = Ground::with(&["lib-1 -> v1", "lib-2 -> v2", "v1/a", "v2/a", "lib-x", "other"]);
    let follow = |paths: &[&str]| ground.walked(&following(paths)).join(" ");
    assert_eq!(follow(&["lib-[12]"]), "lib-1 lib-2 v1 v1/a v2 v2/a");
    assert_eq!(follow(&["lib*"]), "lib-1 lib-2 lib-x v1 v1/a v2 v2/a");
    assert_eq!(follow(&["no*"]), "");
    assert_eq!(follow(&["."]).split(' ').count(), 8, "the root is everything");
    let more = Pick { include: vec!["other".into()], ..following(&["lib-1"]) };
    assert_eq!(ground.walked(&more), ["lib-1", "other", "v1", "v1/a"]);
}

#[test]
fn each_kind_is_told_and_what_no_image_can_have_is_left_out() {
    let ground = Ground::with(&["file = 12345", "folder/", "link -> anywhere/at all"]);
    let made = Command::new("mkfifo").arg(ground.at("pipe")).status().unwrap();
    assert!(made.success());
    let _socket = UnixListener::bind(ground.at("socket")).unwrap();
    let mode = |bits| std::fs::Permissions::from_mode(bits);
    std::fs::set_permissions(ground.at("file"), mode(0o4751)).unwrap();
    std::fs::set_permissions(ground.at("folder"), mode(0o1777)).unwrap();
    let stamp = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_700_000_000_123_456_789);
    std::fs::File::open(ground.at("file")).unwrap().set_modified(stamp).unwrap();
    let mut entries = Vec::new();
    ground
        .tree()
        .walk(&Pick::default(), &mut |entry| {
            entries.push(entry);
            true
        })
        .unwrap();
    let kinds: Vec<_> = entries.iter().map(|e| (e.path.as_str(), e.kind.clone(), e.size)).collect();
    assert_eq!(
        kinds,
        [
            ("file", Kind::File, 5),
            ("folder", Kind::Folder, 0),
            ("link", Kind::Link("anywhere/at all".into()), 0),
            ("pipe", Kind::Pipe, 0),
        ]
    );
    assert_eq!((entries[0].mode, entries[1].mode), (0o4751, 0o1777));
    assert_eq!(entries[0].modified, 1_700_000_000_123_456_789);
}

#[test]
fn a_walk_ends_when_no_more_is_wanted() {
    let ground = Ground::with(&["a/b", "a/c", "d"]);
    for most in 1..4 {
        let mut seen = Vec::new();
        let walked = ground.tree().walk(&Pick::default(), &mut |entry| {
            seen.push(entry.path);
            seen.len() < most
        });
        walked.unwrap();
        assert_eq!(seen.len(), most);
    }
}

#[test]
fn a_name_that_is_no_utf8_is_told_unless_it_is_left_out() {
    let ground = Ground::with(&["ok"]);
    std::fs::write(ground.root().join(OsStr::from_bytes(b"caf\xe9.txt")), "").unwrap();
    let failure = ground.tree().walk(&Pick::default(), &mut |_| true).unwrap_err();
    assert_snapshot!(ground.told(&failure), @"
    SW-BUILD-CONTEXT: `caf�.txt` in the build context cannot be sent to a builder
    why:  its name is no UTF-8, and the builder's protocol has no other names
    next: rename it, or add a pattern for it to .dockerignore: `?` matches any character
    ");
    assert_eq!(ground.walked(&excluding(&["caf?.txt"])), ["ok"]);
    let link = Ground::with(&[]);
    symlink(OsStr::from_bytes(b"\xff"), link.at("link")).unwrap();
    let failure = link.tree().walk(&Pick::default(), &mut |_| true).unwrap_err();
    assert_snapshot!(link.told(&failure), @"
    SW-BUILD-CONTEXT: the symbolic link `link` in the build context cannot be sent to a builder
    why:  what it points to is no UTF-8, and the builder's protocol has no other names
    next: rename what it points to, or add the link to .dockerignore
    ");
}

#[test]
fn what_may_not_be_read_is_told_with_the_way_out() {
    let denied = io::Error::from_raw_os_error(13);
    let ground = Ground::with(&["private/key", "open"]);
    assert_snapshot!(ground.told(&wrong::unreadable("private/key", &denied)), @"
    SW-BUILD-CONTEXT: `private/key` in the build context cannot be read
    why:  Permission denied (os error 13)
    next: add `private/key` to .dockerignore, or let this user read it: chmod -R u+rX private/key
    ");
    std::fs::set_permissions(ground.at("private"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let walked = ground.tree().walk(&Pick::default(), &mut |_| true);
    // Root may read everything, so a machine that tests as root sees the other half.
    match std::fs::read_dir(ground.at("private")) {
        Ok(_) => assert_eq!(walked, Ok(())),
        Err(_) => assert_eq!(walked, Err(wrong::unreadable("private", &denied))),
    }
    assert_eq!(ground.walked(&excluding(&["private"])), ["open"]);
    std::fs::set_permissions(ground.at("private"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_file_that_became_something_else_is_not_opened() {
    let ground = Ground::with(&["a", "b -> a", "c/"]);
    assert!(ground.tree().bytes("a").is_ok());
    for path in ["b", "c"] {
        let failure = ground.tree().bytes(path).unwrap_err();
        assert_eq!(failure.why, ["it is no file any more"]);
    }
    assert_snapshot!(ground.told(&ground.tree().bytes("gone").unwrap_err()), @"
    SW-BUILD-CONTEXT: `gone` in the build context cannot be read
    why:  No such file or directory (os error 2)
    next: let nothing else write in the build context meanwhile, and run it again
    ");
}

#[test]
fn a_context_that_is_none_is_told() {
    let ground = Ground::with(&["file"]);
    let told = |path: &str| ground.told(&Tree::open(&ground.at(path)).unwrap_err());
    assert_snapshot!(told("file"), @"
    SW-BUILD-CONTEXT: `@@AT@@/file` is no folder
    why:  a build context is the folder that a Dockerfile copies from
    next: give the folder that it is in as `context`
    ");
    assert_snapshot!(told("missing"), @"
    SW-BUILD-CONTEXT: the build context `@@AT@@/missing` is not there
    why:  No such file or directory (os error 2)
    next: correct `context`, or check the repository out before this step
    ");
}

#[test]
fn the_ignore_file_beside_the_dockerfile_wins() {
    let ground = Ground::with(&[
        ".dockerignore = # all\n/out/\n!out/keep\n",
        "Dockerfile",
        "app/Dockerfile",
        "app/Dockerfile.dockerignore = *\n!app\n",
        "app/Empty",
        "app/Empty.dockerignore",
    ]);
    let of = |file: &str| Pick::of(ground.root(), &ground.at(file)).unwrap().exclude;
    assert_eq!(of("Dockerfile"), ["out", "!out/keep"]);
    assert_eq!(of("app/Dockerfile"), ["*", "!app"]);
    assert!(of("app/Empty").is_empty(), "an empty one says that all is sent");
    let bare = Ground::with(&["Dockerfile"]);
    assert_eq!(Pick::of(bare.root(), &bare.at("Dockerfile")).unwrap(), Pick::default());
}

#[test]
fn a_line_that_docker_refuses_is_told_with_its_number() {
    let ground = Ground::with(&[".dockerignore = # a comment\n\nout\nnode_modules\\\n"]);
    let failure = Pick::of(ground.root(), &ground.at("Dockerfile")).unwrap_err();
    assert_snapshot!(ground.told(&failure), @r#"
    SW-BUILD-CONTEXT: line 4 of `@@AT@@/.dockerignore` cannot be used
    why:  "node_modules\": nothing follows its last `\`
    next: correct line 4 of `@@AT@@/.dockerignore`
    "#);
    let failure = ground.tree().walk(&including(&["[a-"]), &mut |_| true).unwrap_err();
    assert_snapshot!(ground.told(&failure), @r#"
    SW-BUILD-CONTEXT: the pattern "[a-" of files to send cannot be used
    why:  its `[` is not closed
    next:
    "#);
}

#[test]
fn a_file_that_is_sent_in_any_case_is_an_exception_of_its_own() {
    let ground = Ground::with(&["Dockerfile", "a", "x/[Docker]file"]);
    let pick = excluding(&["*"]).with("Dockerfile").with("x/[Docker]file");
    assert_eq!(ground.walked(&pick), ["Dockerfile", "x", "x/[Docker]file"]);
    assert_eq!(excluding(&["a"]).with("Dockerfile"), excluding(&["a"]));
}
