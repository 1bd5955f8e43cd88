//! Child processes with limits on time and output, which are killed together with their own children.

mod clean;
mod dialogue;
mod session;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use clean::clean;

use crate::base::lock::lock;
pub use clean::{distrust, is_distrusted, is_unwanted};
pub use dialogue::Dialogue;
pub use session::{in_session, run_in_place_of_this};

/// Longest standard error that is kept, in bytes: warnings and an error message, of which a line or two is shown.
const MAX_STDERR: u64 = 64 << 10;

/// The limits of a child process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest time it may run.
    pub time: Duration,
    /// The longest standard output that is kept, in bytes.
    pub stdout: u64,
}

/// The output and the exit status of a child process.
#[derive(Debug)]
pub struct Output {
    /// The exit status.
    pub status: ExitStatus,
    /// The standard output, cut at the limit.
    pub stdout: Vec<u8>,
    /// The standard error, cut at the limit.
    pub stderr: Vec<u8>,
    /// Whether the standard output was longer than the limit.
    pub stdout_cut: bool,
}

/// Why a child process gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It did not start.
    #[error("cannot start it: {0}")]
    Start(#[source] std::io::Error),
    /// It cannot be waited for.
    #[error("cannot wait for it: {0}")]
    Wait(#[source] std::io::Error),
    /// It ran too long, and was killed.
    #[error("it did not end within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// It ended without an answer. Contains its standard error.
    #[error("it ended without an answer")]
    Ended(Vec<u8>),
    /// The answer cannot be read.
    #[error("its answer cannot be read: {0}")]
    Answer(#[source] std::io::Error),
}

/// Finds a program on the PATH. Ignores relative folders, because the author of the working folder controls what is in them.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|program| is_program(program))
}

/// Quotes a word for a shell: commands are printed for users to paste, and may contain untrusted file names.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/:=+@,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether a file is executable according to its permissions.
pub(crate) fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// [`run`] for callers that may block. Works in any thread, because it uses a thread of its own.
pub fn run_blocking(command: Command, limits: Limits) -> Result<Output, ProcessError> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(ProcessError::Start)?.block_on(run(command, limits))
    };
    let output = std::thread::scope(|scope| scope.spawn(work).join());
    output.unwrap_or_else(|_| Err(ProcessError::Wait(std::io::Error::other("the thread that waited for it panicked"))))
}

/// The ids of the running children: at most as many as there are callers.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<u32>> {
    lock(&RUNNING)
}

/// Whether this is a running process that [`run`] started.
pub fn is_ours(id: u32) -> bool {
    running().contains(&id)
}

/// Runs `command` to its end, without standard input and with a clean environment. The child and its own children are one
/// process group, which is killed on timeout and when the future is dropped.
pub async fn run(command: Command, limits: Limits) -> Result<Output, ProcessError> {
    run_with_input(command, Vec::new(), limits).await
}

/// [`run`] with a standard input, which the child need not read.
pub async fn run_with_input(mut command: Command, input: Vec<u8>, limits: Limits) -> Result<Output, ProcessError> {
    command.process_group(0);
    run_group(command, input, limits).await
}

/// [`run`] for a command of [`in_session`].
pub async fn run_in_session(mut command: Command, limits: Limits) -> Result<Output, ProcessError> {
    if !session::is_known() {
        command.process_group(0);
    }
    run_group(command, Vec::new(), limits).await
}

/// Runs a command that is, or becomes, the leader of a process group.
async fn run_group(mut command: Command, input: Vec<u8>, limits: Limits) -> Result<Output, ProcessError> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    clean(command.as_std_mut());
    let mut child = command.spawn().map_err(ProcessError::Start)?;
    let mut group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdin = child.stdin.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // An error means that the child closed it.
            let _ = stdin.write_all(&input).await;
        }
    };
    let all = async { tokio::join!(up_to(stdout, limits.stdout), up_to(stderr, MAX_STDERR), child.wait(), feed) };
    let Ok((stdout, stderr, status, ())) = tokio::time::timeout(limits.time, all).await else {
        drop(group);
        let _ = child.wait().await;
        return Err(ProcessError::Timeout(limits.time));
    };
    group.forget();
    let status = status.map_err(ProcessError::Wait)?;
    Ok(Output { status, stdout: stdout.0, stderr: stderr.0, stdout_cut: stdout.1 })
}

/// Reads the first `limit` bytes, and whether there are more. Discards the rest, so that the writer does not block.
async fn up_to(from: Option<impl AsyncRead + Unpin>, limit: u64) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return (kept, false) };
    // An error means that the pipe is closed; the exit status tells why.
    let _ = (&mut from).take(limit).read_to_end(&mut kept).await;
    let dropped = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    (kept, dropped.is_ok_and(|bytes| bytes > 0))
}

/// The process group of a child, which is killed on drop unless the child has ended.
struct Group(Option<u32>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        running().extend(id);
        Self(id)
    }

    fn forget(&mut self) -> Option<u32> {
        let id = self.0.take()?;
        running().remove(&id);
        Some(id)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.forget().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // An error means that all processes have ended.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const LIMITS: Limits = Limits { time: Duration::from_secs(10), stdout: 4 };

    #[tokio::test]
    async fn output_is_cut_and_a_full_pipe_does_not_block() {
        let script = "head -c 300000 /dev/zero >&2; echo 123456; exit 3";
        let output = run(shell(script), LIMITS).await.unwrap();
        assert_eq!((output.stdout.as_slice(), output.stdout_cut, output.stderr.len()), (&b"1234"[..], true, 65_536));
        assert_eq!(output.status.code(), Some(3));
    }

    #[tokio::test]
    async fn a_child_reads_its_input_or_not() {
        let input = vec![b'x'; 1 << 20];
        let count = run_with_input(shell("wc -c"), input.clone(), Limits { stdout: 100, ..LIMITS }).await.unwrap();
        assert_eq!(String::from_utf8(count.stdout).unwrap().trim(), "1048576");
        let unread = run_with_input(shell("echo 1"), input, LIMITS).await.unwrap();
        assert_eq!((unread.stdout.as_slice(), unread.status.code()), (&b"1\n"[..], Some(0)));
    }

    #[tokio::test]
    async fn what_runs_too_long_is_killed_with_its_children() {
        let start = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let (time, mark) = (Duration::from_millis(300), folder.path().join("mark"));
        let script = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        let ended = run(shell(&script), Limits { time, ..LIMITS }).await;
        assert!(matches!(ended, Err(ProcessError::Timeout(_))) && start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert!(!mark.exists(), "the child of the child went on");
    }
}
