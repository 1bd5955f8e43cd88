//! The checksum-database client: what a module version must hash to, proved.
//!
//! A lookup goes: proof on disk, else the network; the reply's signed head is merged into the trusted timeline, the
//! record's inclusion proved, and only the proved text read. [`lookup`] is the decision as a pure machine, [`Client`]
//! drives it and keeps the state. An error is never remembered.

mod ages;
#[expect(clippy::disallowed_methods, reason = "it reads the file that the user names")]
mod anchor;
mod asked;
mod attested;
mod batch;
mod client;
mod database;
mod databases;
mod error;
pub mod lookup;
mod merge;
mod proof_set;
mod prover;
mod record;
mod remote;
mod sightings;
mod tiles;
mod trusted;

pub(crate) use ages::{Ages, SUM_GOLANG_ORG as KNOWN_SIZES};
pub use anchor::{Anchor, AnchorError};
pub use asked::FirstAsked;
pub use attested::{Answer, Attested, ProvenHash};
pub use client::Client;
pub use database::{Database, DatabaseError};
pub use databases::{DatabaseId, Databases, NoRecord, Unproved};
pub use error::{NotShown, Question, SumdbError};
pub use proof_set::{HeadImport, ProofSet};
pub use record::{RecordLines, RecordLinesError};
