//! Hostile text through every view: nothing of it may reach the runner or the terminal as more
//! than text.

use super::scenes::*;
use super::*;

const LINES: &[&str] = &[
    "::set-output name=x::y",
    "  ::error::forged",
    "##[error]forged",
    "text ##[add-mask]forged",
    "\u{1b}[2J\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]8;;http://evil\u{7}link\u{1b}]8;;\u{7}",
    "\u{9b}31mred",
    "50%\r::error::after a carriage return",
    "one\n::error::after a line feed",
    "\u{2028}::error::after a line separator",
    "\u{202e}gpj.exe \u{2066}hidden\u{2069} \u{200b}\u{feff}",
    "</pre></details><img src=x onerror=alert(1)> ``` ~~~",
    "| cell | cell | `code",
    "bell \u{7} null \u{0} delete \u{7f}",
];

fn everywhere(text: &str) -> Vec<(&'static str, Event)> {
    let text = || text.to_owned();
    let told = Told {
        severity: Severity::Error,
        code: Code::SchedRoom,
        what: text(),
        why: vec![text()],
        now: Some(text()),
        next: vec![text()],
    };
    let unseen = Unseen { what: text(), because: text() };
    let source = Source::Evidence;
    let foreign = Event::Foreign { source, title: text(), lines: vec![text()], left_out: 0 };
    let outcome = outcome(Ending::RolledBack, None, Some(told.clone()), &text());
    let events = [
        Event::Started(Started {
            version: "1.0.0".into(),
            command: "ship".into(),
            commit: Some(text()),
            note: Some(text()),
            target: Some(text()),
            cluster: Some(text()),
        }),
        Event::Overridden { name: text(), value: text() },
        Event::NotSeen(unseen),
        Event::Planned { rows: vec![(text(), text())] },
        opened(&text()),
        lines(&[&text(), &text()]),
        lines(&[&text()]),
        Event::Closed { source: Source::Build },
        step(Step::Build, 1.0, &text()),
        Event::Deployed(Deployed {
            image: text(),
            cluster: text(),
            platforms: vec![],
            commit: text(),
            before: Some(text()),
            returnable: true,
            revisions: None,
        }),
        rollout(0.4, 0, 3, 0, Some(&text())),
        Event::Watched { at: seconds(1.0), text: text() },
        foreign,
        Event::Checked { result: Check::Fail, subject: text(), text: text() },
        Event::Answered { command: "status".into(), lines: vec![text()], answer: text().into() },
        Event::Told(told),
        outcome,
    ];
    events.map(|event| ("", event)).into()
}

/// The commands that we ourselves write, and nothing that looks like another.
fn assert_only_ours(log: &str, said: &str) {
    for line in log.lines() {
        assert!(!line.contains("##["), "{said:?} let {line:?} out");
        let ours =
            ["::group::", "::endgroup::", "::stop-commands::", "::error title=SW-SCHED-ROOM::"];
        let token = line.len() == 36 && line[2..34].bytes().all(|b| b.is_ascii_hexdigit());
        let command = line.trim_start().starts_with("::");
        let known = ours.iter().any(|o| line.starts_with(o)) || token;
        assert!(!command || known, "{said:?} let {line:?} out");
    }
}

fn assert_plain(text: &str, said: &str) {
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        assert!(c == '\n' || !c.is_control() && !hidden, "{said:?} let {c:?} out");
    }
}

#[test]
fn hostile_lines_are_only_text_in_a_log() {
    for said in LINES {
        let page = page(LOG, everywhere(said));
        assert_only_ours(&page.stderr, said);
        assert_only_ours(&page.stdout, said);
        for text in [&page.stderr, &page.stdout, &page.summary, &page.evidence] {
            assert_plain(text, said);
        }
        assert!(
            !page.summary.contains("<img") && page.summary.matches("</pre>").count() == 3,
            "{}",
            page.summary
        );
    }
}

