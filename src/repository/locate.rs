//! Where the repository of a file is: its work tree, and the folder that git keeps for it.
//!
//! `.git` is found here and not by git, which takes any folder with `HEAD`, `objects` and `refs` for a repository. A pull
//! request can add such a folder, with settings of its own.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::base::bounded::first;
use crate::base::tree::{open_regular, work_tree};

/// The `.git` file of a worktree or submodule has one path; a path has at most 4096 bytes (`PATH_MAX`).
const MAX_GIT_FILE: u64 = 8 << 10;

/// The path of a file without links in its folders; the last element may be a link, as git stores it. Missing folders keep their
/// names.
pub(super) fn without_links(path: &Path) -> io::Result<PathBuf> {
    match path.file_name() {
        Some(name) => Ok(real_folder(path.parent().unwrap_or(path))?.join(name)),
        None => real_folder(path),
    }
}

/// A folder without links, of which the last elements may not exist.
fn real_folder(folder: &Path) -> io::Result<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (folder.canonicalize(), folder.parent(), folder.components().next_back()) {
        (Err(error), Some(parent), Some(Component::Normal(name))) if error.kind() == io::ErrorKind::NotFound => {
            Ok(real_folder(parent)?.join(name))
        }
        (found, ..) => found,
    }
}

/// The work tree whose commits say what `path` was: that of the working folder if `path` is in it, else its own.
pub(super) fn work_tree_of(path: &Path) -> io::Result<PathBuf> {
    let real = if path.is_dir() { path.canonicalize() } else { without_links(path) }?;
    let folder = if real.is_dir() { &real } else { real.parent().unwrap_or(&real) };
    let here = Path::new(".").canonicalize()?;
    let around = work_tree(&here).filter(|root| folder.starts_with(root));
    let found = around.or_else(|| work_tree(folder));
    found.map(Path::to_owned).ok_or_else(|| io::Error::other("no folder above it has a .git"))
}

/// The repository of a work tree: the folder `.git`, or the one that the file `.git` names.
pub(super) fn git_folder(work_tree: &Path) -> io::Result<PathBuf> {
    let dot_git = work_tree.join(".git");
    if dot_git.metadata()?.is_dir() {
        return dot_git.canonicalize();
    }
    let neither = || io::Error::other(".git is neither a folder nor a file");
    let text = first(open_regular(&dot_git)?.ok_or_else(neither)?, MAX_GIT_FILE)?;
    // As git reads it (setup.c, read_gitfile_gently). The error does not quote the file: it may be a secret.
    let target = text.strip_prefix(b"gitdir: ").ok_or_else(|| io::Error::other("the file .git names no gitdir"))?;
    let end = target.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    work_tree.join(OsStr::from_bytes(&target[..end])).canonicalize()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_have_no_links_and_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("link")).unwrap();
        let of = |name: &str| without_links(&root.join(name)).unwrap();
        assert_eq!(of("link/go.sum"), root.join("real/go.sum"));
        assert_eq!(of("link/gone/deep/go.sum"), root.join("real/gone/deep/go.sum"));
        assert_eq!((of("link"), of("link/.."), of("link/.")), (root.join("link"), root.clone(), root.join("link")));
        assert!(without_links(&root.join("gone/../go.sum")).is_err());
    }

    #[test]
    fn a_git_file_is_read_as_git_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (dot_git, theirs) = (root.join(".git"), root.join("their s"));
        fs::create_dir(&theirs).unwrap();
        for text in [format!("gitdir: {}\r\n", theirs.display()), "gitdir: their s".to_owned()] {
            fs::write(&dot_git, text).unwrap();
            assert_eq!(git_folder(&root).unwrap(), theirs);
        }
        fs::write(&dot_git, "secret\n").unwrap();
        assert!(!git_folder(&root).unwrap_err().to_string().contains("secret"));
        fs::remove_file(&dot_git).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &dot_git, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        assert!(git_folder(&root).is_err());
        fs::remove_file(&dot_git).unwrap();
        symlink("their s", &dot_git).unwrap();
        assert_eq!(git_folder(&root).unwrap(), theirs);
    }
}
