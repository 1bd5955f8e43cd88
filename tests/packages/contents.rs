//! What is in a package: every byte of it, and of all that is compressed inside, at any depth.

use std::io::{Cursor, Read};

/// Larger than any package.
const LIMIT: u64 = 256 << 20;
/// An image has layers with compressed pages.
const DEPTH: usize = 4;

/// The bytes of `file`, and of every compressed stream that begins anywhere in it. Containers without compression (tar, ar, cpio, ELF)
/// need no reader: their parts lie in them as they are.
pub fn contents(file: Vec<u8>) -> Vec<Vec<u8>> {
    let (mut found, mut layer) = (Vec::new(), vec![file]);
    for _ in 0..DEPTH {
        let below = layer.iter().flat_map(|bytes| inside(bytes)).collect();
        found.append(&mut layer);
        layer = below;
    }
    assert!(layer.is_empty(), "expected at most {DEPTH} layers of compression");
    found
}

fn inside(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for at in 0..bytes.len().saturating_sub(4) {
        let rest = &bytes[at..];
        let opened = match rest {
            [0x1f, 0x8b, 8, ..] => whole(flate2::read::GzDecoder::new(rest)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::Decoder::new(rest).ok().and_then(whole),
            // The list of crates in the program. Two bytes are often there by chance: the sum at the end of the stream decides.
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => whole(flate2::read::ZlibDecoder::new(rest)),
            _ => None,
        };
        found.extend(opened);
    }
    if let Ok(mut zip) = zip::ZipArchive::new(Cursor::new(bytes)) {
        for index in 0..zip.len() {
            found.extend(zip.by_index(index).ok().and_then(whole));
        }
    }
    found
}

/// What a stream has, if it is one, to its end.
fn whole(stream: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = stream.take(LIMIT).read_to_end(&mut bytes).ok()?;
    (length > 0).then_some(bytes)
}

/// Whether `needle` is in it.
pub fn has(bytes: &[u8], needle: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(needle)
}
