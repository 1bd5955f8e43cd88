//! Why a module zip is refused.

use std::io;

use super::names::NameError;

/// Why a zip is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The file cannot be read.
    #[error("cannot read the zip: {0}")]
    Read(#[from] io::Error),
    /// The zip, its content or one of its files is larger than `go` allows.
    #[error("{0} is larger than {1} bytes")]
    TooLarge(String, u64),
    /// The last 22 bytes are not an end record.
    #[error("it is not a zip, is truncated, or has data after its end record")]
    NoEnd,
    /// The zip is split into several files.
    #[error("it is one part of a split zip")]
    ManyDisks,
    /// The directory is not directly before the end record.
    #[error("its directory does not end where its end record begins")]
    DirectoryMisplaced,
    /// The central directory is malformed.
    #[error("its directory is malformed: {0}")]
    BadDirectory(&'static str),
    /// An entry is encrypted, or has an unknown method or flag.
    #[error("{name:?} is encrypted or has an unknown compression (flags {flags:#x}, method {method})")]
    UnknownPacking {
        /// The name of the entry.
        name: String,
        /// Its flags.
        flags: u16,
        /// Its compression method.
        method: u16,
    },
    /// The two headers of an entry disagree.
    #[error("the two headers of {0:?} disagree")]
    HeadersDisagree(String),
    /// Some bytes belong to no part of the zip, or to two.
    #[error("there is a gap or an overlap before byte {0}")]
    NotContiguous(u64),
    /// The data of an entry differs from its headers.
    #[error("{0:?}: {1}")]
    BadData(String, &'static str),
    /// A name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The zip has no entries, so nothing in it names its module. That is no flaw where the module is known.
    #[error("it has no files, whose names would begin with MODULE@VERSION")]
    NamesNoModule,
    /// The zip exceeds a limit that `go` does not have. Its hash may be right.
    #[error(
        "{what}: expected at most {limit}, found {found}. sumgate does not read such a zip, although `go` may \
         (docs/refused.md)"
    )]
    OverLimit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The value in the zip.
        found: u64,
    },
}

impl ZipError {
    /// Whether the only known flaw of the zip is that it exceeds a limit.
    pub fn is_over_bound(&self) -> bool {
        matches!(self, Self::OverLimit { .. })
    }
}
