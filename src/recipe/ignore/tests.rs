//! Lines of a `.dockerignore` and the paths that they mean, as Docker's own library answers.

use super::*;

fn rules(patterns: &[&str]) -> Rules {
    let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Rules::of(&patterns).unwrap_or_else(|(pattern, clause)| panic!("{pattern}: {clause}"))
}

/// Asked as a walk asks: folder by folder.
fn walked(rules: &Rules, path: &str) -> bool {
    let mut above: Option<Matched> = None;
    for (at, _) in path.match_indices('/') {
        above = Some(rules.matches_folder(above.as_ref(), &path[..at]).1);
    }
    rules.matches_in(above.as_ref(), path)
}

/// Each row: patterns, paths that they match, paths that they do not.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

fn holds(table: &[Row]) {
    for (patterns, yes, no) in table {
        let rules = rules(patterns);
        for (path, wanted) in yes.iter().map(|p| (p, true)).chain(no.iter().map(|p| (p, false))) {
            assert_eq!(rules.matches(path), wanted, "{patterns:?} by itself: {path}");
            assert_eq!(walked(&rules, path), wanted, "{patterns:?} in a walk: {path}");
        }
    }
}

#[test]
fn plain_names_match_themselves_and_what_is_below() {
    holds(&[
        (&["out"], &["out", "out/a", "out/a/b"], &["outer", "a/out", "ou", "Out"]),
        (&["a/b"], &["a/b", "a/b/c"], &["a", "b", "x/a/b", "a/bc"]),
        (&["./a//b/../c/"], &["a/c", "a/c/d"], &["a", "a/b"]),
        (&["abc.def"], &["abc.def"], &["abcdef", "abcZdef"]),
        (&["a(b)c/def"], &["a(b)c/def"], &["a(b)c/xyz", "abc/def"]),
        (&["a.|)$(}+{bc"], &["a.|)$(}+{bc"], &["a"]),
        (&["lib-2.4.0rc3+g08ac-py3.whl"], &["lib-2.4.0rc3+g08ac-py3.whl"], &["lib-2x4"]),
        (&["."], &[], &["a", "a/b"]),
        (&["/"], &[], &["a"]),
        (&["", "  "], &[], &["a"]),
        (&["이미지"], &["이미지", "이미지/a"], &["이미"]),
    ]);
}

#[test]
fn a_star_and_a_question_mark_stay_within_a_name() {
    holds(&[
        (&["*"], &["a", ".a", "a/b"], &[]),
        (&["*.go"], &["a.go", ".go", "a.go/b"], &["a.gox", "a/b.go"]),
        (&["a*"], &["a", "abc", "ab/c"], &["ba"]),
        (&["*c"], &["abc", "c"], &["cab"]),
        (&["a*/b"], &["abc/b", "a/b"], &["a/c/b"]),
        (&["a*b*c*d*e*/f"], &["axbxcxdxe/f", "axbxcxdxexxx/f"], &["axbxcxdxe/x/f", "abcde/ff"]),
        (&["a*b?c*x"], &["abxbbxdbxebxczzx"], &["abxbbxdbxebxczzy"]),
        (&["a/*.txt"], &["a/f.txt"], &["a/b/f.txt", "f.txt"]),
        (&["*/temp*"], &["a/temporary.txt", "a/temp", "a/temp/x"], &["temp", "a/b/temp"]),
        (&["temp?"], &["tempa", "tempb/x"], &["temp", "tempab", "a/tempa"]),
        (&["a?b"], &["a☺b", "axb"], &["a/b", "ab"]),
        (&["a???b"], &["axyzb"], &["a☺b"]),
        (&[".*"], &[".foo"], &["foo"]),
        (&["*/.*"], &["a/.b"], &[".b", "a/b"]),
        (&["abc?def"], &["abcZdef"], &["abcdef"]),
    ]);
}

