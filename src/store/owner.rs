//! Whether others than this user may have written a file of the data folder.
//!
//! Tree heads, records and tiles are proved whenever they are read. The time of a head is not, and it decides how old records
//! look. So it is trusted only in folders of this user, outside every tree under audit.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::base::tree::Tree;

/// Why a file or folder of the data folder is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It is inside a tree under audit.
    #[error(
        "{} lies inside the tree under audit ({}), whose author could have written it: put the data folder outside the \
         checkout with --data DIR or SUMGATE_DATA",
        path.display(), tree.display()
    )]
    Inside {
        /// The file or folder.
        path: PathBuf,
        /// The top folder of the tree.
        tree: PathBuf,
    },
    /// It belongs to another user.
    #[error(
        "{} belongs to user {owner}, expected the user of this process, {user}: remove it or change its owner, or name \
         another data folder with --data DIR or SUMGATE_DATA",
        path.display()
    )]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
}

const ROOT: u32 = 0;

pub(super) fn check_folder(folder: &Path, trees: &[Tree]) -> io::Result<Option<Untrusted>> {
    if let Some(tree) = trees.iter().find(|tree| tree.holds(folder)) {
        return Ok(Some(Untrusted::Inside { path: folder.to_owned(), tree: tree.root().to_owned() }));
    }
    Ok(check_author(folder, &folder.metadata()?))
}

/// The same for what is only read: what root wrote counts, too, because root could as well replace this program.
pub(super) fn check_author(path: &Path, meta: &Metadata) -> Option<Untrusted> {
    check_owner(path, meta).filter(|_| meta.uid() != ROOT)
}

/// Why a file or folder with this owner is not trusted, if so.
pub(super) fn check_owner(path: &Path, meta: &Metadata) -> Option<Untrusted> {
    let (owner, user) = (meta.uid(), geteuid().as_raw());
    (owner != user).then(|| Untrusted::Foreign { path: path.to_owned(), owner, user })
}
