//! Verifies transparency logs: signed tree heads, inclusion proofs, consistency proofs and tiles, without I/O.
//!
#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

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
pub use inclusion::{InclusionProof, ProofError, ProofStep, Side};
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
