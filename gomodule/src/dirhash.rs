//! h1: the hash of a list of files, as in go.sum (`golang.org/x/mod/sumdb/dirhash`, Hash1).
//!
//! SHA-256 over one line for each file, sorted bytewise by name: the SHA-256 of the file in hexadecimal, two spaces, the
//! name, and a newline. The names in a zip are as stored (`path@version/…`); a go.mod has the name `go.mod`.
//!
//! The reader of module zips is strict: it refuses a zip that could be read in two ways, so that no other reader sees files
//! other than those that were hashed. `directory` parses the structure, `names` checks file names, `entry` reads an entry,
//! `zip` hashes all of them, and `stream` hashes entries while the zip is being downloaded.

mod directory;
mod entry;
mod error;
mod h1;
mod limits;
mod names;
mod stream;
mod zip;

pub use directory::{MAX_DIRECTORY, MAX_ENTRIES, MAX_NAMES};
pub use error::ZipError;
pub use h1::{FileList, H1, H1Error, hash_go_mod};
pub use limits::ZipLimits;
pub use names::{MAX_ELEMENT, MAX_NAME, NameError};
pub use stream::StreamHasher;
pub use zip::{ZipReport, file_in_zip, hash_module_zip, hash_module_zip_streamed, module_in_zip, names_in_zip};
