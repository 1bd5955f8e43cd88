//! The command itself: its environment, its signals, its end.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::environment::Environment;
use crate::fault::Fault;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// The code that a shell would give it.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Why the command did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It did not start.
    #[error("cannot run {command}: {cause}")]
    Start {
        /// The command.
        command: String,
        /// Why.
        cause: io::Error,
    },
    /// It cannot be waited for, or signals cannot be passed on.
    #[error("cannot look after the command: {0}")]
    Watch(#[source] io::Error),
}

impl ChildError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Start { .. } => Fault::Request,
            Self::Watch(_) => Fault::Host,
        }
    }
}

/// Runs `command` to its end, with its own stdin, stdout and stderr. Signals that come meanwhile are its signals.
pub async fn run(command: &[OsString], environment: &Environment) -> Result<Ended, ChildError> {
    let [program, arguments @ ..] = command else {
        return Ok(Ended::Code(0));
    };
    let mut signals = Signals::new().map_err(ChildError::Watch)?;
    let mut started = Command::new(program);
    started.args(arguments).envs(environment.set.iter().map(|(name, value)| (name, value)));
    let failed = |cause| ChildError::Start { command: program.to_string_lossy().into_owned(), cause };
    let mut child = started.spawn().map_err(failed)?;
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(how(ended.map_err(ChildError::Watch)?)),
            signal = signals.next() => pass_on(&child, signal),
        }
    }
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, signal) => Ended::Signal(signal.unwrap_or(0)),
    }
}

fn pass_on(child: &Child, signal: Signal) {
    // A terminal sends Ctrl-C to the command as well; twice would mean "at once" to many programs.
    let from_terminal = matches!(signal, Signal::INT | Signal::QUIT) && io::stdin().is_terminal();
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let (false, Some(pid)) = (from_terminal, pid) {
        // Fails only if it has ended, which is what we wait for.
        let _ = kill_process(pid, signal);
    }
}

/// The signals that ask a program to do something.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    user_one: tokio::signal::unix::Signal,
    user_two: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user_one: signal(SignalKind::user_defined1())?,
            user_two: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.quit.recv() => Signal::QUIT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.user_one.recv() => Signal::USR1,
            _ = self.user_two.recv() => Signal::USR2,
        }
    }
}
