//! sumgate: a verifying Go module mirror: nothing is served before its hash is proved in the checksum database.
//!
//! The transparency log itself is the library [`tlog`], and Go's rules are the library [`gomodule`]. Here are the rooms around
//! them. Pure ones, without files, sockets, clock or async: [`base::fault`], [`sumdb::lookup`]. Ones that touch the world:
//! [`upstream`] (where bytes come from), [`store`] (what lies on disk), [`sumdb`] (what the database says), [`release`] (the
//! only way to a proved file), and [`mirror`], which answers requests. [`cli`] turns typed words into calls.
//!
//! # Invariants
//!
//! 1. No byte of a `.zip` or `.mod` leaves before its h1 equals the one in a proved record, or an explicit rule exempts
//!    the module and the trail says so (`release/prove`, `tests/end_to_end/attacks.rs`).
//! 2. What is hashed is what is served: one open file; a file on disk is hashed again after a start and whenever its
//!    identity changed (`release/proved`).
//! 3. Nothing from the network is kept before it is authenticated (`sumdb/tiles`, `tests/end_to_end/attacks.rs`).
//! 4. The trusted head only moves forward, by compare-and-swap, durably (`sumdb/trusted`, `store/state`).
//! 5. After a fork nothing new is released and the evidence is on disk (`sumdb/merge`, `tests/end_to_end/attacks.rs`).
//! 6. 404 means absent; a refusal is 403, trouble is 5xx (`mirror/http/respond`).
//! 7. An error is never remembered as an answer (`base/flight`).

#[expect(clippy::disallowed_methods, reason = "it reads and writes exports")]
pub mod airgap;
#[expect(clippy::disallowed_methods, reason = "it reads the tree under audit")]
pub mod audit;
pub mod base;
#[expect(clippy::disallowed_methods, reason = "it reads what its user names: files, variables, the clock")]
pub mod cli;
pub mod doctor;
pub mod finding;
#[doc(hidden)]
pub mod fuzzing;
#[expect(clippy::disallowed_methods, reason = "it starts the command and looks at what the command left")]
pub mod gate;
#[expect(clippy::disallowed_methods, reason = "it asks the go command, and reads its files")]
pub mod go;
pub mod mirror;
pub mod policy;
pub mod release;
#[expect(clippy::disallowed_methods, reason = "it asks git, and looks at its folders")]
pub mod repository;
pub mod settings;
#[expect(clippy::disallowed_methods, reason = "it is the disk")]
pub mod store;
pub mod sumdb;
pub mod upstream;
