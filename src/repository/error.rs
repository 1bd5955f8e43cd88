//! Why the earlier state of a tree is not known, each with what to do.

use std::path::{Path, PathBuf};

use crate::base::text::safe_path;

/// Why the earlier state of a file is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// There is nothing to compare with.
    #[error("cannot compare with the base, for {path} is in no git repository that can be used: {1}", path = safe_path(.0))]
    NoRepository(PathBuf, String),
    /// There is no git that can be run.
    #[error("cannot run git, which --base needs: {0}")]
    NoGit(String),
    /// The name of the base, the repository, or a file of it is not used. With what to do.
    #[error("{0}")]
    Unusable(String),
    /// git gave no answer.
    #[error("cannot ask git about {path}: {1}", path = safe_path(.0))]
    Git(PathBuf, String),
}

pub(super) fn quoted(path: &Path) -> String {
    crate::base::process::quoted(&safe_path(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_of_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c")), "/a/b-c");
        assert_eq!(quoted(Path::new("/a b/it's$(x)")), r"'/a b/it'\''s$(x)'");
    }
}
