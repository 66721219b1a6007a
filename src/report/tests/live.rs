//! What is said while a step goes on: in a log now and then, at a terminal all the time.

use super::scenes::*;
use super::*;

#[test]
fn a_long_build_is_heard_of_every_thirty_seconds() {
    let working = |took: f64, text: &str| {
        ("", Event::Working { step: Step::Build, took: seconds(took), text: text.into() })
    };
    let mut events: Vec<_> =
        [1.0, 29.0, 30.2, 45.0, 95.0].map(|took| working(took, "#7 RUN mvn package")).into();
    events.push(("", step(Step::Build, 101.0, "linux/amd64, 182 MB")));
    insta::assert_snapshot!(page(LOG, events.clone()).stderr, @r"
build    30 s so far  #7 RUN mvn package
build    1m 35s so far  #7 RUN mvn package
build    1m 41s  linux/amd64, 182 MB
");
    let look = Look::Terminal { columns: 100, colour: false };
    let text = page(Seat { look, ..PIPE }, events).stderr;
    assert_eq!(text.matches("so far").count(), 5);
    assert!(text.ends_with("\u{1b}[1A\u{1b}[2Kbuild    1m 41s  linux/amd64, 182 MB\n"), "{text:?}");
}

#[test]
fn lines_of_a_build_stay_above_what_goes_on() {
    let working = |took: f64, text: &str| Event::Working {
        step: Step::Build,
        took: seconds(took),
        text: text.into(),
    };
    let events = vec![
        ("", opened("./Dockerfile for linux/amd64")),
        ("", working(0.1, "#1 [1/2] COPY . .")),
        ("", lines(&["#1 [1/2] COPY . ."])),
        ("", working(35.0, "#2 [2/2] RUN make")),
        ("", lines(&["#2 [2/2] RUN make  1m 2s"])),
        ("", Event::Closed { source: Source::Build }),
        ("", step(Step::Build, 62.4, "linux/amd64, 182 MB")),
    ];
    insta::assert_snapshot!(as_read(&page(LOG, events.clone()).stderr), @"
    ::group::build: ./Dockerfile for linux/amd64
    | #1 [1/2] COPY . .
    build    35 s so far  #2 [2/2] RUN make
    | #2 [2/2] RUN make  1m 2s
    ::endgroup::
    build    1m 2s  linux/amd64, 182 MB
    ");
    let look = Look::Terminal { columns: 100, colour: false };
    let text = page(Seat { look, ..PIPE }, events).stderr.replace("\u{1b}[1A\u{1b}[2K", "^");
    insta::assert_snapshot!(text, @"
    build: ./Dockerfile for linux/amd64
    build    0 s so far  #1 [1/2] COPY . .
    ^| #1 [1/2] COPY . .
    build    0 s so far  #1 [1/2] COPY . .
    ^build    35 s so far  #2 [2/2] RUN make
    ^| #2 [2/2] RUN make  1m 2s
    build    35 s so far  #2 [2/2] RUN make
    ^build    35 s so far  #2 [2/2] RUN make
    ^build    1m 2s  linux/amd64, 182 MB
    ");
}

#[test]
fn live_lines_of_several_services_stay_below_the_talk() {
    let look = Look::Terminal { columns: 100, colour: false };
    let events = vec![
        ("cart", rollout(0.4, 0, 3, 0, None)),
        ("user", rollout(0.5, 1, 2, 0, None)),
        ("cart", Event::Watched { at: seconds(2.0), text: "x2kqp exited 1, twice".into() }),
        ("user", rollout(3.0, 2, 1, 0, None)),
    ];
    let text = page(Seat { look, ..PIPE }, events).stderr.replace("\u{1b}[1A\u{1b}[2K", "^");
    insta::assert_snapshot!(text, @r"
watch
  +0.4s   cart: 0/3 new, 3 old ready
^  +0.4s   cart: 0/3 new, 3 old ready
  +0.5s   user: 1/3 new, 2 old ready
^^  +0.4s   cart: 0/3 new, 3 old ready
  +2.0s   cart: x2kqp exited 1, twice
  +0.5s   user: 1/3 new, 2 old ready
^  +3.0s   user: 2/3 new, 1 old ready
");
}
