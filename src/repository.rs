//! The repository of a tree under audit: what its files were at an earlier commit.
//!
//! The `git` command reads it, since it knows every repository format. Nothing is checked out or written. The author of the tree
//! cannot choose the repository (`locate`), the programs that git runs (`git`), or the commit that a name means (`name`).

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

/// Whether git tracks a file in the folder, so that the author of the repository wrote it. `folder` has no links; outside of a
/// repository the answer is no.
pub fn tracks(folder: &Path) -> Result<bool, BaseError> {
    match work_tree(folder) {
        Some(work_tree) => usable(work_tree.to_owned(), folder)?.tracks(folder),
        None => Ok(false),
    }
}

/// The `git` command for the repository with this work tree, which must belong to this user.
fn usable(work_tree: PathBuf, path: &Path) -> Result<Git, BaseError> {
    let unusable = |why: String| BaseError::NoRepository(path.to_owned(), why);
    let git_folder = locate::git_folder(&work_tree).map_err(|error| unusable(error.to_string()))?;
    let git = Git::find(work_tree, git_folder.clone())?;
    owner::check(&git, &git_folder)?;
    git.line(&["rev-parse", "--git-dir"])?.map_err(unusable)?;
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
    /// The revision, in the syntax of `git`, in the repository of [`Base::work_tree_of`]. An ambiguous name is an error.
    pub fn open(revision: &str, path: &Path) -> Result<Self, BaseError> {
        let git = usable(Self::work_tree_of(path)?, path)?;
        let commit = name::resolve(&git, revision)?;
        // Before the first commit there is no HEAD.
        let head = git.line(&["rev-parse", "--verify", "HEAD^{commit}"])?;
        let is_head = head.is_ok_and(|head| head == commit);
        Ok(Self { git, commit, is_head, objects: Mutex::new(None) })
    }

    /// The top folder, without links, of the repository that `path` is audited in: that of the working folder if `path` is in it,
    /// else that of `path`. So a name means the same commit for every file, and a submodule has no earlier state: its own
    /// branches say nothing about what was reviewed here.
    pub fn work_tree_of(path: &Path) -> Result<PathBuf, BaseError> {
        locate::work_tree_of(path).map_err(|error| BaseError::NoRepository(path.to_owned(), error.to_string()))
    }

    /// The file at that revision; of a link, its target as text. `None` if there was no file, or if it is outside the work tree
    /// or in a submodule.
    pub fn earlier(&self, path: &Path) -> Result<Option<Vec<u8>>, BaseError> {
        let real = locate::without_links(path).map_err(|error| BaseError::Git(path.to_owned(), error.to_string()))?;
        let Ok(inside) = real.strip_prefix(self.work_tree()) else { return Ok(None) };
        self.ask(inside, |objects| objects.file(&self.git, &self.commit, inside, false))
    }

    /// The file of this name, relative to the top folder, at that revision. The present work tree does not matter; links are
    /// followed within the commit.
    pub fn file(&self, name: &Path) -> Result<Option<Vec<u8>>, BaseError> {
        self.ask(name, |objects| objects.file(&self.git, &self.commit, name, true))
    }

    /// The folder of this name, relative to the top folder, with the links of that revision resolved. A name that is not a folder
    /// there stays as it is.
    pub fn folder(&self, name: &Path) -> Result<PathBuf, BaseError> {
        self.ask(name, |objects| objects.folder(&self.git, &self.commit, name))
    }

    fn ask<T>(&self, path: &Path, question: impl FnOnce(&mut Objects) -> Result<T, BaseError>) -> Result<T, BaseError> {
        let poisoned = |_| BaseError::Git(path.to_owned(), "an earlier request panicked".to_owned());
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

    /// Whether it is the commit that is checked out, so that only uncommitted changes are new.
    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// The top folder, without links.
    pub fn work_tree(&self) -> &Path {
        &self.git.work_tree
    }
}
