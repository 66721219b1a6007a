//! Dockerfiles and what is known of them before they are built.

use insta::assert_snapshot;
use tempfile::TempDir;

use super::*;
use crate::names::Platform;

fn parsed(text: &str) -> Dockerfile {
    Dockerfile::parsed("Dockerfile".into(), "sha256:0".into(), text.into()).unwrap()
}

fn args(pairs: &[(&str, &str)]) -> Args {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// A build of the last stage for arm64 on an amd64 machine.
fn with_wish<T>(target: Option<&str>, args: &Args, each: impl FnOnce(Wish<'_>) -> T) -> T {
    let (native, wanted) = (platform("linux/amd64"), platform("linux/arm64"));
    each(Wish { target, args, native: &native, wanted: &wanted })
}

/// What runs there, in a word: `no`, the line, or why it is not known.
fn runs(text: &str, target: Option<&str>, given: &[(&str, &str)]) -> String {
    match with_wish(target, &args(given), |wish| parsed(text).runs_there(wish)) {
        Runs::No => "no".into(),
        Runs::Yes { line, instruction } => format!("{line} {instruction}"),
        Runs::Unknown { why } => format!("unknown: {why}"),
    }
}

fn told(failure: &Failure, at: &Path) -> String {
    let Failure { code, what, why, next } = failure;
    let text = format!("{code}: {what}\nwhy:  {}\nnext: {}", why.join("\n      "), next.join("\n"));
    text.replace(&at.display().to_string(), "@@AT@@")
}

fn steps(text: &str) -> Vec<String> {
    let read = lines::read(text).unwrap();
    let shown = |step: &Instruction| {
        let flags: String = step.flags.iter().map(|flag| format!(" <{flag}>")).collect();
        format!("{} {}{flags} {}", step.line, step.word, step.rest)
    };
    read.instructions.iter().map(shown).collect()
}

#[test]
fn lines_are_joined_and_comments_between_them_are_none() {
    assert_eq!(
        steps(
            "\u{feff}# hello\nfrom a\r\n\n  run one \\\n # not this\n\n   two \\  \r\n\\\n three\nRUN a \\\\\nCMD x"
        ),
        ["2 FROM a", "4 RUN one    two  three", "10 RUN a \\\\", "11 CMD x"]
    );
    assert_eq!(
        steps("# escape=`\nFROM a\nRUN dir c:\\\nRUN one `\n  two"),
        ["2 FROM a", "3 RUN dir c:\\", "4 RUN one   two"]
    );
    assert_eq!(steps("FROM a\nRUN ends \\"), ["1 FROM a", "2 RUN ends"]);
    assert_eq!(steps("#\n\n   \nFROM a # not a comment\n"), ["4 FROM a # not a comment"]);
}

#[test]
fn heredocs_belong_to_their_instruction() {
    let text = "FROM a\nRUN <<EOF cat >x && <<-\"END\" cat\nFROM b\nEOF\n\tRUN c\n\tEND\nCOPY <<'x' /y\nRUN d\nx\n\
                ONBUILD RUN <<z\nFROM e\nz\nRUN [\"sh\", \"<<EOF\"]\nRUN echo \"<<no\" $((1 << 2))\nENV A=<<EOF\nLABEL b=c";
    assert_eq!(
        steps(text),
        [
            "1 FROM a",
            "2 RUN <<EOF cat >x && <<-\"END\" cat",
            "7 COPY <<'x' /y",
            "10 ONBUILD RUN <<z",
            "13 RUN [\"sh\", \"<<EOF\"]",
            "14 RUN echo \"<<no\" $((1 << 2))",
            "15 ENV A=<<EOF",
            "16 LABEL b=c",
        ]
    );
    let read = lines::read(text).unwrap();
    assert_eq!(read.instructions[1].heredocs, [(3, 3), (5, 5)]);
}

#[test]
fn flags_are_taken_off() {
    assert_eq!(
        steps("RUN --mount=type=secret,id=a --network=none -- --x y"),
        ["1 RUN <--mount=type=secret,id=a> <--network=none> --x y"]
    );
    assert_eq!(
        steps("RUN --mount=\"type=cache,target=/a b\" \\\n  --mount='type=tmpfs' make --all"),
        ["1 RUN <--mount=type=cache,target=/a b> <--mount=type=tmpfs> make --all"]
    );
}

#[test]
fn directives_are_read_at_the_top_alone() {
    let syntax = |text: &str| lines::read(text).unwrap().syntax;
    assert_eq!(syntax("#syntax=a/b:1\nFROM x").as_deref(), Some("a/b:1"));
    assert_eq!(syntax("# escape=`\n#  SyntaX  =  a/b extra \nFROM x").as_deref(), Some("a/b"));
    assert_eq!(syntax("# a comment\n# syntax=a/b\nFROM x"), None);
    assert_eq!(syntax("\n# syntax=a/b\nFROM x"), None);
    assert_eq!(lines::read("# escape=x\n").unwrap_err().0, 1);
    assert_eq!(lines::read("# escape=`\n# escape=`\n").unwrap_err().0, 2);
}

#[test]
fn variables_are_filled_in_as_the_builder_does() {
    let values = args(&[("A", "x"), ("EMPTY", "")]);
    let filled = |word: &str| words::filled(word, &values, '\\').unwrap();
    for (word, wanted) in [
        ("a$A/b", "ax/b"),
        ("${A}b", "xb"),
        ("${B:-y}", "y"),
        ("${B-y}${EMPTY-z}${EMPTY:-w}", "yw"),
        ("${A:+set}${B:+set}${EMPTY+set}", "setset"),
        ("${B:-${A}-1}", "x-1"),
        ("'$A'\"$A\"", "$Ax"),
        ("\\$A", "$A"),
        ("$", "$"),
        ("$B", ""),
        ("${A:?needed}", "x"),
    ] {
        assert_eq!(filled(word), wanted, "{word}");
    }
    for word in ["${A#x}", "${A", "${}", "${B:?needed}", "'a", "\"a"] {
        assert!(words::filled(word, &values, '\\').is_err(), "{word}");
    }
}

#[test]
fn what_runs_there_is_a_run_in_a_stage_that_is_reached() {
    assert_eq!(runs("FROM a\nCOPY . .", None, &[]), "no");
    assert_eq!(runs("FROM a\nRUN apk add \\\n curl", None, &[]), "2 RUN apk add curl");
    assert_eq!(runs("FROM a AS b\nRUN x\nFROM scratch\nCOPY y /", None, &[]), "no");
    assert_eq!(runs("FROM a AS b\nRUN x\nFROM scratch\nCOPY --from=b y /", None, &[]), "2 RUN x");
    assert_eq!(runs("FROM a\nRUN x\nFROM scratch\nCOPY --from=0 y /", None, &[]), "2 RUN x");
    assert_eq!(runs("FROM a AS B\nRUN x\nFROM b\nCMD y", None, &[]), "2 RUN x");
    assert_eq!(runs("FROM a AS b\nCMD c\nFROM b AS d\nRUN x", Some("B"), &[]), "no");
    let mounted =
        "FROM a AS b\nRUN x\nFROM --platform=$BUILDPLATFORM c\nRUN --mount=from=b,target=/b y";
    assert_eq!(runs(mounted, None, &[]), "2 RUN x");
    assert_eq!(runs("FROM a AS b\nONBUILD RUN x\nFROM b\nCMD y", None, &[]), "2 RUN x");
    assert_eq!(runs("FROM a\nONBUILD RUN x", None, &[]), "no");
    assert_eq!(runs("FROM a\nRUN <<EOF\nx\nEOF", None, &[]), "2 RUN <<EOF");
}

#[test]
fn what_runs_on_the_builders_own_machine_runs_nowhere_else() {
    let cross = "FROM --platform=$BUILDPLATFORM golang AS build\nARG TARGETARCH\nRUN go build\n\
                 FROM scratch\nCOPY --from=build /a /a";
    assert_eq!(runs(cross, None, &[]), "no");
    assert_eq!(runs("FROM --platform=linux/amd64 a\nRUN x", None, &[]), "no");
    assert_eq!(runs("FROM --platform=amd64 a\nRUN x", None, &[]), "no");
    assert_eq!(runs("FROM --platform=linux/386 a\nRUN x", None, &[]), "no");
    assert_eq!(runs("FROM --platform=$TARGETPLATFORM a\nRUN x", None, &[]), "2 RUN x");
    assert_eq!(runs("FROM --platform=linux/riscv64 a\nRUN x", None, &[]), "2 RUN x");
    let inherited = "FROM --platform=$BUILDPLATFORM a AS b\nFROM b\nRUN x";
    assert_eq!(runs(inherited, None, &[]), "no");
    let argument = "ARG WHERE=$TARGETPLATFORM\nFROM --platform=${WHERE:-linux/amd64} a\nRUN x";
    assert_eq!(runs(argument, None, &[]), "3 RUN x");
    assert_eq!(runs(argument, None, &[("WHERE", "linux/amd64")]), "no");
    let chosen = "FROM scratch AS base-arm64\nFROM a AS base-amd64\nRUN x\nFROM base-${TARGETARCH}";
    assert_eq!(runs(chosen, None, &[]), "no");
    let native = platform("linux/amd64");
    let none = Args::new();
    let wish = Wish { target: None, args: &none, native: &native, wanted: &native };
    assert_eq!(parsed("FROM a\nRUN x").runs_there(wish), Runs::No);
}

#[test]
fn what_only_the_builder_knows_is_not_guessed_at() {
    assert_eq!(
        runs("# syntax=acme/front:1\nanything", None, &[]),
        "unknown: `acme/front:1` reads this file, and only it knows what it runs"
    );
    let chosen = runs("FROM a\nCMD x", None, &[("BUILDKIT_SYNTAX", "acme/front")]);
    assert!(chosen.starts_with("unknown: `acme/front` reads"), "{chosen}");
    for usual in [
        "docker/dockerfile:1",
        "docker.io/docker/dockerfile:1.7-labs@sha256:0",
        "docker/dockerfile-upstream:master",
        "123.dkr.ecr.eu-west-1.amazonaws.com/docker/dockerfile:1",
    ] {
        assert_eq!(runs(&format!("# syntax={usual}\nFROM a"), None, &[]), "no", "{usual}");
    }
    assert_eq!(
        runs("FROM --platform=${X%/*} a\nRUN x", None, &[]),
        "unknown: line 1: `--platform=${X%/*}`: `${X` is cut or replaced in a way that only the builder knows"
    );
    assert_eq!(
        runs("FROM --platform=$NOTHING a\nRUN x", None, &[]),
        "unknown: line 1: `--platform=$NOTHING`: it is empty"
    );
    assert_eq!(runs("FROM a", Some("b"), &[]), "unknown: `Dockerfile` has no stage `b`");
}

#[test]
fn secrets_arguments_bases_and_mounts_are_found() {
    let text = "ARG TAG=1\nARG UNUSED\nFROM node:${TAG} AS build\nARG NPM_MIRROR=x OTHER\n\
        RUN --mount=type=secret,id=npm,required --mount=type=cache,target=/c npm ci\n\
        RUN --mount=type=secret,id=npm --mount=type=secret,target=/run/secrets/aws,required=false x\n\
        RUN --mount=type=secret,source=src --mount=type=secret,id=$X,env=Y z\n\
        FROM alpine AS unreached\nRUN --mount=type=secret,id=never x\n\
        FROM scratch\nCOPY --from=build /a /a\nCOPY --from=busybox:1.36 /bin/sh /sh\nCOPY --from=build /b /b";
    let file = parsed(text);
    let none = Args::new();
    let secrets = with_wish(None, &none, |wish| file.secrets(wish)).unwrap();
    let shown: Vec<_> =
        secrets.iter().map(|s| format!("{} {} {}", s.id, s.required, s.line)).collect();
    assert_eq!(shown, ["npm true 5", "aws false 6", "src false 7"]);
    let bases = with_wish(None, &none, |wish| file.bases(wish)).unwrap();
    let shown: Vec<_> = bases.iter().map(|base| format!("{} {}", base.image, base.line)).collect();
    assert_eq!(shown, ["node:1 3", "busybox:1.36 12"]);
    let reached = with_wish(None, &none, |wish| {
        file.reachable(wish).unwrap().iter().map(|stage| stage.line).collect::<Vec<_>>()
    });
    assert_eq!(reached, [3, 10]);
    assert_eq!(
        file.args().into_iter().collect::<Vec<_>>(),
        ["NPM_MIRROR", "OTHER", "TAG", "UNUSED"]
    );
    let given =
        args(&[("TAG", "2"), ("TGA", "3"), ("http_proxy", "p"), ("BUILDKIT_INLINE_CACHE", "1")]);
    assert_eq!(file.unread(&given), ["TGA"]);
    let needs = |text: &str| {
        with_wish(None, &none, |wish| parsed(text).needs_buildkit(wish, false)).unwrap()
    };
    assert_eq!(with_wish(None, &none, |wish| file.needs_buildkit(wish, false)).unwrap(), Some(5));
    assert_eq!(needs("FROM a\nCOPY --chown=1:1 --from=b c d\nRUN e"), None);
    assert_eq!(needs("FROM a\nCOPY --link c d"), Some(2));
    let heredoc = "FROM a\nFROM b AS c\nCOPY <<x /y\nz\nx";
    assert_eq!(needs(heredoc), Some(3));
    let knows = with_wish(None, &none, |wish| parsed(heredoc).needs_buildkit(wish, true)).unwrap();
    assert_eq!(knows, None);
    assert_eq!(parsed(&format!("{heredoc}\nFROM d")).heredoc(), Some(3));
    assert_eq!(parsed("FROM a\nRUN cat <<<x").heredoc(), None);
}

#[test]
fn stages_that_lead_in_a_circle_end() {
    assert_eq!(runs("FROM a AS b\nCOPY --from=c x y\nFROM b AS c\nCMD z", None, &[]), "no");
    assert_eq!(runs("FROM scratch\nCOPY --from=9 x y", None, &[]), "no");
}

#[test]
fn a_file_that_is_not_there_is_told_with_those_that_are() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    let failure = |name: &str| told(&Dockerfile::read(&at.join(name)).unwrap_err(), at);
    assert_snapshot!(failure("Dockerfile"), @"
    SW-BUILD-FILE: `@@AT@@/Dockerfile` is not there
    why:  `@@AT@@` has no file that looks like one
    next: name it in `file`, or name an image that exists in `image`
    ");
    assert_snapshot!(failure("no/Dockerfile"), @"
    SW-BUILD-FILE: `@@AT@@/no/Dockerfile` is not there
    why:  nor is the folder `@@AT@@/no`
    next: correct `file`, or check the repository out before this step
    ");
    std::fs::write(at.join("Dockerfile.prod"), "FROM a").unwrap();
    std::fs::write(at.join("Dockerfile.prod.dockerignore"), "x").unwrap();
    assert_snapshot!(failure("Dockerfile"), @"
    SW-BUILD-FILE: `@@AT@@/Dockerfile` is not there
    why:  `@@AT@@` has `Dockerfile.prod`
    next: did you mean `file: @@AT@@/Dockerfile.prod`?
    ");
    std::fs::write(at.join("Containerfile"), "FROM a").unwrap();
    assert_snapshot!(failure("Dockerfile.pord"), @"
    SW-BUILD-FILE: `@@AT@@/Dockerfile.pord` is not there
    why:  `@@AT@@` has `Containerfile`, `Dockerfile.prod`
    next: did you mean `file: @@AT@@/Dockerfile.prod`?
    ");
    assert_snapshot!(failure("Makefile"), @"
    SW-BUILD-FILE: `@@AT@@/Makefile` is not there
    why:  `@@AT@@` has `Containerfile`, `Dockerfile.prod`
    next: name it in `file`, or name an image that exists in `image`
    ");
    std::fs::create_dir(at.join("Dockerfile")).unwrap();
    assert_snapshot!(failure("Dockerfile"), @"
    SW-BUILD-FILE: `@@AT@@/Dockerfile` cannot be read
    why:  Is a directory (os error 21)
    next: let `file` name a Dockerfile that this user may read, not `@@AT@@/Dockerfile`
    ");
}

#[test]
fn the_lower_case_stands_in_and_the_digest_is_that_of_the_bytes() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("dockerfile"), "FROM a\n").unwrap();
    let read = Dockerfile::read(&dir.path().join("Dockerfile")).unwrap();
    assert!(read.path().ends_with("dockerfile"));
    assert_eq!(read.digest(), format!("sha256:{}", hex::encode(Sha256::digest(b"FROM a\n"))));
    assert_eq!(read.stages()[0].base, "a");
}

#[test]
fn a_file_that_cannot_be_built_is_told() {
    let failure = |text: &str| {
        let read = Dockerfile::parsed("Dockerfile".into(), String::new(), text.into());
        told(&read.unwrap_err(), Path::new("@"))
    };
    assert_snapshot!(failure(" \n\n"), @"
    SW-BUILD-FILE: `Dockerfile` is empty
    why:  it has no line with anything on it
    next: write its first line: FROM IMAGE
    ");
    assert_snapshot!(failure("# nothing\nARG X\n"), @"
    SW-BUILD-FILE: `Dockerfile` has no `FROM`
    why:  a Dockerfile begins with the image that it builds on
    next: write its first line: FROM IMAGE
    ");
    let mut all = String::new();
    for text in [
        "FORM scratch\n",
        "# a\nARG X\nfrm a AS b\nCOPY a b\n",
        "RUNN a\nfron b",
        "hello world",
        "PASSWORD=a",
        "RUN a",
    ] {
        all += &format!("{}\n", failure(text));
    }
    assert_snapshot!(all, @r#"
    SW-BUILD-FILE: line 1 of `Dockerfile` cannot be used
    why:  "FORM" is no instruction, and there is no `FROM`
    next: did you mean `FROM`? correct line 1 of `Dockerfile`
    SW-BUILD-FILE: line 3 of `Dockerfile` cannot be used
    why:  "frm" is no instruction, and there is no `FROM`
    next: did you mean `FROM`? correct line 3 of `Dockerfile`
    SW-BUILD-FILE: line 2 of `Dockerfile` cannot be used
    why:  "fron" is no instruction, and there is no `FROM`
    next: did you mean `FROM`? correct line 2 of `Dockerfile`
    SW-BUILD-FILE: `Dockerfile` has no `FROM`
    why:  line 1: "hello" is no instruction of a Dockerfile
    next: let `file` name a Dockerfile, or write its first line: FROM IMAGE
    SW-BUILD-FILE: `Dockerfile` has no `FROM`
    why:  line 1 is no instruction of a Dockerfile
    next: let `file` name a Dockerfile, or write its first line: FROM IMAGE
    SW-BUILD-FILE: `Dockerfile` has no `FROM`
    why:  a Dockerfile begins with the image that it builds on
    next: write its first line: FROM IMAGE
    "#);
    assert_snapshot!(failure("FROM a\nRUN <<EOF\nx\n"), @"
    SW-BUILD-FILE: line 2 of `Dockerfile` cannot be used
    why:  its heredoc `EOF` does not end
    next: correct line 2 of `Dockerfile`
    ");
}

#[test]
fn a_target_that_is_not_there_is_told_with_those_that_are() {
    let failure = |text: &str, target: &str| {
        told(&parsed(text).target(Some(target)).unwrap_err(), Path::new("@"))
    };
    assert_snapshot!(failure("FROM a AS test\nFROM b AS prod", "prdo"), @"
    SW-BUILD-FILE: `Dockerfile` has no stage `prdo`
    why:  its stages are `test`, `prod`
    next: did you mean `target: prod`?
    ");
    assert_snapshot!(failure("FROM a AS test\nFROM b AS prod", "release"), @"
    SW-BUILD-FILE: `Dockerfile` has no stage `release`
    why:  its stages are `test`, `prod`
    next: correct `target`, or leave it out for the last stage
    ");
    assert_snapshot!(failure("FROM a", "prod"), @"
    SW-BUILD-FILE: `Dockerfile` has no stage `prod`
    why:  none of its stages has a name: `FROM … AS NAME` gives one
    next: correct `target`, or leave it out for the last stage
    ");
    assert_eq!(parsed("FROM a AS x\nFROM b AS y").target(Some("X")).unwrap(), 0);
}
