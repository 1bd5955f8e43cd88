//! The `git` command, protected from settings and programs that the author of the tree, or of its `.git`, chose.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::error::BaseError;
use crate::base::limits::MAX_ANSWER;
use crate::base::process::{self, Limits, Output};
use crate::base::text::{safe_path, safe_start};

/// git answers in milliseconds; a network file system may need seconds for the first read.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// The answers are hashes and a few settings.
const LIMITS: Limits = Limits { time: TIMEOUT, stdout: MAX_ANSWER };
/// One or two lines of a terminal.
const MAX_MESSAGE: usize = 300;

/// Settings that override those of the repository.
const SETTINGS: [&str; 6] = [
    // A folder is a bare repository only if `--git-dir` names it.
    "safe.bareRepository=explicit",
    // These three name programs, or a folder of them. No command here runs them; older versions of git may.
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.alternateRefsCommand=false",
    // As GIT_ALLOW_PROTOCOL, but the repository cannot make an exception for a protocol.
    "protocol.allow=never",
    // It is a copy of the parents in the commits, and git does not compare the two.
    "core.commitGraph=false",
];
/// Set for every command, after all other variables of git were removed.
const ENVIRONMENT: [(&str, &str); 10] = [
    // A partial clone would fetch missing objects, by programs that the repository names.
    ("GIT_NO_LAZY_FETCH", "1"),
    // The same for versions of git that do not know it (before 2.45, and 2.39.4 of the older line).
    ("GIT_ALLOW_PROTOCOL", "none"),
    // `refs/replace` and `info/grafts` replace objects and parents, whatever their hashes are.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    // Nothing is written.
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // Of the settings of the user and of the machine only `safe.directory` matters here.
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    // Its messages are parsed.
    ("LC_ALL", "C"),
    ("LANGUAGE", ""),
];
/// The variables of git that are kept to read the user's own settings. Every other command keeps none: they name another
/// repository (`GIT_DIR`), other objects (`GIT_OBJECT_DIRECTORY`, `GIT_ALTERNATE_OBJECT_DIRECTORIES`), other settings, or
/// programs.
const KEPT_FOR_SETTINGS: [&str; 6] = [
    // Where the files of the user and of the machine are; containers in CI set them.
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    // Settings without a file, with GIT_CONFIG_KEY_n and GIT_CONFIG_VALUE_n; CI without a home folder sets them.
    "GIT_CONFIG_COUNT",
    // The same, as `git -c` passes them to its child processes.
    "GIT_CONFIG_PARAMETERS",
    // Relocated installations find the settings of the machine by it.
    "GIT_EXEC_PATH",
];
const KEPT_NUMBERED: [&str; 2] = ["GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];

#[derive(Debug)]
pub(super) struct Git {
    program: PathBuf,
    pub(super) work_tree: PathBuf,
    /// The repository: `.git`, or the folder that it names.
    pub(super) folder: PathBuf,
}

impl Git {
    /// Finds the command. One in the work tree is refused: the author of the tree may have put it there.
    pub(super) fn find(work_tree: PathBuf, folder: PathBuf) -> Result<Self, BaseError> {
        let none =
            || BaseError::NoGit("no absolute folder of PATH has it. Install git, or add its folder to PATH".into());
        let program = process::on_path("git").ok_or_else(none)?;
        if program.canonicalize().is_ok_and(|real| real.starts_with(&work_tree)) {
            let program = safe_path(&program);
            return Err(BaseError::NoGit(format!(
                "PATH leads to {program}, which is in the tree under audit. Remove that folder from PATH"
            )));
        }
        Ok(Self { program, work_tree, folder })
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(|_| false);
        command.envs(ENVIRONMENT).arg("--git-dir").arg(&self.folder).arg("--work-tree").arg(&self.work_tree);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(arguments);
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Result<Output, BaseError> {
        self.end(self.command(arguments))
    }

    /// Whether the index has a file in the folder.
    pub(super) fn tracks(&self, folder: &Path) -> Result<bool, BaseError> {
        let mut command = self.command(&["--literal-pathspecs", "ls-files", "--cached", "-z", "--"]);
        command.arg(folder);
        let output = self.end(command)?;
        if output.status.success() { Ok(!output.stdout.is_empty()) } else { Err(self.failed(message(&output.stderr))) }
    }

    /// The first line of its output; or, if it fails, its message.
    pub(super) fn line(&self, arguments: &[&str]) -> Result<Result<String, String>, BaseError> {
        let output = self.run(arguments)?;
        if !output.status.success() {
            return Ok(Err(message(&output.stderr)));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Ok(text.lines().next().unwrap_or_default().to_owned()))
    }

    /// All values of a setting of the user or the machine; the repository cannot set it. `~` in paths is expanded.
    pub(super) fn protected_paths(&self, name: &str) -> Result<Vec<Vec<u8>>, BaseError> {
        let is_kept =
            |name: &str| KEPT_FOR_SETTINGS.contains(&name) || KEPT_NUMBERED.iter().any(|start| name.starts_with(start));
        let mut command = self.bare(is_kept);
        // No repository, so that none can set it. Relative paths in variables are relative to the working folder.
        command.arg("--git-dir=/dev/null").env("LC_ALL", "C");
        if let Ok(here) = std::env::current_dir() {
            command.current_dir(here);
        }
        command.args(["config", "--show-scope", "--null", "--type=path", "--get-all", name]);
        let output = self.end(command)?;
        match output.status.code() {
            Some(0) if !output.stdout_cut => {}
            // It is not set.
            Some(1) if output.stderr.is_empty() => return Ok(Vec::new()),
            _ => return Err(self.failed(format!("the setting {name} cannot be read: {}", message(&output.stderr)))),
        }
        let fields: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let is_protected = |scope: &[u8]| matches!(scope, b"system" | b"global" | b"command");
        Ok(fields.chunks_exact(2).filter(|pair| is_protected(pair[0])).map(|pair| pair[1].to_owned()).collect())
    }

    /// The error of a command about the repository as a whole.
    pub(super) fn failed(&self, message: String) -> BaseError {
        BaseError::Git(self.work_tree.clone(), message)
    }

    /// `git` without its variables, in the root folder, where the tree has no files.
    fn bare(&self, is_kept: impl Fn(&str) -> bool) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"GIT_") && !name.to_str().is_some_and(&is_kept) {
                command.env_remove(name);
            }
        }
        command.current_dir("/");
        command
    }

    fn end(&self, command: Command) -> Result<Output, BaseError> {
        let ended = process::run_blocking(command.into(), LIMITS);
        ended.map_err(|error| self.failed(format!("{}: {error}", safe_path(&self.program))))
    }
}

/// The message of git as one line: its error, else its first line.
pub(super) fn message(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.clone().next().unwrap_or("git exited without a message");
    let error = lines.find(|line| line.starts_with("fatal: ") || line.starts_with("error: ")).unwrap_or(first);
    safe_start(error, MAX_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line_without_control_characters() {
        assert_eq!(message(b"warning: x\nfatal: \x1b[31mred\nmore\n"), "fatal: \\u{1b}[31mred");
        assert_eq!(message(b"\nhint\n"), "hint");
        assert_eq!(message(b""), "git exited without a message");
        assert_eq!(message("x".repeat(200_000).as_bytes()).len(), MAX_MESSAGE);
    }
}