#[test]
fn two_stars_go_through_folders() {
    holds(&[
        (&["**"], &["file", "dir/file", ".a"], &[]),
        (&["**/"], &["file", "dir/file"], &[]),
        (&["**/**"], &["file", "dir/file"], &[]),
        (&["dir/**"], &["dir/file", "dir/a/b"], &["dir", "dirx", "a/dir/b"]),
        (&["**/dir"], &["dir", "dir/file", "a/dir", "a/b/dir/c"], &["xdir", "dirx"]),
        (&["**dir"], &["dir", "xdir", "a/dir", "a/xdir/b"], &["dirx"]),
        (&["**/a/b"], &["a/b", "x/a/b", "x/y/a/b"], &["xa/b", "a/x/b"]),
        (&["**/dir2/*"], &["dir/dir2/file", "dir2/f"], &["dir2", "dir/dir2"]),
        (&["**/dir2/**"], &["dir/dir2/dir3/file", "dir2/f"], &["dir/dir2", "dir3/f"]),
        (&["**/file*"], &["d/d/file", "file.txt", "d/file.txt"], &["xfile"]),
        (&["**/file*txt"], &["d/file.txt", "filetxt"], &["d/file.tx"]),
        (&["**/file*.txt*"], &["d/d/file.txt", "filex.txt.bak"], &["filetxt"]),
        (&["**/*.txt", "!x"], &["a.txt", "d/a.txt"], &["x", "a.txt2"]),
        (&["**/**/*.txt"], &["file.txt", "d/d/file.txt"], &["d/file.txt2"]),
        (&["a**/*.txt"], &["a/f.txt", "a/d/f.txt", "ab/c.txt"], &["f.txt", "b/a/f.txt"]),
        (&["a/*.txt**"], &["a/f.txt", "a/f.txtx/y"], &["a/f.tx"]),
        (&["a/**/z"], &["a/z", "a/b/z", "a/b/c/z"], &["a/bz", "z", "az"]),
        (&["**/.foo"], &[".foo", "a/.foo"], &["bar.foo"]),
        (&["**/node_modules"], &["node_modules/a/b", "x/node_modules/y"], &["node_modulesx"]),
        (&["abc/**"], &["abc/d", "abc/d/e"], &["abc"]),
    ]);
}

#[test]
fn classes_and_escapes_are_those_of_go() {
    holds(&[
        (&["a[b-d]e"], &["ace"], &["ae", "aae"]),
        (&["a[^b-d]e"], &["aze"], &["ace"]),
        (&["ab[c]"], &["abc"], &["abd"]),
        (&["ab[^e-g]"], &["abc"], &["abf"]),
        (&["a[^a]b"], &["a☺b"], &["aab"]),
        (&["[a-ζ]*"], &["α", "b"], &["A"]),
        (&["[\\]a]"], &["]", "a"], &["b"]),
        (&["[\\-]"], &["-"], &["x"]),
        (&["[x\\-]"], &["x", "-"], &["z"]),
        (&["[\\-x]"], &["x", "-"], &["a"]),
        (&["[!a]b"], &["!b", "ab"], &["xb"]),
        (&["a\\*b"], &["a*b"], &["ab", "axb"]),
        (&["a\\\\"], &["a\\"], &["a"]),
        (&["\\#a"], &["#a"], &["a"]),
        (&["[[:digit:]]x"], &["1x"], &["ax", ":x"]),
        // What looks like a question mark in a class becomes the class `[`, `^`, `/`.
        (&["[?]"], &["[]", "^]"], &["?"]),
        (&["v\\d"], &["v1"], &["vd"]),
        (&["a^b*"], &[], &["a^b", "ab"]),
        // Docker escapes neither `|` nor braces where anything else in the pattern is wild.
        (&["a|b*"], &["a", "ax", "xb"], &["c", "xa"]),
        (&["a|b"], &["a|b"], &["a", "b"]),
        (&["log{1,2}*"], &["log", "logg.txt"], &["lo"]),
        (&["*.{js,ts}"], &["a.{js,ts}"], &["a.js"]),
        (&["a^b"], &["a^b"], &["ab"]),
        (&["foo\\bar"], &[], &["foobar", "foo\\bar", "foo/bar"]),
    ]);
}

