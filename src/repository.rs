//! The repository of a tree under audit: what its files were at an earlier commit.
//!
//! Asked of the `git` command, which knows every form of a repository. Nothing is checked out or written. Whoever wrote
//! the tree chooses neither the repository (`place`), nor what git runs (`git`), nor which commit a name means (`name`).

mod error;
mod git;
mod locate;
mod name;
mod object_name;
mod objects;
mod owner;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub use error::BaseError;

use git::Git;
use objects::Objects;

use crate::base::tree::work_tree;

/// Whether git tracks a file in the folder: whoever wrote the repository wrote it. `folder` has no links; where it lies in
/// no repository nobody tracks it.
pub fn tracks(folder: &Path) -> Result<bool, BaseError> {
    let Some(work_tree) = work_tree(folder) else { return Ok(false) };
    let git = usable(work_tree.to_owned(), folder)?;
    let output = git.list(folder)?;
    if output.status.success() { Ok(!output.stdout.is_empty()) } else { Err(git.failed(git::words_of(&output.stderr))) }
}

/// The `git` command for the repository with this work tree, which is this user's.
fn usable(work_tree: PathBuf, path: &Path) -> Result<Git, BaseError> {
    let unfit = |why: String| BaseError::NoRepository(path.to_owned(), why);
    let git_folder = locate::git_folder(&work_tree).map_err(|error| unfit(error.to_string()))?;
    let git = Git::find(work_tree, git_folder.clone())?;
    owner::check(&git, &git_folder)?;
    git.line(&["rev-parse", "--git-dir"])?.map_err(unfit)?;
    Ok(git)
}

/// A commit of one repository. It blocks, and runs one `git` for all files until it is dropped.
#[derive(Debug)]
pub struct Base {
    git: Git,
    commit: String,
    is_head: bool,
    /// Started for the first file; gone after an error.
    objects: Mutex<Option<Objects>>,
}

impl Base {
    /// The revision, as `git` understands it, in the repository that `path` is audited in: see [`Base::work_tree_of`]. A
    /// name that means more than one thing is refused.
    pub fn open(revision: &str, path: &Path) -> Result<Self, BaseError> {
        let git = usable(Self::work_tree_of(path)?, path)?;
        let commit = name::resolve(&git, revision)?;
        // There is none where nothing was committed yet.
        let head = git.line(&["rev-parse", "--verify", "HEAD^{commit}"])?;
        let is_head = head.is_ok_and(|head| head == commit);
        Ok(Self { git, commit, is_head, objects: Mutex::new(None) })
    }

    /// The top folder of the repository that `path` is audited in, without links: the one of the working folder if `path`
    /// lies there, else the one that it lies in itself. So a name means the same commit for every file, and a submodule,
    /// whose own branches say nothing of what was reviewed here, has no earlier state.
    pub fn work_tree_of(path: &Path) -> Result<PathBuf, BaseError> {
        locate::work_tree_of(path).map_err(|error| BaseError::NoRepository(path.to_owned(), error.to_string()))
    }

    /// The file at that revision: of a link, where it leads. `None` if there was no file, or if it lies outside the work
    /// tree or in a submodule.
    pub fn earlier(&self, path: &Path) -> Result<Option<Vec<u8>>, BaseError> {
        let place = locate::place(path).map_err(|error| BaseError::Git(path.to_owned(), error.to_string()))?;
        let Ok(inside) = place.strip_prefix(self.work_tree()) else { return Ok(None) };
        self.ask(inside, |objects| objects.file(&self.git, &self.commit, inside, false))
    }

    /// The file of this name, seen from the top folder, at that revision. What lies in the work tree now has no say in it, and
    /// links lead on within the commit.
    pub fn file(&self, name: &Path) -> Result<Option<Vec<u8>>, BaseError> {
        self.ask(name, |objects| objects.file(&self.git, &self.commit, name, true))
    }

    /// Where the folder of this name, seen from the top folder, lies at that revision, once links there are followed. What is
    /// no folder of that commit stays as it is named.
    pub fn folder(&self, name: &Path) -> Result<PathBuf, BaseError> {
        self.ask(name, |objects| objects.folder(&self.git, &self.commit, name))
    }

    fn ask<T>(&self, path: &Path, question: impl FnOnce(&mut Objects) -> Result<T, BaseError>) -> Result<T, BaseError> {
        let poisoned = |_| BaseError::Git(path.to_owned(), "an earlier question panicked".to_owned());
        let mut running = self.objects.lock().map_err(poisoned)?;
        let mut objects = match running.take() {
            Some(objects) => objects,
            None => Objects::start(&self.git)?,
        };
        let answer = question(&mut objects)?;
        *running = Some(objects);
        Ok(answer)
    }

    /// The hash of the commit.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether it is the commit that is checked out, so that nothing but what is not committed is new.
    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// The top folder, without links.
    pub fn work_tree(&self) -> &Path {
        &self.git.work_tree
    }
}
