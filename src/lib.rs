//! sumgate, a verifying Go module mirror: nothing is served before its hash is proved in the checksum database.
//!
//! The transparency log is the library [`tlog`], and Go's rules are the library [`gomodule`]. The modules of this crate are its
//! rooms; `ARCHITECTURE.md` describes them, the path of a request through them, and the invariants. [`release`] is the only way to
//! a proved file: start at `release/proved.rs`.

#[expect(clippy::disallowed_methods, reason = "it reads and writes exports")]
pub mod airgap;
#[expect(clippy::disallowed_methods, reason = "it reads the tree under audit")]
pub mod audit;
pub mod base;
#[expect(clippy::disallowed_methods, reason = "it reads files and variables that the user names, and the clock")]
pub mod cli;
pub mod doctor;
pub(crate) mod events;
pub mod finding;
#[doc(hidden)]
pub mod fuzzing;
#[expect(clippy::disallowed_methods, reason = "it starts the command and examines its files")]
pub mod gate;
#[expect(clippy::disallowed_methods, reason = "it runs the go command, and reads its files")]
pub mod go;
pub mod mirror;
pub mod page;
pub mod policy;
pub mod release;
#[expect(clippy::disallowed_methods, reason = "it runs git, and reads its folders")]
pub mod repository;
pub mod settings;
#[expect(clippy::disallowed_methods, reason = "it reads and writes the data folder")]
pub mod store;
pub mod sumdb;
mod telemetry;
pub mod upstream;

/// The code in the guide of the libraries is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryGuide;
