//! Why nothing, or no more, was carried.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::fault::{Fault, in_full};
use crate::mirror::MirrorError;
use crate::store::StoreError;

/// Something that did not get in, or not out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A file, a line, a tree head.
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fault: Fault,
}

impl Refusal {
    pub(super) fn of(what: String, error: &MirrorError) -> Self {
        Self { what, why: in_full(error), fault: error.fault() }
    }
}

/// Why nothing, or no more, was carried.
#[derive(Debug, thiserror::Error)]
pub enum AirgapError {
    /// A file operation failed.
    #[error("cannot {doing} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// An export folder that is in use.
    #[error("{} is not empty: export into a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// An export to an archive of another form.
    #[error("{} is neither a folder nor a .tar.zst: only these are written", .0.display())]
    OtherArchive(PathBuf),
    /// What lies there was made by no export, so none of it is taken.
    #[error("{} was refused as a whole: {entry:?} {why}", path.display())]
    Malformed {
        /// The folder or the archive.
        path: PathBuf,
        /// Which entry.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AirgapError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { doing, path, cause }
    }

    pub(super) fn malformed(path: &Path, entry: &str, why: impl Into<String>) -> Self {
        // What a stranger wrote is shown, but not at any length.
        let entry = entry.chars().take(300).collect();
        Self::Malformed { path: path.to_owned(), entry, why: why.into() }
    }

    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } | Self::Store(_) => Fault::Host,
            Self::NotEmpty(_) | Self::OtherArchive(_) => Fault::Request,
            Self::Malformed { .. } => Fault::Refused,
        }
    }
}
