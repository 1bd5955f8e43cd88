//! Hashes of the tree: SHA-256 with a prefix byte that separates leaves from inner nodes.
//!
//! Leaf = SHA-256(0x00 ‖ text), node = SHA-256(0x01 ‖ left ‖ right), empty tree = SHA-256 of the empty string
//! (RFC 6962 section 2.1, <https://www.rfc-editor.org/rfc/rfc6962#section-2.1>). As text: standard base64 with padding.
//!
//! ```
//! use tlog::{Hash, empty_root};
//! assert_eq!(empty_root().to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
//! assert_eq!(Hash::parse("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), Ok(empty_root()));
//! ```

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A SHA-256 hash of a leaf, an inner node or a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

/// The text is not the canonical base64 of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 44 characters of canonical base64 (32 bytes)")]
pub struct HashError;

impl Hash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Makes a hash from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses canonical standard base64: with padding, without white space or trailing bits.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() != 44 {
            return Err(HashError);
        }
        let mut bytes = [0; 33];
        match STANDARD.decode_slice(text, &mut bytes) {
            Ok(32) => bytes[..32].try_into().map(Self).map_err(|_| HashError),
            _ => Err(HashError),
        }
    }

    /// The hash at `index` in the bytes of a tile.
    pub(crate) fn at(row: &[u8], index: usize) -> Option<Self> {
        row.get(index * Self::LEN..)?.first_chunk().copied().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        base64::display::Base64Display::new(&self.0, &STANDARD).fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a leaf, whose data is the text of a record.
#[doc(alias = "RecordHash")]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// The hash of an inner node.
#[doc(alias = "NodeHash")]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root hash of the empty tree.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}
