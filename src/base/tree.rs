//! The tree under audit: whoever wrote it may choose its files, and must not choose what else is read.
//!
//! A pull request can make `go.sum` a link to a secret of the machine, a FIFO or a device. So a file of the tree is opened
//! only as a regular file whose real path lies inside the tree, and not inside a `.git`.

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
pub(crate) use regular::{RegularFileError, read_regular};
pub use walk::Unreadable;
pub(crate) use walk::{below, name_below};

use crate::base::account::real_home;

/// A tree under audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Without links.
    root: PathBuf,
}

/// Why a file of the tree is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// It leads out of the tree, or is no regular file.
    #[error("{} is not read: expected a regular file, found {found}", path.display())]
    NotRegular {
        /// Which, as named.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// The file system refuses.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Tree {
    /// The tree that `folder` lies in: the work tree of its repository, else the folder itself. A repository that holds the
    /// home folder does not count: what lies in a home is not all of one author.
    pub fn around(folder: &Path) -> io::Result<Self> {
        Ok(Self::below_home(&folder.canonicalize()?, real_home().as_deref()))
    }

    fn below_home(folder: &Path, home: Option<&Path>) -> Self {
        let around = work_tree(folder).filter(|top| !holds_home(top, home));
        Self { root: around.unwrap_or(folder).to_owned() }
    }

    /// Whether it is no repository and holds the home folder. What lies there is not of one author.
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

    /// Whether a path lies in the tree, once all links are followed. One that does not exist lies nowhere.
    pub fn holds(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| path.starts_with(&self.root))
    }

    /// Opens a regular file of the tree. Never blocks on a FIFO or a device.
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

/// Opens a regular file that a person named: it may lie anywhere. Never blocks on a FIFO or a device.
pub fn open_named(path: &Path) -> Result<File, TreeError> {
    open_real(path, &real(path)?)
}

fn real(path: &Path) -> Result<PathBuf, TreeError> {
    path.canonicalize().map_err(|cause| {
        // What is absent today on this machine may be there on another.
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

/// The work tree that a folder lies in: the nearest one at or above it with a `.git`.
pub fn work_tree(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok())
}

/// Opens a file whose last part is no link; `None` if it is not a regular one. Never blocks.
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
        // What a person names may lie elsewhere, and is a regular file all the same.
        assert!(open_named(&root.join("secret")).is_ok());
        for name in ["zero", "fifo", "sub", "dangling"] {
            assert!(matches!(open_named(&root.join(name)), Err(TreeError::NotRegular { .. })), "{name}");
        }
    }

    #[test]
    fn a_repository_around_the_home_folder_is_not_the_tree_of_what_lies_in_it() {
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
