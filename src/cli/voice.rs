//! Where a process speaks: data to standard output, talk to standard error, and in the action both
//! to one stream, since a runner reads the two without an order between them.

use std::io::{self, IsTerminal, Write};

use crate::github::door::Runner;
use crate::inputs::raw::Environment;
use crate::report::{Look, Reporter, Settings};

/// Columns that talk never exceeds on a terminal.
const WIDEST: usize = 100;

/// The process's own streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Voice;

impl Voice {
    /// Writes data to standard output. A reader that went away (`slipway explain | head`) is no error.
    #[must_use]
    pub fn data(self, text: &str) -> u8 {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        0
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
