//! The coding of a body (RFC 9110 section 8.4). `identity` is requested; some caches send gzip all the same.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// Compressed bytes that are decoded at once. Deflate makes at most 1032 bytes of one (RFC 1951: 258 bytes from two bits), so
/// a step needs at most 4 MiB.
const STEP: usize = 4 << 10;

/// Decodes a body piece by piece. The reader of the body bounds what is decoded.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Compressed bytes that came and are not decoded yet.
    rest: Bytes,
    /// No byte has come: some servers name a coding for an empty body, too.
    is_empty: bool,
}

impl std::fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gunzip({} bytes left)", self.rest.len())
    }
}

impl Gunzip {
    pub(super) fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), rest: Bytes::new(), is_empty: true }
    }

    /// Takes the next compressed bytes. Those before must be decoded.
    pub(super) fn push(&mut self, compressed: Bytes) {
        self.is_empty &= compressed.is_empty();
        self.rest = compressed;
    }

    /// The next decoded bytes; `None` if more compressed ones are needed.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        while !self.rest.is_empty() {
            let step = self.rest.split_to(self.rest.len().min(STEP));
            self.decoder.write_all(&step)?;
            let decoded = std::mem::take(self.decoder.get_mut());
            if !decoded.is_empty() {
                return Ok(Some(decoded.into()));
            }
        }
        Ok(None)
    }

    /// The last decoded bytes, after all compressed ones. An error if the body is cut.
    pub(super) fn finish(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.is_empty {
            return Ok(None);
        }
        self.decoder.try_finish()?;
        let decoded = std::mem::take(self.decoder.get_mut());
        Ok(Some(Bytes::from(decoded)).filter(|decoded| !decoded.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    /// Everything decoded, and the largest piece of it.
    fn decode(compressed: &[u8], chunk: usize) -> std::io::Result<(Vec<u8>, usize)> {
        let (mut gunzip, mut body, mut largest) = (Gunzip::new(), Vec::new(), 0);
        for chunk in compressed.chunks(chunk) {
            gunzip.push(Bytes::copy_from_slice(chunk));
            while let Some(decoded) = gunzip.next()? {
                largest = largest.max(decoded.len());
                body.extend_from_slice(&decoded);
            }
        }
        body.extend_from_slice(&gunzip.finish()?.unwrap_or_default());
        Ok((body, largest))
    }

    #[test]
    fn a_body_is_decoded_whatever_the_pieces_it_comes_in() {
        let body: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for chunk in [1, 7, STEP, 1 << 20] {
            assert_eq!(decode(&gzip(&body), chunk).unwrap().0, body, "{chunk}");
        }
        assert_eq!(decode(&gzip(b""), 10).unwrap().0, b"");
        assert_eq!(decode(&[gzip(b"one "), gzip(b"two")].concat(), 10).unwrap().0, b"one two");
    }

    #[test]
    fn a_bomb_is_decoded_in_bounded_steps() {
        let bomb = gzip(&vec![0; 64 << 20]);
        let (body, largest) = decode(&bomb, bomb.len()).unwrap();
        assert_eq!(body.len(), 64 << 20);
        assert!(largest <= STEP * 1032 + (64 << 10), "{largest}");
    }

    #[test]
    fn a_cut_or_changed_body_is_an_error() {
        let whole = gzip(&[7; 5000]);
        for length in 1..whole.len() {
            assert!(decode(&whole[..length], 16).is_err(), "{length}");
        }
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(decode(&changed, 16).is_err());
        assert!(decode(b"not gzip at all, but text", 16).is_err());
    }
}
