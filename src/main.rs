//! The program: its words, its environment, its exit code. Nothing else is read from the process.

use std::process::ExitCode;

use slipway::cli;

fn main() -> ExitCode {
    // The one TLS provider, before anything could choose another.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return ExitCode::from(70);
    }
    cli::bug::announce();
    let words: Vec<_> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let environment = std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .collect();
    ExitCode::from(cli::main(&words, &environment, cli::voice::Voice))
}
