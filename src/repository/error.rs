//! Why the earlier state of a tree is not known, each with what to do.

use std::path::{Path, PathBuf};

use crate::finding::safe;

/// Why the earlier state of a file is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// There is nothing to compare with.
    #[error("cannot compare with the base, for {} is in no git repository that can be used: {why}", shown(path))]
    NoRepository {
        /// What was to be compared.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The repository belongs to somebody else.
    #[error(
        "the git repository {} is not used, for {} belongs to another user (expected uid {expected}, found {found}). If \
         you trust whoever made it, run:\n\n    git config --global --add safe.directory {}",
        shown(work_tree),
        shown(path),
        quoted(work_tree)
    )]
    Owner {
        /// The repository.
        work_tree: PathBuf,
        /// What belongs to somebody else.
        path: PathBuf,
        /// Our user.
        expected: u32,
        /// Whose it is.
        found: u32,
    },
    /// There is no git that can be run.
    #[error("cannot run git, which --base needs: {0}")]
    NoGit(String),
    /// The words cannot name one commit.
    #[error("--base {revision:?} cannot be used: {why}")]
    Unusable {
        /// As given.
        revision: String,
        /// What it is instead, and what to do.
        why: String,
    },
    /// The name leads to more than one thing.
    #[error(
        "--base {revision:?} is ambiguous: {name:?} is {}. Name the one that you mean in full, such as --base {}",
        candidates.join(" and "), candidates.last().map_or("", String::as_str)
    )]
    Ambiguous {
        /// As given.
        revision: String,
        /// Its part that names something.
        name: String,
        /// What it names.
        candidates: Vec<String>,
    },
    /// No such revision.
    #[error("git knows no revision {revision:?} in {}: {words}. {remedy}", shown(folder))]
    NoRevision {
        /// As given.
        revision: String,
        /// The repository.
        folder: PathBuf,
        /// What git said.
        words: String,
        /// What to do.
        remedy: String,
    },
    /// A partial clone without the object that is needed.
    #[error(
        "cannot read {} at the base: this is a partial clone ({filter}), and it lacks the object {object}. Programs of the \
         repository are not run to fetch it. Clone without a filter, or fetch what is missing:\n\n    \
         git -C {} fetch --refetch --no-filter {remote}",
        shown(path),
        quoted(work_tree)
    )]
    Partial {
        /// Which file was wanted.
        path: PathBuf,
        /// The repository.
        work_tree: PathBuf,
        /// The hash of what is not there.
        object: String,
        /// What the clone leaves out.
        filter: String,
        /// Where it comes from.
        remote: String,
    },
    /// The file is larger than such a file may be.
    #[error("{} at the base has {found} bytes; expected at most {limit}", shown(path))]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// git gave no answer.
    #[error("cannot ask git about {}: {words}", shown(path))]
    Git {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        words: String,
    },
}

/// A path for a person. Whoever wrote the tree chose its names.
fn shown(path: &Path) -> String {
    safe(&path.to_string_lossy())
}

/// A path as a word of a shell.
fn quoted(path: &Path) -> String {
    let text = shown(path);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@:=".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
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
