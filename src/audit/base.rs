//! `--base REV`: what a file was at a git revision, so that only the lines added since are audited.
//!
//! Asked of the `git` command, which knows every form of a repository. Nothing is checked out or written.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::read::MAX_FILE;
use crate::process::without_own_settings;

/// A commit of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The top folder of the repository, without links.
    root: PathBuf,
    commit: String,
}

/// Why the earlier state of a file is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// There is nothing to compare with.
    #[error("cannot compare with the base, for {} is in no git repository that can be used: {words}", path.display())]
    NoRepository {
        /// What was to be compared.
        path: PathBuf,
        /// What git said.
        words: String,
    },
    /// No such revision.
    #[error(
        "git knows no revision {revision:?} in {}: {words}. A shallow clone has only the newest commits: fetch the \
         base too (actions/checkout: fetch-depth: 0; GitLab: GIT_DEPTH: 0)",
        folder.display()
    )]
    NoRevision {
        /// As given.
        revision: String,
        /// The repository.
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
    /// The revision, as `git` understands it, in the repository that `path` is audited in: the one of the working folder
    /// if `path` lies there, else the one that it lies in itself. So the name means the same commit for every file, and a
    /// submodule, whose own branches say nothing of what was reviewed here, has no earlier state.
    pub fn open(revision: &str, path: &Path) -> Result<Self, BaseError> {
        let place = Place::of(path).map_err(|words| BaseError::NoRepository { path: path.to_owned(), words })?;
        let around = repository(Path::new("."))?.ok().filter(|root| place.folder.starts_with(root));
        let root = match around {
            Some(root) => root,
            None => {
                repository(&place.folder)?.map_err(|words| BaseError::NoRepository { path: path.to_owned(), words })?
            }
        };
        let wanted = format!("{revision}^{{commit}}");
        let commit = git(&root, &["rev-parse", "--verify", "--end-of-options", &wanted].map(OsStr::new))?;
        let commit = commit.map_err(|words| BaseError::NoRevision {
            revision: revision.to_owned(),
            folder: root.clone(),
            words,
        })?;
        Ok(Self { root, commit: String::from_utf8_lossy(&commit).trim().to_owned() })
    }

    /// The file at that revision; `None` if it was not there, or is in another repository.
    pub fn earlier(&self, path: &Path) -> Result<Option<Vec<u8>>, BaseError> {
        let failed = |words| BaseError::Git { path: path.to_owned(), words };
        let place = Place::of(path).map_err(failed)?;
        let Ok(folder) = place.folder.strip_prefix(&self.root) else { return Ok(None) };
        let name = folder.join(&place.name);
        let listed = ["ls-tree", "--name-only", &self.commit, "--"].map(OsStr::new);
        // Absence is told apart from failure: a file that git cannot show would otherwise be "all new", or worse, "old".
        if git(&self.root, &[&listed[..], &[name.as_os_str()]].concat())?.map_err(failed)?.is_empty() {
            return Ok(None);
        }
        let mut blob = OsString::from(format!("{}:", self.commit));
        blob.push(&name);
        let words = [OsStr::new("cat-file"), OsStr::new("blob"), &blob];
        Ok(Some(git(&self.root, &words)?.map_err(failed)?))
    }
}

/// Where a file lies, without links on the way to it. It may be a link itself: that is what git keeps of it.
struct Place {
    folder: PathBuf,
    /// Empty for a folder.
    name: OsString,
}

impl Place {
    fn of(path: &Path) -> Result<Self, String> {
        let (folder, name) = match path.file_name() {
            Some(name) if !path.is_dir() => (path.parent().unwrap_or(path), name.to_owned()),
            _ => (path, OsString::new()),
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Ok(Self { folder: folder.canonicalize().map_err(|error| error.to_string())?, name })
    }
}

/// The top folder of the repository around `folder`; or what git said instead.
fn repository(folder: &Path) -> Result<Result<PathBuf, String>, BaseError> {
    let top = git(folder, &["rev-parse", "--show-toplevel"].map(OsStr::new))?;
    Ok(top.and_then(|mut top| {
        top.pop_if(|last| *last == b'\n');
        PathBuf::from(OsString::from_vec(top)).canonicalize().map_err(|error| error.to_string())
    }))
}

/// What a git command printed; or, if it failed, what it said.
fn git(folder: &Path, words: &[&OsStr]) -> Result<Result<Vec<u8>, String>, BaseError> {
    let mut command = Command::new("git");
    without_own_settings(&mut command);
    command
        .arg("--literal-pathspecs")
        .arg("-C")
        .arg(folder)
        .args(words)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null());
    // A hook or a wrapper may have set them for another repository than the one that the files lie in.
    for setting in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_NAMESPACE"] {
        command.env_remove(setting);
    }
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
