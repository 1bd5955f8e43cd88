//! Printing. Results go to stdout, everything else to stderr, so that a pipe gets results alone.

use std::io::{self, BufWriter, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::args::{Colour, LogFormat};
use super::exit::Failure;
use super::progress::{Aside, aside};
use crate::base::text::{safe_lines, without_commands};
use crate::sumdb::Databases;

/// How often a wait looks whether it has become long.
const LOOK: Duration = Duration::from_millis(100);
/// Larger than most writes of a report, and small beside its memory.
const BUFFER: usize = 64 << 10;
/// Where no terminal says otherwise.
const DEFAULT_WIDTH: usize = 100;
/// Shorter lines have room for hardly a word, longer ones are hard to read.
const WIDTHS: RangeInclusive<usize> = 30..=140;
/// After this time without anything from a database, the user should know what the command waits for.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// Prints a result. A closed pipe is not an error.
pub(super) fn print(text: &str) {
    if let Err(failure) = deliver(text) {
        message(&failure.to_string());
    }
}

/// Prints a result that must not get lost: a write error, such as a full disk, is a failure.
pub(super) fn deliver(text: &str) -> Result<(), Failure> {
    let mut stdout = Aside(io::stdout().lock());
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::host("write the result", &error)),
        _ => Ok(()),
    }
}

/// Prints a long result piece by piece, as [`deliver`] does.
pub(super) fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut stdout = BufWriter::with_capacity(BUFFER, Aside(io::stdout().lock()));
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::host("write the result", &error)),
        _ => Ok(()),
    }
}

/// The length of lines with running text: `COLUMNS`, or that of the terminal, or else 100.
pub(super) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let of_terminal = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let known = columns.or_else(of_terminal).filter(|width| *width > 0);
    known.map_or(DEFAULT_WIDTH, |width| width.clamp(*WIDTHS.start(), *WIDTHS.end()))
}

/// Prints a message to stderr. It may contain untrusted file names, so control characters are escaped, and every line has a prefix:
/// otherwise CI could read a line as a workflow command.
pub(super) fn message(text: &str) {
    let text = without_commands(&safe_lines(text));
    let text = format!("sumgate: {}\n", text.replace('\n', "\nsumgate:   "));
    let _ = aside(|| io::stderr().lock().write_all(text.as_bytes()));
}

/// The log level of commands that report errors themselves; only failures to store something are logged.
pub(super) const QUIET: &str = "off,sumgate::store::write_failures=warn";

/// Logs to stderr. The level is that of `SUMGATE_LOG`, or else `default`; `debug` shows requests.
pub(super) fn start_log(default: &str) {
    let filter = log_filter(default);
    let colour = wants_colour(&io::stderr());
    // Fails only if a log was started already, which is then used.
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(colour);
    let _ = log.with_writer(|| Aside(io::stderr())).finish().with(filter).try_init();
}

/// Logs as [`start_log`]. JSON has a line for each request, unless SUMGATE_LOG says otherwise.
pub(super) fn start_log_of_mirror(format: LogFormat) {
    match format {
        LogFormat::Text => start_log("info"),
        LogFormat::Json => {
            let filter = log_filter("info,access=debug");
            let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(io::stderr);
            let json = log.json().flatten_event(true).with_current_span(false).with_span_list(false);
            let _ = json.finish().with(filter).try_init();
        }
    }
}

/// A level, or one for each part: `warn,events=debug`. Of two that fit, the longer target decides.
fn log_filter(default: &str) -> Targets {
    let given = std::env::var("SUMGATE_LOG").ok().filter(|text| !text.is_empty());
    let given = given.and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| default.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO)))
}

/// By default colours are used on a terminal, unless NO_COLOR is set (<https://no-color.org>).
fn wants_colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether to colour stdout.
pub(super) fn colour(when: Colour) -> bool {
    match when {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => wants_colour(&io::stdout()),
    }
}

/// Says on stderr which database `work` waits for, if that takes long.
pub(super) async fn telling_whom<T>(databases: &Databases, work: impl Future<Output = T>) -> T {
    let (mut waiting, mut work) = (databases.waiting(), std::pin::pin!(work));
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(LOOK) => {}
        }
        for database in waiting.longer_than(TELL_AFTER) {
            message(&format!("waiting for the checksum database {database}, which does not answer"));
        }
    }
}
