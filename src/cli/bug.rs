//! A panic is a bug of slipway's, and is told as one, with its own exit code.

use std::io::Write;

use crate::error::{Code, Ending, one_line};

/// From now on a panic in any thread ends the process with the block of a bug and exit code 70.
pub fn announce() {
    std::panic::set_hook(Box::new(|panic| {
        let place =
            panic.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        let said = panic.payload().downcast_ref::<&str>().map(|s| (*s).to_owned());
        let said =
            said.or_else(|| panic.payload().downcast_ref::<String>().cloned()).unwrap_or_default();
        let block = format!(
            "error[{}]: this is a bug in slipway {} ({}/issues)\n  why:  {}{place}\n  now:  not known: slipway status\n  next: report it with the lines above\n",
            Code::RunBug,
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_REPOSITORY"),
            one_line(&said, 200),
        );
        let _ = std::io::stderr().write_all(block.as_bytes());
        #[expect(
            clippy::exit,
            reason = "a thread that panicked leaves the run without its result"
        )]
        std::process::exit(i32::from(Ending::Bug.exit()));
    }));
}
