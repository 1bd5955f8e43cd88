//! Printing. Results go to stdout, everything else to stderr, so that a pipe gets results alone.

use std::io::{self, Write};

/// Prints a result. A reader that has gone away wanted no more of it, so that is no error.
pub(super) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Says why a command did not end well.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "sumgate: {text}");
}

/// Sends the log to stderr, as much of it as `SUMGATE_LOG` asks for (`info` if it does not; `debug` shows requests).
pub(super) fn start_log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("SUMGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let to_terminal = io::IsTerminal::is_terminal(&io::stderr());
    let colour = to_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Fails only if there is a log already, which then goes on.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour).try_init();
}
