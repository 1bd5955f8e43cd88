//! Runs the command: its program, environment, signals and exit, and the processes that it leaves.

use std::ffi::{OsStr, OsString};
use std::future::poll_fn;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::process::{
    DumpableBehavior, Pid, Signal, getpid, kill_process, set_child_subreaper, set_dumpable_behavior,
};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, spawn_blocking};

use super::environment::Environment;
use crate::base::limits::MAX_TOLD;
use crate::base::process::{is_ours, is_program};
use crate::base::text::safe;
use crate::finding::{Code, Finding};

/// How long left processes may take to end by themselves.
const GRACE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// By a signal.
    Signal(i32),
    /// It was not started; this is the exit code of sumgate instead.
    NotStarted(u8),
}

impl Ended {
    /// Whether the command ran.
    pub fn has_run(self) -> bool {
        !matches!(self, Self::NotStarted(_))
    }

    /// The exit code that a shell would report.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) | Self::NotStarted(code) => code,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Why the command did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// The program was not found.
    #[error("cannot run {0}: not found on the PATH (relative folders of the PATH are ignored)")]
    NotFound(String),
    /// The program cannot be executed.
    #[error("cannot run {0}: {1}")]
    NotExecutable(String, io::Error),
    /// Waiting for the command failed.
    #[error("cannot wait for the command: {0}")]
    Watch(#[source] io::Error),
}

/// Runs `command` to its end, with stdin, stdout and stderr of this process. Signals are passed on to it.
pub async fn run(command: &[OsString], environment: &Environment, signals: &mut Signals) -> Result<Ended, ChildError> {
    let [program, arguments @ ..] = command else {
        return Ok(Ended::Code(0));
    };
    let found = find(program, environment)?;
    // Processes that the command leaves become children of this process.
    set_child_subreaper(Some(getpid())).map_err(|error| ChildError::Watch(error.into()))?;
    let mut started = Command::new(&found);
    started.arg0(program).args(arguments).env_clear().envs(&environment.variables);
    let mut child = started.spawn().map_err(|cause| {
        let program = program.to_string_lossy().into_owned();
        match cause.kind() {
            io::ErrorKind::NotFound => ChildError::NotFound(program),
            _ => ChildError::NotExecutable(program, cause),
        }
    })?;
    loop {
        tokio::select! {
            // A signal that arrives before the command ends is for the command.
            biased;
            (signal, _) = signals.next() => pass_on(&child, signal),
            status = child.wait() => return Ok(ended(status.map_err(ChildError::Watch)?)),
        }
    }
}

/// The program of the command: by its path, or in a folder of the PATH of the command.
fn find(program: &OsStr, environment: &Environment) -> Result<PathBuf, ChildError> {
    let name = || program.to_string_lossy().into_owned();
    if program.as_encoded_bytes().contains(&b'/') {
        return Ok(PathBuf::from(program));
    }
    let path = environment.variables.get(OsStr::new("PATH"));
    let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let all: Vec<PathBuf> = folders.iter().map(|folder| folder.join(program)).filter(|file| file.is_file()).collect();
    match all.iter().find(|file| is_program(file)) {
        Some(file) => Ok(file.clone()),
        None if all.is_empty() => Err(ChildError::NotFound(name())),
        None => Err(ChildError::NotExecutable(name(), io::ErrorKind::PermissionDenied.into())),
    }
}

/// Prevents all users but root from reading the memory of this process: it and the initial environment may have the key of a
/// seal. To be called first.
pub fn hide() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Findings about processes that the command left running, after a grace period. Fails only if a thread panicked.
pub async fn left_running() -> Result<Vec<Finding>, JoinError> {
    let start = Instant::now();
    loop {
        let left = spawn_blocking(children).await?;
        if left.is_empty() || start.elapsed() > GRACE {
            let finding = |(id, name): (i32, String)| {
                let message = format!("the process {id} ({}) is still running after the command ended", safe(&name));
                Finding::new(Code::ProcessLeft, message)
            };
            return Ok(left.into_iter().take(MAX_TOLD).map(finding).collect());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The running children of this process, except those that work for the mirror. Without /proc none are known. Blocks.
fn children() -> Vec<(i32, String)> {
    let own = getpid().as_raw_nonzero().get();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let running = ids.filter_map(|id: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name is in parentheses and may have any characters.
        let (before, after) = stat.rsplit_once(") ")?;
        let name = before.split_once('(')?.1.to_owned();
        let mut fields = after.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?);
        let is_left = parent.parse() == Ok(own) && !matches!(state, "Z" | "X");
        (is_left && !u32::try_from(id).is_ok_and(is_ours)).then_some((id, name))
    });
    running.collect()
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, signal) => Ended::Signal(signal.unwrap_or(0)),
    }
}

fn pass_on(child: &Child, signal: Signal) {
    // A terminal sends Ctrl-C to the command as well; many programs quit at once on a second one.
    let from_terminal = matches!(signal, Signal::INT | Signal::QUIT) && io::stdin().is_terminal();
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let (false, Some(pid)) = (from_terminal, pid) {
        // Fails only if the command has ended.
        let _ = kill_process(pid, signal);
    }
}

/// The signals that are passed on.
const PASSED_ON: [(Signal, &str); 6] = [
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::TERM, "SIGTERM"),
    (Signal::HUP, "SIGHUP"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::USR2, "SIGUSR2"),
];

/// A listener for signals. Once it exists, these signals no longer end this process: its owner must handle them.
#[derive(Debug)]
pub struct Signals(Vec<tokio::signal::unix::Signal>);

impl Signals {
    /// Starts to listen.
    pub fn new() -> io::Result<Self> {
        let all = PASSED_ON.iter().map(|(number, _)| signal(SignalKind::from_raw(number.as_raw())));
        all.collect::<io::Result<_>>().map(Self)
    }

    /// Waits for a signal; returns it with its name.
    pub async fn next(&mut self) -> (Signal, &'static str) {
        poll_fn(|context| {
            let mut all = self.0.iter_mut().zip(PASSED_ON);
            let received = all.find_map(|(signal, which)| signal.poll_recv(context).is_ready().then_some(which));
            received.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
