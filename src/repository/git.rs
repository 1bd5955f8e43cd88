//! The `git` command, as far as the one who wrote the tree, or its `.git`, must not steer it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::error::BaseError;
use crate::base::limits::MAX_ANSWER;
use crate::base::process::{self, Limits, Output};
use crate::base::text::{safe_path, safe_start};

/// git answers in milliseconds; a network file system that nobody has read from yet may take seconds.
pub(super) const TIME: Duration = Duration::from_secs(20);
/// What is asked for here are hashes and a few settings.
const LIMITS: Limits = Limits { time: TIME, stdout: MAX_ANSWER };
/// A line of a terminal or two.
const MAX_WORDS: usize = 300;

/// Settings that count more than those of the repository.
const SETTINGS: [&str; 6] = [
    // A folder is a repository only where it is named.
    "safe.bareRepository=explicit",
    // These three name programs, or a folder of them. Nothing of what is asked here runs them; older versions of git may.
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.alternateRefsCommand=false",
    // GIT_ALLOW_PROTOCOL says the same, and cannot be lifted for a single protocol by the repository.
    "protocol.allow=never",
    // It is a copy of what the commits say about their parents, and nobody compares the two.
    "core.commitGraph=false",
];
/// Variables that count for every question, after all others of git were removed.
const ENVIRONMENT: [(&str, &str); 10] = [
    // A partial clone would fetch what it lacks, by programs that the repository names.
    ("GIT_NO_LAZY_FETCH", "1"),
    // The same for versions of git that do not know it (before 2.45, and 2.39.4 of the older line).
    ("GIT_ALLOW_PROTOCOL", "none"),
    // `refs/replace` and `info/grafts` put other objects and other parents in the place of those that have the hash.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    // Nothing is written.
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // The settings of the user and of the machine decide nothing here, but for `safe.directory`.
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    // Its words are read.
    ("LC_ALL", "C"),
    ("LANGUAGE", ""),
];
/// What is kept of the variables of git for the one question about the user's own settings. For all others none is kept:
/// they name another repository (`GIT_DIR`), other objects (`GIT_OBJECT_DIRECTORY`, `GIT_ALTERNATE_OBJECT_DIRECTORIES`),
/// other settings, or programs.
const KEPT_FOR_SETTINGS: [&str; 6] = [
    // Where the files of the user and of the machine lie; containers in CI set them.
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    // Settings without a file, with GIT_CONFIG_KEY_n and GIT_CONFIG_VALUE_n; CI that has no home sets them.
    "GIT_CONFIG_COUNT",
    // The same, as `git -c` passes them on to what it runs.
    "GIT_CONFIG_PARAMETERS",
    // Moved installations find the settings of the machine by it.
    "GIT_EXEC_PATH",
];
/// The two that are numbered.
const KEPT_NUMBERED: [&str; 2] = ["GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];

#[derive(Debug)]
pub(super) struct Git {
    program: PathBuf,
    pub(super) work_tree: PathBuf,
    /// Where the repository lies: `.git`, or what it leads to.
    folder: PathBuf,
}

impl Git {
    /// Finds the command. One that lies in the work tree belongs to whoever wrote the tree.
    pub(super) fn find(work_tree: PathBuf, folder: PathBuf) -> Result<Self, BaseError> {
        let none =
            || BaseError::NoGit("no absolute folder of PATH has it. Install git, or add its folder to PATH".into());
        let program = process::on_path("git").ok_or_else(none)?;
        if program.canonicalize().is_ok_and(|real| real.starts_with(&work_tree)) {
            let program = safe_path(&program);
            let words =
                format!("PATH leads to {program}, which lies in the tree under audit. Remove that folder from PATH");
            return Err(BaseError::NoGit(words));
        }
        Ok(Self { program, work_tree, folder })
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bare(|_| false);
        command.envs(ENVIRONMENT).arg(option("--git-dir=", &self.folder));
        command.arg(option("--work-tree=", &self.work_tree));
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(words);
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Result<Output, BaseError> {
        self.end(self.command(words))
    }

    /// What the index has in a folder: the start of the list, if it is long.
    pub(super) fn list(&self, folder: &Path) -> Result<Output, BaseError> {
        let mut command = self.command(&["--literal-pathspecs", "ls-files", "--cached", "-z", "--"]);
        command.arg(folder);
        self.end(command)
    }

    /// The first line that it prints; or, if it fails, what it said.
    pub(super) fn line(&self, words: &[&str]) -> Result<Result<String, String>, BaseError> {
        let output = self.run(words)?;
        if !output.status.success() {
            return Ok(Err(words_of(&output.stderr)));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Ok(text.lines().next().unwrap_or_default().to_owned()))
    }

    /// All values of a setting of the user or the machine, of which the repository has no say. Paths have their `~` written
    /// out.
    pub(super) fn protected_paths(&self, name: &str) -> Result<Vec<Vec<u8>>, BaseError> {
        let is_kept =
            |name: &str| KEPT_FOR_SETTINGS.contains(&name) || KEPT_NUMBERED.iter().any(|start| name.starts_with(start));
        let mut command = self.bare(is_kept);
        // No repository, so that none has a say. Relative paths of variables count from where we stand.
        command.arg("--git-dir=/dev/null").env("LC_ALL", "C");
        if let Ok(here) = std::env::current_dir() {
            command.current_dir(here);
        }
        command.args(["config", "--show-scope", "--null", "--type=path", "--get-all", name]);
        let output = self.end(command)?;
        match output.status.code() {
            Some(0) if !output.stdout_cut => {}
            // There is none.
            Some(1) if output.stderr.is_empty() => return Ok(Vec::new()),
            _ => return Err(self.failed(format!("the setting {name} cannot be read: {}", words_of(&output.stderr)))),
        }
        let fields: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let is_protected = |scope: &[u8]| matches!(scope, b"system" | b"global" | b"command");
        Ok(fields.chunks_exact(2).filter(|pair| is_protected(pair[0])).map(|pair| pair[1].to_owned()).collect())
    }

    /// Whether a file of this name lies beside HEAD.
    pub(super) fn has(&self, name: &str) -> bool {
        self.folder.join(name).symlink_metadata().is_ok()
    }

    /// git was asked about the repository as a whole, and gave no answer.
    pub(super) fn failed(&self, words: String) -> BaseError {
        BaseError::Git(self.work_tree.clone(), words)
    }

    /// `git` without the variables of git. It stands at the root, where the tree has no files.
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

fn option(name: &str, path: &Path) -> OsString {
    let mut word = OsString::from(name);
    word.push(OsStr::new(path));
    word
}

/// What git said, as one line for a person: its error, else its first line.
pub(super) fn words_of(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.clone().next().unwrap_or("git exited without a message");
    let error = lines.find(|line| line.starts_with("fatal: ") || line.starts_with("error: ")).unwrap_or(first);
    safe_start(error, MAX_WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_short_line_that_commands_no_terminal() {
        assert_eq!(words_of(b"warning: x\nfatal: \x1b[31mred\nmore\n"), "fatal: \\u{1b}[31mred");
        assert_eq!(words_of(b"\nhint\n"), "hint");
        assert_eq!(words_of(b""), "git exited without a message");
        assert_eq!(words_of("x".repeat(200_000).as_bytes()).len(), MAX_WORDS);
    }
}
