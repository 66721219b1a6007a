//! The door's commands as the runner reads them, and its silence off a runner.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a door with this runner writes into its log.
fn log(runner: Runner, talk: impl FnOnce(&mut Door)) -> String {
    let sink = Sink::default();
    talk(&mut Door::new(runner, Box::new(sink.clone())));
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

fn listening() -> Runner {
    Runner { listens: true, ..Runner::default() }
}

#[test]
fn data_and_properties_are_escaped() {
    assert_eq!(data("100%\r\na:b,c"), "100%25%0D%0Aa:b,c");
    assert_eq!(property("100%\r\na:b,c"), "100%25%0D%0Aa%3Ab%2Cc");
}

#[test]
fn a_secret_is_masked_whole_and_line_by_line() {
    let text = log(listening(), |door| door.mask("first%line\nsecond-line\r\nshort\n"));
    let expected = "::add-mask::first%25line%0Asecond-line%0D%0Ashort\n\
                    ::add-mask::first%25line\n\
                    ::add-mask::second-line\n";
    assert_eq!(text, expected);
}

#[test]
fn a_value_that_is_no_secret_is_never_masked() {
    let table =
        ["", "   \n ", "true", "1234567", "ap-northeast-2", "us-east-1", "production", "********"];
    for value in table {
        assert_eq!(log(listening(), |door| door.mask(value)), "", "{value:?}");
    }
    assert_eq!(
        log(listening(), |door| door.mask(" 12345678 ")),
        "::add-mask::12345678\n",
        "a secret has no spaces around it"
    );
}

#[test]
fn masked_secrets_are_veiled_off_a_runner_too() {
    log(Runner::default(), |door| {
        assert_eq!(door.veiled("the first-secret"), "the first-secret");
        door.mask("first-secret");
        door.mask("first-secret-and-more");
        door.mask("true");
        let text = "a first-secret-and-more, first-secret, true";
        assert_eq!(door.veiled(text), "a ***, ***, true");
    });
}

#[test]
fn foreign_lines_stand_inside_a_fence_that_nobody_can_close() {
    let shown = foreign::last_lines(&["::stop-commands::x", "::x::", "plain"]);
    let fold = |door: &mut Door| {
        door.foreign(&shown);
        door.end_group();
    };
    let texts = [(); 2].map(|()| log(listening(), fold));
    for text in &texts {
        let lines: Vec<_> = text.lines().collect();
        let [open, forged @ .., close, end] = lines.as_slice() else { panic!("{text}") };
        let token = open.strip_prefix("::stop-commands::").unwrap();
        assert_eq!(token.len(), 32);
        assert_eq!((*close, *end), (format!("::{token}::").as_str(), "::endgroup::"));
        assert_eq!(forged, ["| ::stop-commands::x", "| ::x::", "| plain"]);
    }
    assert_ne!(texts[0], texts[1], "each fence has its own token");
}

#[test]
fn ten_annotations_of_a_kind_are_said_and_the_next_one_is_not() {
    let text = log(listening(), |door| {
        for n in 0..12 {
            door.annotation(Severity::Warning, "SW-X", &format!("number {n}"), None);
        }
        door.annotation(Severity::Error, "SW-Y", "another kind", None);
    });
    assert_eq!(text.lines().count(), 11);
    assert!(text.ends_with("::warning title=SW-X::number 9\n::error title=SW-Y::another kind\n"));
}

#[test]
fn an_annotation_is_cut_and_escaped() {
    let text = log(listening(), |door| {
        let message = format!("50%\n{}", "x".repeat(5000));
        door.annotation(Severity::Error, "a:b,c", &message, Some(("dir/a,b.yml", 3, 9)));
    });
    let (head, message) = text.trim_end().split_once("::50%25%0A").unwrap();
    assert_eq!(head, "::error file=dir/a%2Cb.yml,line=3,col=9,title=a%3Ab%2Cc");
    assert_eq!(message.len(), MOST_MESSAGE - 4);
    assert!(message.ends_with("x..."));
}

#[test]
fn words_that_come_one_by_one_are_behind_one_fence() {
    let line = |text: &str| foreign::last_lines(&[text]);
    let text = log(listening(), |door| {
        door.group("build: web");
        door.foreign(&line("::error::x"));
        door.line("build    30 s so far");
        door.foreign(&line("two"));
        door.mask("a-long-enough-secret");
        door.foreign(&line("three"));
        door.end_group();
    });
    let fence = |n: usize| {
        let said = text.lines().filter_map(|line| line.strip_prefix("::stop-commands::"));
        said.collect::<Vec<_>>()[n]
    };
    let (one, other) = (fence(0), fence(1));
    assert_ne!(one, other);
    let expected = [
        "::group::build: web".into(),
        format!("::stop-commands::{one}"),
        "| ::error::x".into(),
        "build    30 s so far".into(),
        "| two".into(),
        format!("::{one}::"),
        "::add-mask::a-long-enough-secret".into(),
        format!("::stop-commands::{other}"),
        "| three".into(),
        format!("::{other}::"),
        "::endgroup::".into(),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn off_a_runner_everything_is_plain() {
    let text = log(Runner::default(), |door| {
        door.mask("a-long-enough-secret");
        door.group("evidence: web");
        door.foreign(&foreign::last_lines(&["::error::x"]));
        door.end_group();
        door.annotation(Severity::Error, "SW-X", "no", None);
        door.outputs(&[("outcome", "shipped".into())]);
        door.line("done");
    });
    assert_eq!(text, "evidence: web\n| ::error::x\ndone\n");
}

#[test]
fn a_line_of_ours_never_becomes_a_command() {
    let text = log(listening(), |door| {
        door.line("::error::x");
        door.line("a\n::error::x ##[error]y");
    });
    assert_eq!(text, "| ::error::x\na ::error::x ## [error]y\n");
}

#[test]
fn an_output_cannot_set_another_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let runner = Runner { output: Some(file.path().into()), ..listening() };
    log(runner, |door| {
        door.outputs(&[("plan", "EOF\nowned=1\nplan<<EOF".into()), ("code", String::new())])
    });
    let text = std::fs::read_to_string(file.path()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let [first, "EOF", "owned=1", "plan<<EOF", end, second, "", other] = lines.as_slice() else {
        panic!("{text}")
    };
    assert_eq!(*first, format!("plan<<{end}"));
    assert_eq!(*second, format!("code<<{other}"));
    assert_ne!(end, other);
}

#[test]
fn a_file_that_cannot_be_written_is_said_and_nothing_more() {
    let gone = Some(PathBuf::from("/no/such/folder/file"));
    let runner = Runner { output: gone.clone(), summary: gone, ..listening() };
    let text = log(runner, |door| {
        door.outputs(&[("outcome", "shipped".into())]);
        door.summary(&["### shipped\n".into()]);
    });
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "not written: outputs (/no/such/folder/file: No such file or directory (os error 2))",
            "::warning title=not written::outputs (/no/such/folder/file: No such file or directory (os error 2))",
        ]
    );
    assert!(lines[2].starts_with("not written: summary ("), "{}", lines[2]);
}

#[test]
fn a_summary_stays_under_the_runners_limit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x".repeat(500_000)).unwrap();
    let runner = Runner { summary: Some(file.path().into()), ..listening() };
    let sections = ["### first\n".to_owned(), "y".repeat(600_000), "last".into()];
    let said = log(runner, |door| door.summary(&sections));
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert!(text.len() < 1024 * 1024);
    assert!(text.ends_with("x### first\n\n2 sections left out: a summary holds 1 MiB\n"));
    assert_eq!(said, "");
}

#[test]
fn the_runners_variables_count_only_on_a_runner() {
    let variables = |actions: &'static str| {
        move |name: &str| match name {
            "GITHUB_ACTIONS" => Some(actions.to_owned()),
            "GITHUB_OUTPUT" => Some("/tmp/out".to_owned()),
            "GITHUB_STEP_SUMMARY" => Some(String::new()),
            _ => None,
        }
    };
    let on = Runner::read(&variables("true"));
    assert!(on.listens && on.output == Some("/tmp/out".into()) && on.summary.is_none());
    let off = Runner::read(&variables(""));
    assert!(!off.listens && off.output.is_none());
}