#[test]
fn the_last_line_that_matches_decides() {
    holds(&[
        (&["*", "!keep"], &["a", "a/keep"], &["keep", "keep/x"]),
        (&["*", "!keep", "keep/not"], &["a", "keep/not", "keep/not/x"], &["keep", "keep/x"]),
        (&["!keep", "*"], &["keep", "a"], &[]),
        (&["docs", "!docs/README.md"], &["docs", "docs/a"], &["docs/README.md", "a"]),
        (&["docs/*", "!docs/*.md", "docs/x.md"], &["docs/a", "docs/x.md"], &["docs", "docs/a.md"]),
        (&["**", "!util/docker/web"], &["util", "util/a"], &["util/docker/web/foo"]),
        (
            &["**", "!util/docker/web", "util/docker/web/foo"],
            &["util/docker/web/foo"],
            &["util/docker/web/bar"],
        ),
        (&["**", "!dist/*.whl"], &["dist/a"], &["dist/a.whl"]),
        (
            &["*.md", "!README*.md", "README-secret.md"],
            &["a.md", "README-secret.md"],
            &["README.md"],
        ),
        (&["a", "!a/b", "a/b/c", "!a/b/c/d"], &["a/x", "a/b/c/x"], &["a/b/x", "a/b/c/d"]),
    ]);
}

#[test]
fn lines_are_read_as_docker_reads_them() {
    let text = "\u{feff}# a comment\none\n/two\n  /three/here  \n\n\t\n # no comment\n! /four/abs\n!\n! \n\
                five\\ #x\r\n./six/../seven\n/\n//eight//\n";
    let told: Vec<_> =
        lines(text.as_bytes()).into_iter().map(|(at, line)| format!("{at} {line}")).collect();
    assert_eq!(
        told,
        [
            "2 one",
            "3 two",
            "4 three/here",
            "7 # no comment",
            "8 !four/abs",
            "9 !",
            "10 !",
            "11 five\\ #x",
            "12 seven",
            "13 /",
            "14 eight",
        ]
    );
    assert!(lines(b"").is_empty());
    assert_eq!(lines(b"\xff\xfe\n").len(), 1, "bytes that are no UTF-8 are still a line");
}

#[test]
fn patterns_that_docker_refuses_are_refused() {
    let refused = |pattern: &str| Rules::of(&["ok".into(), pattern.into()]).unwrap_err().1;
    for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a[b"] {
        let clause = refused(pattern);
        assert!(clause.contains("[") || clause.contains("bare"), "{pattern}: {clause}");
    }
    assert_eq!(refused("\\"), "nothing follows its last `\\`");
    assert_eq!(refused("node_modules\\"), "nothing follows its last `\\`");
    assert_eq!(refused("!"), "nothing follows its `!`");
    assert_eq!(refused("[z-a]"), "its range from `z` goes nowhere");
    assert_eq!(refused("obj\\Release"), "`\\R` is no escape: folders are divided by `/`");
}

#[test]
fn a_folder_is_entered_only_where_an_exception_may_lead() {
    let entered = |patterns: &[&str], folder: &str| rules(patterns).may_take_back(folder);
    assert!(!entered(&["node_modules"], "node_modules"));
    assert!(entered(&["*", "!src/app"], "src"));
    assert!(entered(&["*", "!src/**"], "src"));
    assert!(!entered(&["*", "!src/app"], "docs"));
    assert!(!entered(&["*", "!source"], "src"));
    assert!(entered(&["*", "!**/a.md"], "docs"), "its text says nothing of where it leads");
    assert!(entered(&["*", "!d[o]cs"], "docs"));
    let below = |patterns: &[&str], folder: &str| rules(patterns).may_match_below(folder);
    assert!(below(&["a/b/c"], "a") && below(&["a/b/c"], "a/b") && below(&["a/*"], "a"));
    assert!(!below(&["a/b/c"], "a/x") && !below(&["a/b"], "ab"));
    assert!(below(&["*.md"], "docs"));
}

#[test]
fn no_pattern_is_slow() {
    let rules = rules(&["**/*a*a*a*a*a*a*a*a*a*a*a*a/**/*b*b*b*b*b*b*x"]);
    let path = format!("{}/{}", "a".repeat(2000), "b".repeat(2000));
    assert!(!rules.matches(&path));
}

#[test]
fn paths_are_worked_out() {
    for (path, wanted) in [
        ("", "."),
        ("a/b/", "a/b"),
        ("./a//b/./c", "a/b/c"),
        ("a/../..", ".."),
        ("../../a", "../../a"),
        ("/../a", "/a"),
        ("/", "/"),
        ("a/..", "."),
    ] {
        assert_eq!(clean(path), wanted, "{path}");
    }
}
