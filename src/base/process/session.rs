//! Programs in a session of their own, without a terminal: ssh and the helpers of git ask a user at the terminal of the mirror, and
//! are stopped there when they read the answer (setsid(2), tty(4)).
//!
//! A program cannot start a session for another one, so this program is started again, and becomes the other one.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tokio::process::Command;

/// The first argument of this program when it is started for another one.
const WORD: &str = "--in-a-session";

/// This program, once its command line is known to understand [`WORD`].
static OWN: OnceLock<PathBuf> = OnceLock::new();

/// Becomes another program, if the command line says so. The `main` of this program calls it first.
pub fn run_in_place_of_this(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    if arguments.next().is_some_and(|first| first == WORD) {
        return become_program(arguments).map(|never| match never {});
    }
    // On Linux this is the running program, even when an update has replaced its file (proc(5)).
    let running = PathBuf::from("/proc/self/exe");
    let own = if running.exists() { Ok(running) } else { std::env::current_exe() };
    // Without it, programs only get a process group of their own.
    if let Ok(own) = own {
        OWN.get_or_init(|| own);
    }
    Ok(())
}

fn become_program(mut arguments: impl Iterator<Item = OsString>) -> io::Result<Infallible> {
    let program = arguments.next().ok_or_else(|| io::Error::other("expected a program after --in-a-session"))?;
    rustix::process::setsid()?;
    Err(std::process::Command::new(program).args(arguments).exec())
}

pub(super) fn is_known() -> bool {
    OWN.get().is_some()
}

/// A command that starts `program` in a session of its own. In a process that is not this program, such as a unit test, it starts
/// `program` itself.
pub fn in_session(program: &Path) -> Command {
    let Some(own) = OWN.get() else { return Command::new(program) };
    let mut command = Command::new(own);
    command.arg(WORD).arg(program);
    command
}
