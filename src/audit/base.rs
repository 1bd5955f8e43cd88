//! `--base REV`: what a file was at a git revision, so that only the lines added since are audited.
//!
//! Asked of the `git` command, which knows every form of a repository. Nothing is checked out or written.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::read::MAX_FILE;

/// A git revision, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    revision: String,
}

/// Why the earlier state of a file is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// No such revision, or no repository.
    #[error(
        "git knows no revision {revision:?} in {}: {words}. A shallow clone has only the newest commits: fetch the \
         base too (actions/checkout: fetch-depth: 0; GitLab: GIT_DEPTH: 0)",
        folder.display()
    )]
    NoRevision {
        /// As given.
        revision: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What git said.
        words: String,
    },
    /// The command failed.
    #[error("cannot ask git about {}: {words}", path.display())]
    Git {
        /// Which file.
        path: PathBuf,
        /// What it said.
        words: String,
    },
    /// The command did not start.
    #[error("cannot run git, which --base needs: {0}")]
    NoGit(#[source] io::Error),
}

impl Base {
    /// A revision as `git` understands it.
    pub fn new(revision: &str) -> Self {
        Self { revision: revision.to_owned() }
    }

    /// The file at that revision; `None` if it was not there.
    pub fn earlier(&self, path: &Path) -> Result<Option<Vec<u8>>, BaseError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = format!("{}^{{commit}}", self.revision);
        let commit = git(folder, &["rev-parse", "--verify", "--end-of-options", &wanted])?;
        let commit = commit.map_err(|words| BaseError::NoRevision {
            revision: self.revision.clone(),
            folder: folder.to_owned(),
            words,
        })?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        let failed = |words| BaseError::Git { path: path.to_owned(), words };
        // Absence is told apart from failure: a file that git cannot show would otherwise be "all new", or worse, "old".
        if git(folder, &["ls-tree", "--name-only", &commit, "--", &name])?.map_err(failed)?.is_empty() {
            return Ok(None);
        }
        let blob = format!("{commit}:./{name}");
        Ok(Some(git(folder, &["cat-file", "blob", &blob])?.map_err(failed)?))
    }
}

/// What a git command printed; or, if it failed, what it said.
fn git(folder: &Path, words: &[&str]) -> Result<Result<Vec<u8>, String>, BaseError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(words).env("GIT_OPTIONAL_LOCKS", "0").stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(BaseError::NoGit)?;
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_FILE + 1).read_to_end(&mut printed).map_err(BaseError::NoGit)?;
    }
    let output = child.wait_with_output().map_err(BaseError::NoGit)?;
    if printed.len() as u64 > MAX_FILE {
        return Ok(Err(format!("the earlier file has more than {MAX_FILE} bytes")));
    }
    if output.status.success() {
        return Ok(Ok(printed));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(Err(said.lines().next().unwrap_or("it failed without a word").to_owned()))
}
