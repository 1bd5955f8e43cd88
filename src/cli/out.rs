//! Printing. Results go to stdout, everything else to stderr, so that a pipe gets results alone.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Colour;
use super::exit::Failure;
use crate::base::text::safe_lines;

/// Ten times a second is smooth enough for a person.
const REDRAW: Duration = Duration::from_millis(100);

/// Prints a result. A reader that has gone away wanted no more of it, so that is no error.
pub(super) fn print(text: &str) {
    if let Err(failure) = deliver(text) {
        complain(&failure.to_string());
    }
}

/// The same for a result that others rely on: one that was lost on the way, to a full disk, is a failure.
pub(super) fn deliver(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::host("write the result", &error)),
        _ => Ok(()),
    }
}

/// Says why a command did not end well. Names of files stand in it, which others may have chosen: a line of it must neither
/// command a terminal nor be taken for a workflow command, which begins a line (white space before it does not count).
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "sumgate: {}", safe_lines(text).replace('\n', "\nsumgate:   "));
}

/// The log of a command that tells by itself what went wrong. That something good could not be kept it does not know.
pub(super) const QUIET: &str = "off,sumgate::store::write_failures=warn";

/// Sends the log to stderr, as much of it as `SUMGATE_LOG` asks for (`unless_told` if it does not; `debug` shows requests).
pub(super) fn start_log(unless_told: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("SUMGATE_LOG").unwrap_or_else(|_| EnvFilter::new(unless_told));
    let to_terminal = io::IsTerminal::is_terminal(&io::stderr());
    let colour = to_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Fails only if there is a log already, which then goes on.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour).try_init();
}

/// Whether stdout shall be coloured: as told, else on a terminal, unless NO_COLOR is set (<https://no-color.org>).
pub(super) fn colour(when: Colour) -> bool {
    match when {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            io::IsTerminal::is_terminal(&io::stdout())
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

/// Shows how far `done` of `total` is on stderr while `work` goes on, if that is a terminal.
pub(super) async fn with_progress<T>(
    what: &'static str,
    total: usize,
    done: &AtomicUsize,
    work: impl Future<Output = T>,
) -> T {
    let bar = ProgressBar::new(total as u64).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
        bar.set_style(style);
    }
    let mut work = std::pin::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            () = tokio::time::sleep(REDRAW) => bar.set_position(done.load(Ordering::Relaxed) as u64),
        }
    };
    bar.finish_and_clear();
    result
}
