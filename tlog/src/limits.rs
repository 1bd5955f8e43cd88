//! Every limit of the library, with its origin. An attacker chooses the size of the input.

/// Largest tree, in records. The arithmetic of Go's `golang.org/x/mod/sumdb/tlog` does not terminate above it.
pub const MAX_TREE_SIZE: u64 = 1 << 62;

/// Longest signed note, in bytes: the limit of Go's `note.Open`.
pub const MAX_NOTE_LEN: usize = 1_000_000;

/// Most signature lines of a note: the limit of Go's `note.Open`.
pub const MAX_SIGNATURES: usize = 100;

/// Longest record text, in bytes. A record of the checksum database has about 190 bytes.
pub const MAX_RECORD_LEN: usize = 64 << 10;

/// Longest lookup reply, in bytes: a record number, a record and a note.
pub const MAX_LOOKUP_LEN: usize = 32 + MAX_RECORD_LEN + MAX_NOTE_LEN;

/// Highest tile, in tree levels: the only height in use (<https://c2sp.org/tlog-tiles>).
pub const MAX_TILE_HEIGHT: u8 = 8;

/// Most hashes of a proof: one per tree level, and one more in a consistency proof.
pub const MAX_PROOF_HASHES: usize = 64;

/// Longest fork evidence, in bytes: two notes with `| ` before each line, and a proof.
pub const MAX_EVIDENCE_LEN: usize = 8 * MAX_NOTE_LEN;

/// Longest bundle, in bytes: the record as base64, a proof of lines of 45 bytes, and a note.
pub const MAX_BUNDLE_LEN: usize = 2 * MAX_RECORD_LEN + MAX_PROOF_HASHES * 45 + MAX_NOTE_LEN;
