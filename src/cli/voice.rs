//! Where a process speaks: data to standard output, talk to standard error, and in the action both
//! to one stream, since a runner reads the two without an order between them.

use std::io::{self, IsTerminal, Write};

use crate::error::{Code, Ending, Severity, Told, quoted};
use crate::github::door::Runner;
use crate::inputs::raw::Environment;
use crate::inputs::table::Command;
use crate::report::{Event, Look, Reporter, Settings};

/// Columns that talk never exceeds on a terminal.
const WIDEST: usize = 100;

/// The process's own streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Voice;

impl Voice {
    /// Writes data to standard output, and returns the exit code.
    #[must_use]
    pub fn data(self, text: &str) -> u8 {
        self.write(text).map_or_else(|error| unanswered(&error.to_string()), |()| 0)
    }

    /// Writes a piece of data to standard output. A reader that went away (`slipway explain | head`) is
    /// no error.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn write(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// The exit code of a run, once it is known whether its data was written. An answer that nobody got
    /// is no good end of a command that only answers; how a ship ended does not depend on it.
    #[must_use]
    pub fn checked(self, command: Command, exit: u8, report: &Reporter) -> u8 {
        let Some(why) = report.unwritten() else { return exit };
        let answers = matches!(command, Command::Plan | Command::Status | Command::History);
        if answers && exit == 0 {
            return unanswered(&why);
        }
        aside(Told {
            severity: Severity::Warning,
            code: Code::RunOutput,
            what: "not everything was written to standard output".into(),
            why: vec![quoted(&why)],
            now: None,
            next: vec![
                "make room where standard output goes; the exit code is the run's own".into(),
            ],
        });
        exit
    }

    /// The reporter of a run in this environment.
    #[must_use]
    pub fn reporter(self, environment: &Environment, json: bool) -> Reporter {
        let runner = Runner::read(&|name: &str| environment.get(name).cloned());
        let set = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
        let plain = set("NO_COLOR") || environment.get("TERM").is_some_and(|term| term == "dumb");
        let window = rustix::termios::tcgetwinsize(io::stderr()).ok();
        let columns = columns(
            environment.get("COLUMNS").map(String::as_str),
            window.map(|window| usize::from(window.ws_col)),
        );
        let look = match io::stderr().is_terminal() && !runner.listens {
            true => Look::Terminal { columns, colour: !plain },
            false => Look::Lines,
        };
        let one_stream = runner.listens && !json;
        let talk: Box<dyn Write + Send> =
            if one_stream { Box::new(io::stdout()) } else { Box::new(io::stderr()) };
        let settings = Settings {
            look,
            colour_data: io::stdout().is_terminal() && !plain,
            json,
            runner,
            clock: jiff::Timestamp::now,
        };
        Reporter::new(settings, Box::new(io::stdout()), talk)
    }
}

/// The answer was all that was asked for: the exit code says that the call has to change, and nothing
/// of the cluster.
fn unanswered(why: &str) -> u8 {
    aside(Told {
        severity: Severity::Error,
        code: Code::RunOutput,
        what: "the answer was not written to standard output".into(),
        why: vec![quoted(why)],
        now: Some("nothing was changed".into()),
        next: vec!["make room where standard output goes, then run it again".into()],
    });
    Ending::BadInput.exit()
}

/// Tells a block on standard error, also in the action: the other stream is the one that is at fault.
fn aside(told: Told) {
    let settings = Settings {
        look: Look::Lines,
        colour_data: false,
        json: false,
        runner: Runner::read(&|_| None),
        clock: jiff::Timestamp::now,
    };
    Reporter::new(settings, Box::new(io::sink()), Box::new(io::stderr())).say(Event::Told(told));
}

/// The columns to fill: what is wanted, but never more than the window has. A shell keeps COLUMNS to
/// itself, so most runs know only the window; a line that wraps could not be redrawn.
fn columns(asked: Option<&str>, window: Option<usize>) -> usize {
    let asked = asked.and_then(|columns| columns.parse().ok());
    [asked, window].into_iter().flatten().filter(|columns| *columns > 0).fold(WIDEST, usize::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_wide_as_the_narrowest_bound() {
        assert_eq!(columns(None, Some(60)), 60);
        assert_eq!(columns(Some("72"), Some(200)), 72);
        assert_eq!(columns(Some("200"), Some(60)), 60);
        assert_eq!(columns(Some("wide"), Some(0)), WIDEST);
        assert_eq!(columns(None, None), WIDEST);
    }
}
