//! A file that a step copies and that was not sent, in a context that is there.

use std::fs;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::causes::case;

/// What is told where a step of this name finds no file that the builder calls so.
fn reads(dockerfile: &str, step: &'static str, asked: &str) -> String {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("dist")).unwrap();
    for (file, text) in [
        ("page.txt", ""),
        ("dist/app.jar", ""),
        (".dockerignore", "# built here\n*.txt\n!page.txt\ndist\n"),
        ("Web.dockerignore", "pa*.txt\n"),
    ] {
        fs::write(root.join(file), text).unwrap();
    }
    symlink("/etc/hostname", root.join("out")).unwrap();
    symlink("nowhere", root.join("dead")).unwrap();
    let words = format!(
        "failed to compute cache key: failed to calculate checksum of ref a::b: \"{asked}\": not found"
    );
    let case = case(step).order(|order| {
        order.context = root.into();
        order.file = root.join(dockerfile);
    });
    case.reads(&words).replace(&root.display().to_string(), "@@CONTEXT@@")
}

#[test]
fn a_path_that_leads_out_of_the_context_is_told() {
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY ../x /", "/x"), @"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` copies `../x`, which is outside of the context
      why: the context is `@@CONTEXT@@`, and nothing above it is sent
      next: move it into the context, or give a `context` that holds it and correct the paths in `Dockerfile`
    ");
}

#[test]
fn the_line_of_the_ignore_file_is_told() {
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY dist/app.jar /", "/dist/app.jar"), @r#"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `dist/app.jar` in the context
      why: `.dockerignore` line 4 leaves it out: "dist"
      next: take line 4 out of `.dockerignore`, or add `!dist/app.jar` at its end
    "#);
    assert_snapshot!(reads("Web", "[1/1] ADD page.txt dist/app.jar /", "/page.txt"), @r#"
    [SW-BUILD-CONTEXT]: step 1/1 of `Web` finds no `page.txt` in the context
      why: `Web.dockerignore` line 1 leaves it out: "pa*.txt"
      next: take line 1 out of `Web.dockerignore`, or add `!page.txt` at its end
    "#);
}

#[test]
fn a_link_that_leads_to_nothing_that_is_sent_is_told() {
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY out /", "/out"), @r#"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `out` in the context
      why: `out` is a symbolic link to "/etc/hostname", which is outside of the context
      next: put the file itself there in place of the link `out`
    "#);
    // Engine 20.10 names what the link leads to.
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY dead /", "/nowhere"), @r#"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `dead` in the context
      why: `dead` is a symbolic link to "nowhere", which is not there
      next: correct the link `dead`, or make what it leads to first
    "#);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY pgae.txt /", "/pgae.txt"), @"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `pgae.txt` in the context
      why: the context is `@@CONTEXT@@`, which has no such file
      next: did you mean `page.txt`?
    ");
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY target/app.war /", "/target/app.war"), @"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `target/app.war` in the context
      why: the context is `@@CONTEXT@@`, which has no folder `target`
      next: correct the path, which begins at the context, or make `target/app.war` before the build
    ");
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY dist/lib/a.jar /", "/dist/lib/a.jar"), @"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `dist/lib/a.jar` in the context
      why: the context is `@@CONTEXT@@`, where `dist` has no folder `lib`
      next: correct the path, which begins at the context, or make `dist/lib/a.jar` before the build
    ");
    assert_snapshot!(reads("Dockerfile", "[1/1] COPY page.txt /", "/page.txt"), @"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `page.txt` in the context
      why: the context is `@@CONTEXT@@`, where it is now: it was not when the context was sent
      next: let nothing else write in the build context meanwhile, and run it again
    ");
}

#[test]
fn what_a_mount_takes_is_told_by_where_it_is_taken_from() {
    assert_snapshot!(reads("Dockerfile", "[1/1] RUN --mount=type=bind,source=pgae.txt,target=/x cat /x", "/pgae.txt"), @"
    [SW-BUILD-CONTEXT]: step 1/1 of `Dockerfile` finds no `pgae.txt` in the context
      why: the context is `@@CONTEXT@@`, which has no such file
      next: did you mean `page.txt`?
    ");
    assert_snapshot!(reads("Dockerfile", "[1/1] RUN --mount=from=build,source=/app,target=/x cat /x", "/app"), @"
    [SW-BUILD-STEP]: step 1/1 of `Dockerfile` finds no `/app` in `build`
      next: correct the path, or let `build` make it
    ");
}
