//! h1: the hash of a list of files, as it stands in go.sum (`golang.org/x/mod/sumdb/dirhash`, Hash1).
//!
//! SHA-256 over a line for each file, sorted bytewise by name: the file's SHA-256 in hexadecimal, two spaces, the name, a
//! newline. For a zip the names are as stored (`path@version/…`); for a go.mod alone it is the one name `go.mod`.
//!
//! A module zip is read strictly: `directory` parses what must be there, `names` knows what files may be called,
//! `zip` hashes the entries, `along` those that can be hashed while the zip arrives. Where a zip could be read in two ways it is refused, so that no other reader can see other
//! files in it than were hashed.

mod directory;
mod h1;
mod limits;
mod names;
mod stream;
mod zip;

pub use directory::ZipError;
pub use h1::{FileList, H1, H1Error, hash_go_mod};
pub use limits::ZipLimits;
pub use names::NameError;
pub use stream::StreamHasher;
pub use zip::{ZipReport, hash_module_zip, hash_module_zip_streamed, module_in_zip, names_in_zip};
