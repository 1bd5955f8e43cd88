//! Why an export or import failed, as a whole or for one item.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::fault::{Fault, in_full};
use crate::mirror::MirrorError;
use crate::store::StoreError;
use crate::sumdb::SumdbError;
use gomodule::module::ModuleVersion;

/// An item that was not exported or imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A file, a line, a tree head.
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fault: Fault,
    /// The cause, if other items may have the same, in the same words.
    pub(crate) cause: Option<String>,
}

impl Refusal {
    pub(super) fn of(what: String, error: &MirrorError) -> Self {
        Self::new(what, in_full(error), error.fault())
    }

    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>, fault: Fault) -> Self {
        Self { what: what.into(), why: why.into(), fault, cause: None }
    }

    /// A module version for which no database can be reached.
    pub(super) fn unproved(module: &ModuleVersion, error: &SumdbError) -> Self {
        Self { cause: error.common_cause(), ..Self::new(module.to_string(), in_full(error), error.fault()) }
    }
}

/// Why an export or import failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum AirgapError {
    /// A file operation failed.
    #[error("cannot {doing} {}: {cause}", path.display())]
    Io {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The export folder is not empty.
    #[error("{} is not empty: export into a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The export has the name of an archive of another format.
    #[error("{} is neither a folder nor a .tar.zst: choose one of these", .0.display())]
    OtherArchive(PathBuf),
    /// The file is not an archive of tar with zstd or gzip.
    #[error(
        "{} is not an export: expected a .tar.zst that `sumgate cache export` wrote, or a .tar.gz of its files (it cannot be read: \
         {cause}); if they were packed in another way, unpack the archive, and import the folder",
        path.display()
    )]
    NotAnExport {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        cause: io::Error,
    },
    /// The export has no list of contents.
    #[error(
        "the export has no SHA256SUMS, its list of contents, which is written last: it is not whole, or was made by sumgate 0.1; \
         export it again"
    )]
    NotWhole,
    /// The list of contents would be too large.
    #[error("the export {} has too many files for one list of contents: make several exports", .0.display())]
    TooMany(PathBuf),
    /// The folder or archive has something that no export has, so none of it is imported.
    #[error("{} was refused as a whole: {entry:?} {why}", path.display())]
    Malformed {
        /// The folder or the archive.
        path: PathBuf,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AirgapError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { doing, path, cause }
    }

    pub(super) fn malformed(path: &Path, entry: &str, why: impl Into<String>) -> Self {
        // Untrusted: shown up to a limit.
        let entry = entry.chars().take(300).collect();
        Self::Malformed { path: path.to_owned(), entry, why: why.into() }
    }

    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } | Self::Store(_) => Fault::Host,
            Self::NotEmpty(_) | Self::OtherArchive(_) | Self::TooMany(_) => Fault::Request,
            Self::NotWhole | Self::Malformed { .. } | Self::NotAnExport { .. } => Fault::Refused,
        }
    }
}
