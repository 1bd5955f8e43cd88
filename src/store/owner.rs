//! Whether what lies in the data folder can have been written by others than this user.
//!
//! Heads, records and tiles are proved whenever they are read. The time beside a head is not: whoever can write it decides
//! how old records look. So it counts only in folders of this user, outside of every tree under audit.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::base::tree::Tree;

/// Why something in the data folder does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It lies inside a tree under audit.
    #[error(
        "{} lies inside the tree under audit ({}), whose author could have written it: put the data folder outside the \
         checkout with --data DIR or SUMGATE_DATA",
        path.display(), tree.display()
    )]
    Inside {
        /// What does.
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
        /// What does.
        path: PathBuf,
        /// To whom.
        owner: u32,
        /// As whom this process runs.
        user: u32,
    },
}

pub(super) fn check_folder(folder: &Path, trees: &[Tree]) -> io::Result<Option<Untrusted>> {
    if let Some(tree) = trees.iter().find(|tree| tree.holds(folder)) {
        return Ok(Some(Untrusted::Inside { path: folder.to_owned(), tree: tree.root().to_owned() }));
    }
    Ok(check_owner(folder, &folder.metadata()?))
}

/// Why what has this owner does not count, if it does not.
pub(super) fn check_owner(path: &Path, meta: &Metadata) -> Option<Untrusted> {
    let (owner, user) = (meta.uid(), geteuid().as_raw());
    (owner != user).then(|| Untrusted::Foreign { path: path.to_owned(), owner, user })
}
