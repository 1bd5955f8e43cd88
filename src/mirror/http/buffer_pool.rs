//! Pieces of an open file, read into memory that is reused: fresh memory costs more than the copying.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use bytes::Bytes;

use crate::base::lock::lock;

/// One read. Large enough that the copying costs more than the call, small enough for a core's cache, for thousands of slow
/// clients, and for the usual room in a socket.
const PIECE: usize = 128 << 10;
/// The sizes of memory that is reused. A shorter piece takes the smallest that is enough, and at most twice its length: a thousand
/// slow clients must not hold a thousand large ones.
const SIZES: [usize; 4] = [PIECE / 8, PIECE / 4, PIECE / 2, PIECE];
/// Free pieces of each size: 7.5 MiB in all.
const MAX_FREE: usize = 32;

static FREE: [Mutex<Vec<Box<[u8]>>>; SIZES.len()] = [const { Mutex::new(Vec::new()) }; SIZES.len()];

/// Memory for one piece; it returns to the pool when the piece was sent.
struct Piece {
    memory: Box<[u8]>,
    length: usize,
}

/// Up to a piece of `left` bytes at `offset`, if the system has it in memory. After `None`, call [`read`].
#[cfg(target_os = "linux")]
pub(super) fn read_cached(file: &File, offset: u64, left: u64) -> Option<io::Result<Bytes>> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut piece = Piece::of(left);
    let wanted = &mut [IoSliceMut::new(&mut piece.memory[..piece.length])];
    // `read` reports the error: mostly EAGAIN, or a file system that cannot tell.
    piece.length = preadv2(file, wanted, offset, ReadWriteFlags::NOWAIT).ok()?;
    Some(if piece.length == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Bytes::from_owner(piece)) })
}

/// Other systems cannot tell what is in memory.
#[cfg(not(target_os = "linux"))]
pub(super) fn read_cached(_: &File, _: u64, _: u64) -> Option<io::Result<Bytes>> {
    None
}

/// A piece of exactly `left` bytes. A file that got shorter is an error, or the client would accept a part. Blocks.
pub(super) fn read(file: &File, offset: u64, left: u64) -> io::Result<Bytes> {
    let mut piece = Piece::of(left);
    file.read_exact_at(&mut piece.memory[..piece.length], offset)?;
    Ok(Bytes::from_owner(piece))
}

impl Piece {
    fn of(left: u64) -> Self {
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let Some(nth) = SIZES.iter().position(|size| length <= *size).filter(|_| length > SIZES[0] / 2) else {
            return Self { memory: vec![0; length].into_boxed_slice(), length };
        };
        let free = lock(&FREE[nth]).pop();
        Self { memory: free.unwrap_or_else(|| vec![0; SIZES[nth]].into_boxed_slice()), length }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let Some(nth) = SIZES.iter().position(|size| self.memory.len() == *size) else { return };
        let mut free = lock(&FREE[nth]);
        if free.len() < MAX_FREE {
            free.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;

    use super::*;

    #[test]
    fn pieces_in_reused_memory_are_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        let whole: Vec<u8> = (0..PIECE + 1000).map(|nth| nth.to_le_bytes()[0] ^ nth.to_le_bytes()[1]).collect();
        file.write_all(&whole).unwrap();
        for _ in 0..3 {
            let (mut all, mut offset) = (Vec::new(), 0);
            while offset < whole.len() {
                let left = (whole.len() - offset) as u64;
                let piece = read_cached(&file, offset as u64, left).unwrap_or_else(|| read(&file, offset as u64, left));
                let piece = piece.unwrap();
                offset += piece.len();
                all.push(piece);
            }
            assert_eq!(all.concat(), whole);
        }
    }

    #[test]
    fn a_file_that_got_shorter_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        assert!(read(&file, 0, 10).is_err());
        assert!(read_cached(&file, 5, 5).is_none_or(|piece| piece.is_err()));
    }
}
