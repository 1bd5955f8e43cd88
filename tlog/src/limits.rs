//! Every bound of the library, each with its source.
//!
//! The attacker picks the size of what is read. See <https://c2sp.org/signed-note> for the shapes that are bounded here.

/// Largest tree, in records. Beyond it the arithmetic of the reference implementation does not end.
pub const MAX_TREE_SIZE: u64 = 1 << 62;

/// Longest signed note, in bytes: the bound of Go's `note.Open`.
pub const MAX_NOTE_LEN: usize = 1_000_000;

/// Most signature lines of a note: the bound of Go's `note.Open`.
pub const MAX_SIGNATURES: usize = 100;

/// Longest record text, in bytes. A record of the checksum database has about 190; paths and versions are bounded.
pub const MAX_RECORD_LEN: usize = 64 << 10;

/// Longest lookup reply, in bytes: an id, a record, a note.
pub const MAX_LOOKUP_LEN: usize = 32 + MAX_RECORD_LEN + MAX_NOTE_LEN;

/// Highest tile, in levels of the tree: the one height that is in use (<https://c2sp.org/tlog-tiles>).
pub const MAX_TILE_HEIGHT: u8 = 8;

/// Most hashes of a proof: one a level, and one more for consistency.
pub const MAX_PROOF_HASHES: usize = 64;

/// Longest evidence of a fork, in bytes: two notes, each line marked, and a proof.
pub const MAX_EVIDENCE_LEN: usize = 8 * MAX_NOTE_LEN;

/// Longest record with its proof as text, in bytes: the record as base64, a proof, a note.
pub const MAX_BUNDLE_LEN: usize = 2 * MAX_RECORD_LEN + MAX_PROOF_HASHES * 45 + MAX_NOTE_LEN;
