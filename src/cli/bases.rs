//! The commits that `--base` names: one for each repository, however many paths lie in it.

use std::path::Path;

use super::exit::Failure;
use super::out;
use crate::base::fault::Fault;
use crate::base::text::safe_path;
use crate::base::tree::tree_by_words;
use crate::finding::ComparedWith;
use crate::repository::Base;

/// A revision, and what it is in each repository that was asked for.
#[derive(Debug)]
pub(super) struct Bases {
    revision: String,
    open: Vec<Base>,
}

impl Bases {
    pub(super) fn of(revision: &str) -> Self {
        Self { revision: revision.to_owned(), open: Vec::new() }
    }

    /// The base in the repository that `path` is audited in.
    pub(super) fn at(&mut self, path: &Path) -> Result<&Base, Failure> {
        let work_tree = Base::work_tree_of(path).map_err(Failure::usage)?;
        if let Some(at) = self.open.iter().position(|base| base.work_tree() == work_tree) {
            return Ok(&self.open[at]);
        }
        let base = Base::open(&self.revision, path).map_err(Failure::usage)?;
        if base.is_head() {
            let words = "is the commit that is checked out: only changes that are not committed are new";
            out::complain(&format!("--base {:?} {words} ({})", self.revision, base.commit()));
        }
        self.open.push(base);
        Ok(&self.open[self.open.len() - 1])
    }

    /// What every output says of them.
    pub(super) fn compared_with(&self) -> Vec<ComparedWith> {
        let of =
            |base: &Base| ComparedWith { work_tree: base.work_tree().to_owned(), commit: base.commit().to_owned() };
        self.open.iter().map(of).collect()
    }
}

/// Whether a name stays in the repository that its words lead into. A pull request may turn a folder on the way into a link.
pub(super) fn stay_inside(path: &Path) -> Result<(), Failure> {
    let by_words = tree_by_words(path).map_err(|error| Failure::host("find the working folder", &error))?;
    let Some(tree) = by_words.filter(|tree| path.exists() && !tree.holds(path)) else { return Ok(()) };
    let (path, top) = (safe_path(path), safe_path(tree.root()));
    let words = format!(
        "{path} is a link, or is reached by one, that leads out of the repository {top}: expected a folder in it. Remove the \
         link; or, if you mean what it leads to, go there and start again"
    );
    Err(Failure::new(Fault::Request, words))
}
