//! Steps as they are heard of.

use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexWarning};
use bollard_buildkit_proto::pb::{Position, ProgressGroup, Range, SourceInfo};

use super::{at, told, vertex, wrote};
use crate::docker::buildkit::lines::Masks;
use crate::docker::buildkit::progress::Progress;
use crate::docker::{Heard, StepState};

/// What is heard, one line each.
fn heard(messages: Vec<StatusResponse>) -> Vec<String> {
    let mut progress = Progress::new(Masks::default());
    let mut heard: Vec<_> = messages.into_iter().flat_map(|told| progress.take(told)).collect();
    heard.push(Heard::Warning { text: "end".into() });
    heard.extend(progress.end());
    let state = |state| match state {
        StepState::Begun => "begun".into(),
        StepState::Rests => "rests".into(),
        StepState::Cached => "cached".into(),
        StepState::Done(lasted) => format!("done {lasted:?}"),
        StepState::Failed => "failed".into(),
    };
    let line = |heard| match heard {
        Heard::Step { number, name, state: how } => format!("{number} {name}: {}", state(how)),
        Heard::Line { number, text } => format!("{number} | {text}"),
        Heard::Warning { text } => format!("! {text}"),
    };
    heard.into_iter().map(line).collect()
}

#[test]
fn a_step_begins_writes_and_ends() {
    let lines = heard(vec![
        told(vec![vertex("[1/2] RUN a", None, None), vertex("[2/2] RUN b", None, None)]),
        told(vec![vertex("[1/2] RUN a", Some(0), None)]),
        wrote("[1/2] RUN a", "one\ntw"),
        wrote("[1/2] RUN a", "o\nthree"),
        told(vec![vertex("[1/2] RUN a", Some(0), Some(1500))]),
    ]);
    let expected = [
        "1 [1/2] RUN a: begun",
        "1 | one",
        "1 | two",
        "1 | three",
        "1 [1/2] RUN a: done 1.5s",
        "! end",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_step_that_is_taken_up_again_is_done_once() {
    let after =
        Vertex { inputs: vec!["[1/2] COPY".into()], ..vertex("[2/2] RUN", Some(900), None) };
    let lines = heard(vec![
        told(vec![vertex("[1/2] COPY", Some(0), Some(1))]),
        told(vec![vertex("[1/2] COPY", Some(10), None)]),
        told(vec![vertex("[1/2] COPY", Some(10), Some(60))]),
        told(vec![after]),
    ]);
    let expected = [
        "1 [1/2] COPY: rests",
        "1 [1/2] COPY: begun",
        "1 [1/2] COPY: rests",
        "1 [1/2] COPY: done 51ms",
        "2 [2/2] RUN: begun",
        "! end",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_short_step_that_nothing_waits_for_is_told_at_the_end() {
    let lines = heard(vec![told(vec![vertex("[1/1] COPY", Some(0), Some(20))])]);
    assert_eq!(lines, ["1 [1/1] COPY: rests", "! end", "1 [1/1] COPY: done 20ms"]);
}

#[test]
fn a_short_step_that_nothing_waits_for_is_told_with_the_next() {
    let waits = Vertex { inputs: vec!["context".into()], ..vertex("[1/1] COPY", None, None) };
    let lines = heard(vec![
        told(vec![vertex("definition", Some(0), Some(1)), waits]),
        told(vec![vertex("context", Some(2), Some(3))]),
        told(vec![vertex("[2/2] FROM", Some(4), None)]),
    ]);
    let expected = [
        "1 definition: rests",
        "1 definition: done 1ms",
        "2 context: rests",
        "3 [2/2] FROM: begun",
        "! end",
        "2 context: done 1ms",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn steps_that_are_cached_or_fail_say_so_once() {
    let cached = Vertex { cached: true, ..vertex("[1/2] COPY", Some(0), Some(0)) };
    let failed = Vertex { error: "exit code: 1".into(), ..vertex("[2/2] RUN", Some(1), Some(2)) };
    let lines = heard(vec![
        told(vec![cached.clone()]),
        told(vec![cached]),
        told(vec![failed.clone()]),
        told(vec![failed]),
    ]);
    assert_eq!(lines, ["1 [1/2] COPY: cached", "2 [2/2] RUN: failed", "! end"]);
}

#[test]
fn a_cache_that_cannot_be_read_says_why() {
    let name = "importing cache manifest from registry:5000/cache";
    let words = "failed to authorize: 401 Unauthorized";
    let failed = Vertex { error: words.into(), ..vertex(name, Some(0), Some(3)) };
    let lines = heard(vec![told(vec![failed])]);
    let warning = format!("! the cache is not read, and the build goes on: {words}");
    assert_eq!(lines, [format!("1 {name}: failed"), warning, "! end".into()]);
}

#[test]
fn several_in_a_group_are_one_and_weak_ones_alone_are_none() {
    let member = |digest: &str, weak, began: i64, ended| Vertex {
        progress_group: Some(ProgressGroup {
            id: "g".into(),
            name: "[1/1] COPY --link".into(),
            weak,
        }),
        digest: digest.into(),
        ..vertex("inner", Some(began), Some(ended))
    };
    assert_eq!(heard(vec![told(vec![member("a", true, 0, 1)])]), ["! end"]);
    let lines =
        heard(vec![told(vec![member("a", true, 0, 100)]), told(vec![member("b", false, 50, 400)])]);
    assert_eq!(lines, ["1 [1/1] COPY --link: done 400ms", "! end"]);
}

#[test]
fn a_warning_names_its_line() {
    let warning = |short: &str| VertexWarning {
        short: short.into(),
        info: Some(SourceInfo { filename: "Dockerfile".into(), ..SourceInfo::default() }),
        ranges: vec![Range { start: Some(Position { line: 3, character: 0 }), end: None }],
        ..VertexWarning::default()
    };
    let warnings = vec![warning("Empty continuation line"), warning("Casing (line 3)")];
    let lines = heard(vec![StatusResponse { warnings, ..StatusResponse::default() }]);
    assert_eq!(lines, ["! Dockerfile:3: Empty continuation line", "! Casing (line 3)", "! end"]);
}

#[test]
fn a_secret_is_heard_nowhere() {
    let secrets = [("t".to_owned(), "hunter22".into())].into();
    let mut progress = Progress::new(Masks::new(&secrets, &[], &[]));
    let failed = Vertex {
        digest: "d".into(),
        name: "RUN echo hunter22".into(),
        error: "process \"echo hunter22\"".into(),
        started: at(0),
        completed: at(1),
        ..Vertex::default()
    };
    let mut said = format!("{:?}", progress.take(told(vec![failed])));
    said += &format!("{:?}", progress.take(wrote("d", "hunt")));
    said += &format!("{:?}", progress.take(wrote("d", "er22\n")));
    said += &format!("{:?}", progress.failed());
    said += &format!("{:?}", progress.end());
    assert!(said.contains("***") && !said.contains("hunter22"), "{said}");
}
