//! The name of a git object: the hash of its kind, its size and its content.
//!
//! git verifies objects that it downloads, but hardly those on the disk. A restored `.git` may have anything under the hash of a
//! commit, so the content is hashed here. Most repositories use SHA-1: an attacker can make two contents with the same hash, but
//! not a content for an existing hash.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Whether an object has this name, of 40 digits (SHA-1) or 64 (SHA-256).
pub(super) fn has_name(name: &str, kind: &str, content: &[u8]) -> bool {
    let head = format!("{kind} {}\0", content.len());
    if name.len() == 64 { hash::<Sha256>(&head, content) == name } else { hash::<Sha1>(&head, content) == name }
}

fn hash<D: Digest>(head: &str, content: &[u8]) -> String {
    hex::encode(D::new().chain_update(head).chain_update(content).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_as_in_git() {
        // `printf 'hello\n' | git hash-object --stdin`, and the same in a repository with SHA-256.
        assert!(has_name("ce013625030ba8dba906f756967f9e9ca394464a", "blob", b"hello\n"));
        assert!(!has_name("ce013625030ba8dba906f756967f9e9ca394464a", "blob", b"hallo\n"));
        assert!(!has_name("ce013625030ba8dba906f756967f9e9ca394464a", "tree", b"hello\n"));
        let long = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
        assert!(has_name(long, "blob", b"hello\n"));
    }
}
