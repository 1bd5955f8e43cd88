//! The command itself: its program, its environment, its signals, its end, and what it leaves running.

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

/// How long processes that are about to end may take.
const GRACE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
    /// It was not started; sumgate ends with this code instead.
    NotStarted(u8),
}

impl Ended {
    /// Whether the command ran.
    pub fn has_run(self) -> bool {
        !matches!(self, Self::NotStarted(_))
    }

    /// The code that a shell would give it.
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
    /// There is no such program.
    #[error("cannot run {0}: it is not found on the PATH, whose relative folders are left out")]
    NotFound(String),
    /// It is there, and cannot be executed.
    #[error("cannot run {0}: {1}")]
    NotExecutable(String, io::Error),
    /// It cannot be waited for, or signals cannot be passed on.
    #[error("cannot look after the command: {0}")]
    Watch(#[source] io::Error),
}

/// Runs `command` to its end, with its own stdin, stdout and stderr. Signals that come meanwhile are its signals.
pub async fn run(command: &[OsString], environment: &Environment, signals: &mut Signals) -> Result<Ended, ChildError> {
    let [program, arguments @ ..] = command else {
        return Ok(Ended::Code(0));
    };
    let found = find(program, environment)?;
    // What the command leaves running becomes a child of this process.
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
            // A signal that came before the end of the command was meant for the command.
            biased;
            (signal, _) = signals.next() => pass_on(&child, signal),
            ended = child.wait() => return Ok(how(ended.map_err(ChildError::Watch)?)),
        }
    }
}

/// The program that the command names: by its path, or in a folder of the PATH that it will see.
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

/// Nobody but root can look into this process from now on: its memory and its first environment may hold the key of a seal.
/// To be called before anything else is done.
pub fn hide() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Processes that the command left running. Those that are about to end have a moment for it. The error is that a thread ended
/// early.
pub async fn left_running() -> Result<Vec<Finding>, JoinError> {
    let start = Instant::now();
    loop {
        let left = spawn_blocking(children).await?;
        if left.is_empty() || start.elapsed() > GRACE {
            let finding = |(id, name): (i32, String)| {
                let message = format!("the process {id} ({}) is still running, and the mirror is gone", safe(&name));
                Finding::new(Code::ProcessLeft, message)
            };
            return Ok(left.into_iter().take(MAX_TOLD).map(finding).collect());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The children of this process, but for those that have ended and those that work for the mirror. Where there is no /proc,
/// none are known. Blocks.
fn children() -> Vec<(i32, String)> {
    let own = getpid().as_raw_nonzero().get();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let running = ids.filter_map(|id: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name stands in parentheses and may have any characters.
        let (before, after) = stat.rsplit_once(") ")?;
        let name = before.split_once('(')?.1.to_owned();
        let mut fields = after.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?);
        let is_left = parent.parse() == Ok(own) && !matches!(state, "Z" | "X");
        (is_left && !u32::try_from(id).is_ok_and(is_ours)).then_some((id, name))
    });
    running.collect()
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
const ASKING: [(Signal, &str); 6] = [
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::TERM, "SIGTERM"),
    (Signal::HUP, "SIGHUP"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::USR2, "SIGUSR2"),
];

/// From the first one of these on, the system no longer ends this process by itself when one of them comes: whoever holds them
/// has to listen.
#[derive(Debug)]
pub struct Signals(Vec<tokio::signal::unix::Signal>);

impl Signals {
    /// Listens from now on.
    pub fn new() -> io::Result<Self> {
        let all = ASKING.iter().map(|(asked, _)| signal(SignalKind::from_raw(asked.as_raw())));
        all.collect::<io::Result<_>>().map(Self)
    }

    /// Waits for one; returns its name.
    pub async fn name_of_next(&mut self) -> &'static str {
        self.next().await.1
    }

    async fn next(&mut self) -> (Signal, &'static str) {
        poll_fn(|context| {
            let mut all = self.0.iter_mut().zip(ASKING);
            let came = all.find_map(|(signal, asked)| signal.poll_recv(context).is_ready().then_some(asked));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