#[test]
fn hostile_lines_are_only_text_at_a_terminal() {
    let look = Look::Terminal { columns: 80, colour: false };
    for said in LINES {
        let page = page(Seat { look, ..PIPE }, everywhere(said));
        let erased = page.stderr.replace("\u{1b}[1A\u{1b}[2K", "");
        assert_plain(&erased, said);
    }
}

#[test]
fn hostile_lines_are_only_strings_in_json() {
    for said in LINES {
        let page = page(Seat { json: true, ..PIPE }, everywhere(said));
        assert_only_ours(&page.stdout, said);
        assert!(page.stdout.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
    }
}

#[test]
fn a_line_of_megabytes_is_cut_in_every_view() {
    let long = "x".repeat(1_000_000);
    let line = lines(&[&"y".repeat(10_000_000)]);
    assert_eq!(page(PIPE, vec![("", line)]).stderr.len(), "| ...\n".len() + 1000);
    for seat in [LOG, Seat { json: true, ..PIPE }] {
        let page = page(seat, everywhere(&long));
        assert!(page.stderr.lines().all(|line| line.len() < 5000));
        assert!(page.summary.len() < 60_000 && page.evidence.len() < 20_000);
        // The answer of a command is ours, and whole.
        let others = page.stdout.lines().filter(|line| !line.contains("\"answered\""));
        assert!(others.map(str::len).max().unwrap_or(0) < 10_000);
    }
}

#[test]
fn a_flood_of_lines_shows_its_end_and_says_so() {
    let lines: Vec<_> = (1..=70).map(|n| format!("line {n}")).collect();
    let flood =
        Event::Foreign { source: Source::Evidence, title: "web".into(), lines, left_out: 5 };
    let page = page(PIPE, vec![("", flood)]);
    let shown: Vec<_> = page.stderr.lines().collect();
    assert_eq!(shown.len(), 52);
    assert_eq!(shown[..3], ["evidence: web", "(25 earlier lines left out)", "| line 21"]);
    assert_eq!(shown[51], "| line 70");
}

#[test]
fn a_masked_secret_is_in_no_view_and_no_file() {
    let secret = "wJalrXUtnFEMI-of-a-test";
    for seat in [LOG, PIPE, Seat { json: true, ..LOG }] {
        let long = format!("{}key={secret}", "x".repeat(985));
        for said in [format!("key={secret}"), long] {
            let page = masked_page(seat, &[secret], everywhere(&said));
            let log = page.stderr.replace(&format!("::add-mask::{secret}\n"), "");
            for text in [log, page.stdout, page.summary, page.outputs, page.evidence] {
                // The answer of a command holds what the command put there.
                let texts = text.lines().filter(|line| !line.contains("\"answered\""));
                assert!(!texts.into_iter().any(|t| t.contains("wJalrXUt")), "{text}");
            }
        }
    }
}

/// Takes some bytes, then none for a moment, then more: a disk on which somebody makes room.
struct Disk(Sink, usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1 == 2 { Err(io::ErrorKind::StorageFull.into()) } else { self.0.write(bytes) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_line_that_was_lost_nothing_is_written_as_if_it_were_whole() {
    let stdout = Sink::default();
    let settings = Settings {
        look: Look::Lines,
        colour_data: false,
        json: true,
        runner: Runner::default(),
        clock,
    };
    let disk = Disk(stdout.clone(), 0);
    let reporter = Reporter::new(settings, Box::new(disk), Box::new(io::sink()));
    assert_eq!(reporter.unwritten(), None);
    for what in ["nodes", "pods", "events"] {
        reporter.say(Event::NotSeen(Unseen::new(what, "may not list")));
    }
    let said = stdout.text();
    assert!(said.contains("nodes") && !said.contains("pods") && !said.contains("events"), "{said}");
    assert_eq!(reporter.unwritten().as_deref(), Some("no storage space"));
}
