//! What a command does and waits for, on a terminal: a line for each work, below everything that was printed. Elsewhere nothing:
//! a log of CI would get thousands of lines.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::base::progress::Progress;
use crate::base::text::safe;

/// Ten times a second looks smooth.
const REDRAW: Duration = Duration::from_millis(100);
/// A line for a shorter work would only flicker; after a second a user asks what the command does.
const SHOW_AFTER: Duration = Duration::from_millis(700);
/// When the user should know what the command waits for.
const NAME_AFTER: Duration = Duration::from_secs(2);
/// The name at the end, of which a narrow terminal shows the beginning.
const COUNTED: &str = "{prefix} {bar:16} {pos}/{len} {elapsed} {wide_msg}";
const UNCOUNTED: &str = "{prefix} {elapsed} {wide_msg}";

/// The terminal has one: lines and messages must not be mixed.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A line on the terminal. It is removed when this is dropped.
#[must_use = "the line is removed when it is dropped"]
pub(super) struct Line(Option<(Sender<()>, JoinHandle<()>)>);

/// Shows what the command does from now on.
pub(super) fn show(what: &str) -> Line {
    show_counted(what, &Progress::default())
}

/// Shows how far a work is, and which part of it takes long.
pub(super) fn show_counted(what: &str, progress: &Progress) -> Line {
    if !io::stderr().is_terminal() {
        return Line(None);
    }
    let (what, progress) = (safe(what), progress.clone());
    let (end, ended) = channel();
    let draw = thread::Builder::new().name("progress".to_owned()).spawn(move || draw(&what, &progress, &ended));
    // Without a thread nothing is shown, and the work goes on.
    Line(draw.ok().map(|draw| (end, draw)))
}

/// Prints something while no line is on the screen.
pub(super) fn aside<T>(print: impl FnOnce() -> T) -> T {
    if io::stderr().is_terminal() { LINES.suspend(print) } else { print() }
}

/// Writes while no line is on the screen.
pub(super) struct Aside<W>(pub(super) W);

impl<W: Write> Write for Aside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        aside(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        aside(|| self.0.flush())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some((end, draw)) = self.0.take() {
            drop(end);
            // It panics only if the terminal cannot be written to.
            let _ = draw.join();
        }
    }
}

fn draw(what: &str, progress: &Progress, ended: &Receiver<()>) {
    let start = Instant::now();
    if ended.recv_timeout(SHOW_AFTER) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let bar = LINES.add(ProgressBar::no_length().with_elapsed(start.elapsed()));
    let (mut number, mut since) = (None, start);
    loop {
        let oldest = progress.oldest();
        if number != oldest.as_ref().map(|(number, _)| *number) {
            (number, since) = (oldest.as_ref().map(|(number, _)| *number), Instant::now());
        }
        let waits = oldest.filter(|_| since.elapsed() >= NAME_AFTER);
        let waits = waits.map(|(_, name)| format!("waiting {} s for {}", since.elapsed().as_secs(), safe(&name)));
        let (done, expected) = progress.counts();
        let form = if expected > 0 { COUNTED } else { UNCOUNTED };
        // First: each of the others draws the line.
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar.set_message(waits.unwrap_or_default());
        bar.set_position(done as u64);
        if expected > 0 {
            bar.set_length(expected as u64);
        }
        bar.tick();
        if ended.recv_timeout(REDRAW) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    bar.finish_and_clear();
    LINES.remove(&bar);
}
