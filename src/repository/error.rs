//! Why the earlier state of a tree is not known, each with what to do.

use std::path::PathBuf;

use crate::base::text::safe_path;

/// Why the earlier state of a file is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// There is nothing to compare with.
    #[error("cannot compare with the base: {path} is not in a usable git repository: {1}", path = safe_path(.0))]
    NoRepository(PathBuf, String),
    /// git cannot be run.
    #[error("cannot run git, which --base needs: {0}")]
    NoGit(String),
    /// The name of the base, the repository, or a file of it is refused.
    #[error("{0}")]
    Unusable(String),
    /// git failed.
    #[error("cannot ask git about {path}: {1}", path = safe_path(.0))]
    Git(PathBuf, String),
}
