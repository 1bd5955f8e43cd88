//! Signed tree heads, inclusion and consistency proofs of a transparency log, verified without I/O.
//!
//! The formats are those of the Go checksum database (<https://go.dev/design/25530-sumdb>) and of the C2SP documents it
//! grew into: signed notes, checkpoints, tiles. The tree is the one of RFC 6962.
//!
//! | file | purpose |
//! |---|---|
//! | [`limits`] | every bound, with its source |
//! | `hash`, `tree` | [`struct@Hash`], leaf, node and empty tree; [`TreeHead`], [`Node`] |
//! | `inclusion`, `consistency` | [`InclusionProof`], [`ConsistencyProof`]: nodes needed, prove, verify |
//! | `tile`, `plan` | [`Tile`]; [`TilePlan`] (what to fetch) → [`AuthenticTiles`] |
//! | `key`, [`note`], `sign` | [`VerifierKey`], [`VerifiedNote`], [`Signer`] |
//! | `checkpoint`, `record`, [`bundle`] | [`SignedCheckpoint`]; [`LookupReply`] → [`ProvenRecord`]; proofs as text |
//! | `memory` | [`MemoryTree`]: a log that is written |
//! | `timeline`, `evidence` | [`Timeline::observe`] → past, same, ahead, another log, or [`ForkEvidence`] |
//!
//! # Invariants
//!
//! 1. No I/O, no clock, no async: planning is cut from authenticating at the fetch.
//! 2. A verified thing is a type that cannot be made otherwise: a check that is left out does not compile.
//! 3. Every tile of a plan takes part in the root or equals its hash in its parent; nothing else is handed out
//!    (CVE-2026-56865; `tests/vectors.rs`, `tests/exhaustive.rs`).
//! 4. The text of a record cannot be read before its inclusion under a signed head is proved (CVE-2026-56864).
//! 5. Parsing is canonical: what parses prints as it was, or is refused.
//! 6. Two signed heads that contradict each other become a value that anybody can check again, offline.
#![no_std]

extern crate alloc;

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod bundle;
mod checkpoint;
mod consistency;
mod evidence;
mod hash;
mod inclusion;
mod key;
pub mod limits;
mod memory;
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
pub use note::{NoteError, VerifiedNote};
pub use plan::{AuthenticTiles, PlanError, TilePlan};
pub use record::{LookupReply, ProvenRecord, RecordError, format_record};
pub use sign::Signer;
pub use tile::{Tile, TileError, TileHeight};
pub use timeline::{Comparison, ComparisonError, Decision, Observation, Timeline};
pub use tree::{Node, RecordId, TreeError, TreeHead, TreeSize, root_from_subtrees, subtree_roots};
