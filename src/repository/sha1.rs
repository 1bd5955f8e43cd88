//! The name of a git object: the hash of its kind, its size and its content.
//!
//! git checks objects that come over the network, and hardly those that lie on the disk already. A restored `.git` may have
//! anything under the hash of a commit. So what git answers is hashed here. Most repositories use SHA-1, for which two
//! contents with one hash can be made by whoever makes both; not one for a hash that is there already.

use sha2::{Digest, Sha256};

/// Whether an object has this name, of 40 digits (SHA-1) or 64 (SHA-256).
pub(super) fn has_name(name: &str, kind: &str, content: &[u8]) -> bool {
    let head = format!("{kind} {}\0", content.len());
    if name.len() == 64 {
        return hex::encode(Sha256::new().chain_update(&head).chain_update(content).finalize()) == name;
    }
    hex::encode(sha1(&[head.as_bytes(), content].concat())) == name
}

/// SHA-1 (FIPS 180-4, section 6.1).
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0_u32];
    let (blocks, rest) = message.as_chunks::<64>();
    for block in blocks {
        compress(&mut state, block);
    }
    let mut end = rest.to_vec();
    end.push(0x80);
    end.resize(if end.len() > 56 { 120 } else { 56 }, 0);
    end.extend((message.len() as u64 * 8).to_be_bytes());
    for block in end.as_chunks::<64>().0 {
        compress(&mut state, block);
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

#[expect(clippy::many_single_char_names, reason = "they are those of the standard")]
fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for nth in 16..80 {
        words[nth] = (words[nth - 3] ^ words[nth - 8] ^ words[nth - 14] ^ words[nth - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (nth, word) in words.iter().enumerate() {
        let (mixed, constant) = match nth / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d, e]) {
        *word = word.wrapping_add(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard_and_of_git() {
        for (message, expected) in [
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        ] {
            assert_eq!(hex::encode(sha1(message.as_bytes())), expected);
        }
        assert_eq!(hex::encode(sha1(&vec![b'a'; 1_000_000])), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
        for (zeros, expected) in [
            (55, "8e8832c642a6a38c74c17fc92ccedc266c108e6c"),
            (56, "9438e360f578e12c0e0e8ed28e2c125c1cefee16"),
            (63, "0b8bf9fc37ad802cefa6733ec62b09d5f43a1b75"),
            (64, "c8d7d0ef0eedfa82d2ea1aa592845b9a6d4b02b7"),
            (119, "85634f17f58bda0e4f0515dfb68bc1af922a031f"),
            (120, "b110a88a11436b215220486c1081dec2fb0f389a"),
        ] {
            assert_eq!(hex::encode(sha1(&vec![0; zeros])), expected, "{zeros}");
        }
        // `printf 'hello\n' | git hash-object --stdin`, and the same in a repository with SHA-256.
        assert!(has_name("ce013625030ba8dba906f756967f9e9ca394464a", "blob", b"hello\n"));
        assert!(!has_name("ce013625030ba8dba906f756967f9e9ca394464a", "blob", b"hallo\n"));
        assert!(!has_name("ce013625030ba8dba906f756967f9e9ca394464a", "tree", b"hello\n"));
        let long = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
        assert!(has_name(long, "blob", b"hello\n"));
    }
}
