//! Verifies transparency logs: signed tree heads, inclusion proofs, consistency proofs and tiles, without I/O.
//!
//! The formats are those of the Go checksum database (<https://go.dev/design/25530-sumdb>) and of the C2SP specifications
//! that followed it: [signed notes](https://c2sp.org/signed-note), [checkpoints](https://c2sp.org/tlog-checkpoint) and
//! [tiles](https://c2sp.org/tlog-tiles). The Merkle tree is that of [RFC 6962](https://www.rfc-editor.org/rfc/rfc6962).
//!
//! # How a record is verified
//!
//! 1. [`LookupReply::parse`] reads the reply of a log, and [`SignedCheckpoint::open`] verifies its tree head.
//! 2. [`Timeline::observe`] relates the tree head to the trusted one. [`TilePlan::new`] tells which tiles prove the record
//!    and the consistency of the two heads.
//! 3. The caller fetches these tiles.
//! 4. [`TilePlan::authenticate`] checks every byte of them. [`LookupReply::prove`] returns the [`ProvenRecord`].
//! 5. [`Comparison::decide`] returns the new trusted head, or [`ForkEvidence`].
//!
//! The README has this as a complete example.
//!
//! # Guarantees
//!
//! 1. No I/O, no clock, no async: the caller fetches between planning and authentication.
//! 2. A type whose name says that something is signed, authentic or proven is made only by the verification.
//! 3. Every hash of every tile in a plan is checked before any hash can be read (CVE-2026-56865; `tests/vectors.rs`,
//!    `tests/exhaustive.rs`).
//! 4. The text of a record cannot be read before its inclusion under a signed tree head is proved (CVE-2026-56864).
//! 5. Parsing is canonical: a parsed value prints as the text that was parsed.
//! 6. Two signed tree heads that contradict each other become [`ForkEvidence`], which anyone can verify offline.
//! 7. The length of every input is limited: see [`limits`].
#![no_std]

extern crate alloc;

/// Runs the example in the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod bundle;
mod checkpoint;
mod consistency;
mod evidence;
mod from_str;
mod hash;
mod inclusion;
mod key;
pub mod limits;
mod memory;
mod mismatch;
pub mod note;
mod plan;
mod record;
mod sign;
mod tile;
mod timeline;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError, SUMDB_ORIGIN, SignedCheckpoint};
pub use consistency::ConsistencyProof;
pub use evidence::{EvidenceError, ForkEvidence};
pub use hash::{Hash, HashError, empty_root, leaf_hash, node_hash};
pub use inclusion::{InclusionProof, ProofError};
pub use key::{KeyError, SUM_GOLANG_ORG, VerifierKey};
pub use memory::MemoryTree;
pub use mismatch::Mismatch;
pub use note::{NoteError, VerifiedNote};
pub use plan::{AuthenticTiles, PlanError, TilePlan};
pub use record::{LookupReply, ProvenRecord, RecordError, format_record};
pub use sign::Signer;
pub use tile::{Tile, TileError, TileHeight};
pub use timeline::{Comparison, ComparisonError, Decision, Observation, Timeline};
pub use tree::{Node, RecordId, TreeError, TreeHead, TreeSize, root_from_subtrees, subtree_roots};
