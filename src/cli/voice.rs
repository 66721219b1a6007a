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
        let columns =
            environment.get("COLUMNS").and_then(|c| c.parse().ok()).unwrap_or(WIDEST).min(WIDEST);
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
