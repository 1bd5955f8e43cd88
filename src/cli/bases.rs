//! The commits of `--base`: one for each repository.

use std::path::Path;

use super::exit::Failure;
use super::out;
use crate::base::fault::Fault;
use crate::base::text::safe_path;
use crate::base::tree::tree_by_words;
use crate::finding::ComparedWith;
use crate::repository::Base;

/// A revision, and its commit in each repository.
#[derive(Debug)]
pub(super) struct Bases {
    revision: String,
    open: Vec<Base>,
}

impl Bases {
    pub(super) fn of(revision: &str) -> Self {
        Self { revision: revision.to_owned(), open: Vec::new() }
    }

    /// The base in the repository in which `path` is audited.
    pub(super) fn at(&mut self, path: &Path) -> Result<&Base, Failure> {
        let work_tree = Base::work_tree_of(path).map_err(Failure::usage)?;
        if let Some(at) = self.open.iter().position(|base| base.work_tree() == work_tree) {
            return Ok(&self.open[at]);
        }
        let base = Base::open(&self.revision, path).map_err(Failure::usage)?;
        if base.is_head() {
            let message = "is the checked-out commit: only uncommitted changes are new";
            out::message(&format!("--base {:?} {message} ({})", self.revision, base.commit()));
        }
        self.open.push(base);
        Ok(&self.open[self.open.len() - 1])
    }

    /// For reports.
    pub(super) fn compared_with(&self) -> Vec<ComparedWith> {
        let of =
            |base: &Base| ComparedWith { work_tree: base.work_tree().to_owned(), commit: base.commit().to_owned() };
        self.open.iter().map(of).collect()
    }
}

/// Checks that a path does not leave its repository through a link: a pull request can replace a folder by a link.
pub(super) fn stay_inside(path: &Path) -> Result<(), Failure> {
    let by_words = tree_by_words(path).map_err(|error| Failure::host("find the working folder", &error))?;
    let Some(tree) = by_words.filter(|tree| path.exists() && !tree.holds(path)) else { return Ok(()) };
    let (path, top) = (safe_path(path), safe_path(tree.root()));
    let message = format!(
        "{path} is reached through a link that leads out of the repository {top}: expected a folder in it. Remove the link; or, if you mean its \
         target, change to it and start again"
    );
    Err(Failure::new(Fault::Request, message))
}
