//! Proved files, and the only way to make one.
//!
//! ```text
//! Artifact ─expect→ Expected ─obtain→ Unproved ─hash→ Hashed ─prove→ Verified ─commit→ Released
//! ```
//!
//! One file per arrow. Each step takes the value on its left, so code that leaves out a step does not compile. `proved` runs
//! the steps in order.

mod basis;
mod context;
mod error;
mod event_log;
mod expected_hash;
mod facts;
mod fetch;
mod hash;
mod judge;
mod kept;
mod obtain;
mod partial;
mod prove;
mod proved;
mod released;

pub use basis::Basis;
pub(crate) use context::Context;
pub(crate) use error::blocking;
pub(crate) use error::{Refusal, ReleaseError};
pub use event_log::Events;
pub(crate) use event_log::{EventLog, RefusedFile, ReleasedFile};
pub(crate) use expected_hash::{Expectations, keeper};
pub(crate) use facts::Why;
pub(crate) use obtain::ByteSource;
pub(crate) use proved::ProvedFiles;
pub(crate) use released::Released;
