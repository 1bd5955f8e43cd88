//! A child process that answers a sequence of questions.

use std::io::{BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::clean::clean;
use super::{Group, MAX_STDERR, ProcessError};

/// Longest wait for the standard error of a child that has closed its output.
const STDERR_TIMEOUT: Duration = Duration::from_secs(1);

/// A running child process. It and its own children are one process group, which is killed on drop. Blocks.
#[derive(Debug)]
pub struct Dialogue<T> {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<std::io::Result<T>>,
    /// Receives the standard error, once it is closed.
    stderr: Receiver<Vec<u8>>,
    time: Duration,
}

impl<T: Send + 'static> Dialogue<T> {
    /// Starts `command` with a clean environment. `read` reads one answer, and must limit its length. Each may take `time`.
    pub fn start(
        mut command: Command,
        time: Duration,
        mut read: impl FnMut(&mut BufReader<ChildStdout>) -> std::io::Result<T> + Send + 'static,
    ) -> Result<Self, ProcessError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        clean(&mut command);
        let mut child = command.spawn().map_err(ProcessError::Start)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(mut stderr)) = pipes else {
            return Err(ProcessError::Start(std::io::Error::other("it has no pipes")));
        };
        // At most one answer is read ahead: a question is asked after the previous answer.
        let (sender, answers) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let answer = read(&mut stdout);
                let is_last = answer.is_err();
                // Fails only if the receiver was dropped.
                if sender.send(answer).is_err() || is_last {
                    return;
                }
            }
        });
        let (sender, kept_stderr) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            // An error means that the pipe is closed. Data over the limit is discarded, so that the child does not block.
            let _ = (&mut stderr).take(MAX_STDERR).read_to_end(&mut kept);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            let _ = sender.send(kept);
        });
        Ok(Self { child, stdin, answers, stderr: kept_stderr, time })
    }

    /// Asks a question, which must fit into a pipe (at least 4 KiB). After an error, there are no more answers.
    pub fn ask(&mut self, question: &[u8]) -> Result<T, ProcessError> {
        if self.stdin.write_all(question).and_then(|()| self.stdin.flush()).is_err() {
            return Err(self.ended());
        }
        match self.answers.recv_timeout(self.time) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(ProcessError::Answer(error)),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => Err(ProcessError::Timeout(self.time)),
        }
    }

    fn ended(&self) -> ProcessError {
        ProcessError::Ended(self.stderr.recv_timeout(STDERR_TIMEOUT).unwrap_or_default())
    }
}

impl<T> Drop for Dialogue<T> {
    fn drop(&mut self) {
        // The child was not reaped yet, so the id is not reused.
        drop(Group(Some(self.child.id())));
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::BufRead;
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, time: Duration) -> Dialogue<String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("SUMGATE_CACHE_KEY", "secret");
        let read = |from: &mut BufReader<ChildStdout>| {
            let mut line = String::new();
            match from.take(100).read_line(&mut line)? {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(line.trim_end().to_owned()),
            }
        };
        Dialogue::start(command, time, read).unwrap()
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn answers_are_in_order_and_the_standard_error_is_kept() {
        let script = "head -c 300000 /dev/zero >&2; read x; echo 1$x; read x; echo 2$x; read x; exit 3";
        let mut child = shell(script, LONG);
        assert_eq!((child.ask(b"a\n").unwrap(), child.ask(b"b\n").unwrap()), ("1a".to_owned(), "2b".to_owned()));
        let ended = child.ask(b"c\n").unwrap_err();
        assert!(matches!(&ended, ProcessError::Ended(stderr) if stderr.len() == 65_536), "{ended:?}");
        assert!(matches!(child.ask(b"d\n"), Err(ProcessError::Ended(_))));
    }

    #[test]
    fn the_child_gets_no_secret() {
        let mut child = shell("read x; echo \"<$SUMGATE_CACHE_KEY>\"", LONG);
        assert_eq!(child.ask(b"a\n").unwrap(), "<>");
    }

    #[test]
    fn a_child_without_an_answer_is_killed_with_its_children() {
        let (start, folder) = (Instant::now(), tempfile::tempdir().unwrap());
        let mark = folder.path().join("mark");
        let script = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        let mut child = shell(&script, Duration::from_millis(300));
        assert!(matches!(child.ask(b"a\n"), Err(ProcessError::Timeout(_))));
        drop(child);
        assert!(start.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(1200));
        assert!(!mark.exists(), "the child of the child was not killed");
    }
}
