//! Pieces of an open file, read into memory that is reused: fresh memory costs more than the copying.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::base::lock::lock;

/// One read. Large enough that the copying costs more than the call, small enough for a core's cache, for thousands of slow
/// clients, and for the room in a socket: none is left over that would have to wait.
const PIECE: usize = 64 << 10;
/// For all pieces that were read and not sent yet, in bytes. The less of it is left, the smaller are the next pieces, down to the
/// smallest size: for the most connections at most 128 MiB more, if each of them held one.
const MEMORY: usize = 16 << 20;
/// The part of what is left that one piece may take: the first two hundred are whole.
const PART: usize = 64;
/// The sizes of memory that is reused. A shorter piece takes the smallest that is enough, and at most twice its length: a thousand
/// slow clients must not hold a thousand large ones.
const SIZES: [usize; 3] = [PIECE / 4, PIECE / 2, PIECE];
/// Free pieces of each size: 3.5 MiB in all.
const MAX_FREE: usize = 32;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
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
        let most = largest(IN_USE.load(Ordering::Relaxed));
        let length = usize::try_from(left).unwrap_or(PIECE).min(most);
        let nth = SIZES.iter().position(|size| length <= *size).filter(|_| length > SIZES[0] / 2);
        let free = nth.and_then(|nth| lock(&FREE[nth]).pop());
        let size = nth.map_or(length, |nth| SIZES[nth]);
        let memory = free.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        IN_USE.fetch_add(memory.len(), Ordering::Relaxed);
        Self { memory, length }
    }
}

/// The largest piece while others have so many bytes.
fn largest(in_use: usize) -> usize {
    let part = MEMORY.saturating_sub(in_use) / PART;
    SIZES.into_iter().rev().find(|size| *size <= part).unwrap_or(SIZES[0])
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        IN_USE.fetch_sub(self.memory.len(), Ordering::Relaxed);
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
    fn pieces_get_smaller_while_others_hold_much() {
        assert_eq!([0, 12 << 20, MEMORY - 1, 10 * MEMORY].map(largest), [PIECE, PIECE, PIECE / 4, PIECE / 4]);
        let (mut in_use, mut clients) = (0, 0);
        while clients < 500 {
            (in_use, clients) = (in_use + largest(in_use), clients + 1);
        }
        assert!(in_use < 24 << 20, "{in_use} for 500 clients");
    }

    #[test]
    fn a_file_that_got_shorter_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        assert!(read(&file, 0, 10).is_err());
        assert!(read_cached(&file, 5, 5).is_none_or(|piece| piece.is_err()));
    }
}
