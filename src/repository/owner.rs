//! Who owns the repository, checked as git does before it reads settings (`setup.c`, ensure_valid_ownership).
//!
//! git checks only a repository that it finds itself. Here `--git-dir` names it, so the check is done here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::BaseError;
use super::git::Git;
use crate::base::process::quoted;
use crate::base::text::safe_path;

/// The work tree, its `.git` and the repository folder belong to this user, or the user's own settings list the work tree as
/// safe.
pub(super) fn check(git: &Git, git_folder: &Path) -> Result<(), BaseError> {
    let user = rustix::process::geteuid().as_raw();
    let sudo = std::env::var("SUDO_UID").ok().filter(|_| user == 0).and_then(|id| id.parse().ok());
    let work_tree = &git.work_tree;
    for path in [work_tree, &work_tree.join(".git"), git_folder] {
        let found = path.symlink_metadata().map_err(|error| git.failed(error.to_string()))?.uid();
        if found != user && Some(found) != sudo && !is_safe(&git.protected_paths("safe.directory")?, work_tree) {
            let (tree, path) = (safe_path(work_tree), safe_path(path));
            return Err(BaseError::Unusable(format!(
                "the git repository {tree} is not used, because {path} belongs to another user (expected uid {user}, found \
                 {found}). If you trust that user, run:\n\n    git config --global --add safe.directory {}",
                quoted(&tree)
            )));
        }
    }
    Ok(())
}

/// Whether a list names a folder: itself, all, or one above it with `/*`. An empty entry cancels those before it.
fn is_safe(list: &[Vec<u8>], folder: &Path) -> bool {
    let is_below = |above: PathBuf| folder != above && folder.starts_with(above);
    list.iter().fold(false, |is_safe, entry| match (entry.as_slice(), entry.strip_suffix(b"/*")) {
        (b"", _) => false,
        (b"*" | b"/*", _) => true,
        (_, Some(above)) => is_safe || real(above).is_some_and(is_below),
        (entry, None) => is_safe || real(entry).as_deref() == Some(folder),
    })
}

/// A path of the list, without links, as newer versions of git compare it. A relative path matches nothing.
fn real(path: &[u8]) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path));
    path.is_absolute().then(|| path.canonicalize().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    #[test]
    fn the_list_is_read_as_git_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
        let is_safe = |list: &[&str], name: &str| {
            let list: Vec<Vec<u8>> = list.iter().map(|entry| entry.as_bytes().to_vec()).collect();
            super::is_safe(&list, &root.join(name))
        };
        assert!(is_safe(&["*"], "a/b") && is_safe(&["/*"], "a/b") && is_safe(&[&at("a/*")], "a/b"));
        assert!(is_safe(&[&at("a/b")], "a/b") && is_safe(&[&at("a/b/")], "a/b") && is_safe(&["*", &at("x")], "a/b"));
        assert!(!is_safe(&[], "a/b") && !is_safe(&["*", ""], "a/b") && !is_safe(&["a/b", "."], "a/b"));
        assert!(!is_safe(&[&at("a")], "a/b") && !is_safe(&[&at("a/*")], "a") && !is_safe(&[&at("a/b/*")], "a/b"));
        assert!(is_safe(&["*", "", &at("a/b")], "a/b"));
    }
}
