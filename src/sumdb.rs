//! The client of the checksum database: the proved hashes of a module version.
//!
//! A lookup takes the proof from disk, else from the network: the reply's signed head is proved consistent with the trusted
//! one, the record is proved in its tree, and only then its text is read. [`lookup`] decides, without I/O; [`Client`] makes
//! the requests and keeps the state. Errors are not remembered, except for some seconds that a record is missing.

mod ages;
mod anchor;
mod batch;
mod client;
mod contact;
mod database;
mod databases;
mod endpoints;
mod error;
mod first_asked;
mod inclusion;
pub mod lookup;
mod merge;
mod observed_sizes;
mod private_names;
mod proof_set;
mod prover;
mod record;
mod remote;
mod tiles;
mod trusted;
mod waiting;
mod writes;

pub(crate) use ages::{Ages, KNOWN_SIZES, known_since};
pub use anchor::{Anchor, AnchorError, AnchorFileError};
pub use client::Client;
pub use database::{Database, DatabaseError};
pub use databases::{DatabaseId, Databases, LookupFailure, NoRecord};
pub(crate) use error::check_of;
pub use error::{Answer, NotShown, Question, SumdbError};
pub(crate) use first_asked::Entries as FirstAskedEntries;
pub use first_asked::FirstAsked;
pub use inclusion::Inclusion;
pub(crate) use private_names::looks_private;
pub use proof_set::{HeadImport, ProofSet};
pub use record::{ModuleRecord, ModuleRecordError, ProvenHash};
pub use waiting::Waiting;
