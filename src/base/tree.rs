//! The tree under audit. Its author is untrusted, and must not make sumgate read other files.
//!
//! A pull request can replace `go.sum` with a link to a secret, a FIFO or a device. So a file of the tree is opened only if
//! it is a regular file whose real path is inside the tree, and not inside a `.git`.

mod dirhash;
mod named;
mod regular;
mod walk;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

pub(crate) use dirhash::sha256_of;
pub use dirhash::{DirError, hash_dir};
pub use named::{folder_of, lexical, repository_by_words, tree_by_words, working_folder};
pub(crate) use regular::{RegularFileError, open_file, read_regular};
pub use walk::Unreadable;
pub(crate) use walk::{below, name_below};

use crate::base::account::real_home;

/// A tree under audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The top folder, without links.
    root: PathBuf,
}

/// Why a file of the tree is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The file is outside the tree, or not a regular file.
    #[error("{} is not read: expected a regular file, found {found}", path.display())]
    NotRegular {
        /// The path, as given.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// The file system returned an error.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Tree {
    /// The tree around `folder`: the work tree of its repository, or else the folder itself. A repository that contains the
    /// home folder does not count, because the files in a home folder have many authors.
    pub fn around(folder: &Path) -> io::Result<Self> {
        Ok(Self::below_home(&folder.canonicalize()?, real_home().as_deref()))
    }

    fn below_home(folder: &Path, home: Option<&Path>) -> Self {
        let around = work_tree(folder).filter(|top| !holds_home(top, home));
        Self { root: around.unwrap_or(folder).to_owned() }
    }

    /// Whether it contains the home folder and is not a repository, so that its files have many authors.
    pub fn is_of_the_user(&self) -> bool {
        holds_home(&self.root, real_home().as_deref()) && !self.is_repository()
    }

    /// Whether it is the work tree of a repository.
    pub fn is_repository(&self) -> bool {
        self.root.join(".git").symlink_metadata().is_ok()
    }

    /// The top folder, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a path exists and is in the tree, after following all links.
    pub fn holds(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| path.starts_with(&self.root))
    }

    /// Opens a regular file of the tree. Does not block on FIFOs and devices.
    pub fn open(&self, path: &Path) -> Result<File, TreeError> {
        let not_regular = |found| TreeError::NotRegular { path: path.to_owned(), found };
        let real = real(path)?;
        let inside = real.strip_prefix(&self.root).map_err(|_| not_regular("a link that leads out of the tree"))?;
        if inside.components().any(|part| part.as_os_str() == ".git") {
            return Err(not_regular("a link that leads into .git"));
        }
        open_real(path, &real)
    }
}

/// Opens a regular file that the user named, which may be anywhere. Does not block on FIFOs and devices.
pub fn open_named(path: &Path) -> Result<File, TreeError> {
    open_real(path, &real(path)?)
}

fn real(path: &Path) -> Result<PathBuf, TreeError> {
    path.canonicalize().map_err(|cause| {
        // The target of a dangling link may exist on another machine.
        if path.is_symlink() {
            TreeError::NotRegular { path: path.to_owned(), found: "a link that leads nowhere" }
        } else {
            Unreadable::at(path)(cause).into()
        }
    })
}

fn open_real(path: &Path, real: &Path) -> Result<File, TreeError> {
    let opened = open_regular(real).map_err(Unreadable::at(path))?;
    opened.ok_or_else(|| TreeError::NotRegular { path: path.to_owned(), found: "a FIFO, a device or a folder" })
}

fn holds_home(folder: &Path, home: Option<&Path>) -> bool {
    home.is_some_and(|home| home.starts_with(folder))
}

/// The work tree around a folder: the nearest folder, at or above it, with a `.git`.
pub fn work_tree(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok())
}

/// Opens a regular file; `None` if it is a link or another kind of file. Does not block.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        // A link, or a socket.
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Ok(None),
        opened => File::from(opened?),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_of_the_tree_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir_all(root.join("sub")).unwrap();
        for file in ["tree/go.sum", "tree/.git/config", "secret"] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        symlink("../go.sum", root.join("sub/go.sum")).unwrap();
        symlink(folder.path().join("secret"), root.join("secret")).unwrap();
        symlink(".git/config", root.join("config")).unwrap();
        symlink("/dev/zero", root.join("zero")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        let tree = Tree::around(&root.join("sub")).unwrap();
        assert_eq!(tree.root(), root.canonicalize().unwrap());
        for name in ["go.sum", "sub/go.sum"] {
            assert!(tree.open(&root.join(name)).is_ok(), "{name}");
        }
        symlink("gone", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for name in ["secret", "config", "zero", "fifo", "sub", "dangling", "loop"] {
            let error = tree.open(&root.join(name)).unwrap_err();
            assert!(matches!(error, TreeError::NotRegular { .. }), "{name}: {error}");
        }
        assert!(matches!(tree.open(&root.join("none")), Err(TreeError::Unreadable { .. })));
        // A file that the user names may be elsewhere, but must be a regular file.
        assert!(open_named(&root.join("secret")).is_ok());
        for name in ["zero", "fifo", "sub", "dangling"] {
            assert!(matches!(open_named(&root.join(name)), Err(TreeError::NotRegular { .. })), "{name}");
        }
    }

    #[test]
    fn a_repository_around_the_home_folder_is_not_the_tree_of_folders_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for path in [".git", "home/.git", "home/work/.git", "home/work/sub", "home/download/sub"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        let home = root.join("home");
        let of = |path: &str, home| Tree::below_home(&root.join(path), home).root;
        assert_eq!(of("home/work/sub", Some(&home)), root.join("home/work"));
        for path in ["home/download/sub", "home/download"] {
            assert_eq!(of(path, Some(&home)), root.join(path));
            assert_eq!(of(path, None), home);
        }
    }
}
