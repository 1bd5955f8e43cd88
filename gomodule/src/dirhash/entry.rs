//! The entries of a zip: their local headers, which must agree with the directory, and their data.
//!
//! Go reads the central directory; other readers walk the local headers. Each entry must begin where the one before it
//! ended, and the last one must end at the directory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use flate2::{Decompress, FlushDecompress, Status};

use super::directory::{DESCRIPTOR, Directory, FLAG_DESCRIPTOR, Fields, LOCAL, LOCAL_LEN, Method, ZipEntry};
use super::error::ZipError;
use super::limits::BUFFER_LEN;
use super::names::MAX_NAME;
use super::stream::{EntryHasher, inflate};

/// The most that is read at once, in bytes. Larger reads are not faster.
pub(super) const BLOCK_LEN: usize = 1 << 20;
/// A read for a header alone. The longest header has [`LOCAL_LEN`] + [`MAX_NAME`] bytes.
pub(super) const HEADER_BLOCK_LEN: usize = 8 << 10;
const _: () = assert!(LOCAL_LEN + MAX_NAME <= HEADER_BLOCK_LEN);

/// Reads entries one at a time, with reused buffers.
pub(super) struct EntryReader<'f> {
    directory: &'f Directory,
    block: Block<'f>,
    inflater: Decompress,
    plain: Vec<u8>,
}

impl<'f> EntryReader<'f> {
    /// `block_len` is the most that is read at once: [`BLOCK_LEN`], or [`HEADER_BLOCK_LEN`] for headers alone.
    pub(super) fn new(file: &'f File, directory: &'f Directory, block_len: usize) -> Self {
        let block = Block { file, bytes: vec![0; block_len], start: 0, len: 0, ahead: 0 };
        Self { directory, block, inflater: Decompress::new(false), plain: vec![0; BUFFER_LEN] }
    }

    /// Sets the end of what is read ahead. It must not be before the end of an entry that is read.
    pub(super) fn read_ahead_to(&mut self, end: u64) {
        self.block.ahead = end;
    }

    /// Checks the headers of the entry number `nth`, and leaves out its data.
    pub(super) fn check(&mut self, nth: usize) -> Result<(), ZipError> {
        let (entry, end) = (&self.directory.entries[nth], self.directory.end(nth));
        let data = self.local_header(entry, end)?;
        self.ending(entry, data + entry.packed, end)
    }

    /// The SHA-256 of the entry number `nth`, whose headers must agree, and whose length and CRC-32 must be as declared. Its
    /// content goes to `each`, at most what is declared. `known` returns the hash for a position of its data, if the data need
    /// not be read.
    pub(super) fn sha256(
        &mut self,
        nth: usize,
        known: impl Fn(&ZipEntry, u64) -> Option<[u8; 32]>,
        each: impl FnMut(&[u8]),
    ) -> Result<[u8; 32], ZipError> {
        let (entry, end) = (&self.directory.entries[nth], self.directory.end(nth));
        let data = self.local_header(entry, end)?;
        let sha256 = known(entry, data).map_or_else(|| self.content(entry, data, each), Ok)?;
        self.ending(entry, data + entry.packed, end)?;
        Ok(sha256)
    }

    /// Checks that the local header of an entry agrees with the directory. Returns the position of its data, which is before
    /// `end`.
    fn local_header(&mut self, entry: &ZipEntry, end: u64) -> Result<u64, ZipError> {
        let name = self.directory.name(entry);
        let disagree = || ZipError::HeadersDisagree(name.to_owned());
        let (at, length) = (u64::from(entry.header), LOCAL_LEN + name.len());
        if at + length as u64 > end {
            return Err(ZipError::NotContiguous(end));
        }
        let bytes = &self.block.from(at, length)?[..length];
        let mut fields = Fields(bytes);
        let signature = fields.u32();
        let _version = fields.u16();
        let (flags, method) = (fields.u16(), fields.u16());
        let _time = fields.u32();
        let sizes = (fields.u32(), u64::from(fields.u32()), u64::from(fields.u32()));
        let (name_len, extra) = (usize::from(fields.u16()), u64::from(fields.u16()));
        let is_same = signature == LOCAL && flags == entry.flags && method == entry.method as u16;
        if !is_same || name_len != name.len() || bytes[LOCAL_LEN..] != *name.as_bytes() {
            return Err(disagree());
        }
        // With a descriptor, the sizes in the local header may be 0.
        if sizes != declared(entry) && !(entry.flags & FLAG_DESCRIPTOR != 0 && sizes == (0, 0, 0)) {
            return Err(disagree());
        }
        let data = at + length as u64 + extra;
        if data + entry.packed > end { Err(ZipError::NotContiguous(end)) } else { Ok(data) }
    }

    /// Checks that an entry whose data ends at `at` ends at `end`: directly, or with a descriptor that agrees with the
    /// directory, with or without its signature.
    fn ending(&mut self, entry: &ZipEntry, at: u64, end: u64) -> Result<(), ZipError> {
        let mut length = 0;
        if entry.flags & FLAG_DESCRIPTOR != 0 {
            let room = usize::try_from((end - at).min(16)).unwrap_or(0);
            let bytes = &self.block.from(at, room)?[..room];
            let values = |mut fields: Fields<'_>| (fields.u32(), u64::from(fields.u32()), u64::from(fields.u32()));
            length =
                if room == 16 && Fields(bytes).u32() == DESCRIPTOR && values(Fields(&bytes[4..])) == declared(entry) {
                    16
                } else if room >= 12 && values(Fields(bytes)) == declared(entry) {
                    12
                } else {
                    return Err(ZipError::HeadersDisagree(self.directory.name(entry).to_owned()));
                };
        }
        if at + length == end { Ok(()) } else { Err(ZipError::NotContiguous(end)) }
    }

    /// Reads and hashes the data at `data`.
    fn content(&mut self, entry: &ZipEntry, data: u64, mut each: impl FnMut(&[u8])) -> Result<[u8; 32], ZipError> {
        let bad = |why| ZipError::BadData(self.directory.name(entry).to_owned(), why);
        let mut hasher = EntryHasher::default();
        // An entry that is longer than declared is refused at once, which stops zip bombs.
        let mut add = |data: &[u8]| {
            hasher.update(data);
            if hasher.length > entry.unpacked {
                return Err(bad("it is longer than declared"));
            }
            each(data);
            Ok(())
        };
        if entry.method == Method::Deflate {
            self.inflater.reset(false);
        }
        let (mut at, end) = (data, data + entry.packed);
        let mut ended = entry.method == Method::Stored;
        while at < end {
            let mut input = self.block.from(at, 1)?;
            input = &input[..usize::try_from(end - at).map_or(input.len(), |left| left.min(input.len()))];
            at += input.len() as u64;
            if entry.method == Method::Stored {
                add(input)?;
                continue;
            }
            while !input.is_empty() {
                if ended {
                    return Err(bad("its packed data continues after its end"));
                }
                let (status, consumed, produced) =
                    inflate(&mut self.inflater, input, &mut self.plain, FlushDecompress::None);
                add(&self.plain[..produced])?;
                input = &input[consumed..];
                match status {
                    Ok(Status::StreamEnd) => ended = true,
                    Ok(Status::Ok) if consumed + produced > 0 => {}
                    Ok(_) | Err(_) => return Err(bad("its packed data is damaged")),
                }
            }
        }
        // After all input, the inflater may still have output.
        while !ended {
            let (status, _, produced) = inflate(&mut self.inflater, &[], &mut self.plain, FlushDecompress::Finish);
            add(&self.plain[..produced])?;
            match status {
                Ok(Status::StreamEnd) => ended = true,
                Ok(_) if produced > 0 => {}
                Ok(_) | Err(_) => return Err(bad("its packed data is cut off")),
            }
        }
        if hasher.length != entry.unpacked {
            return Err(bad("it is shorter than declared"));
        }
        let (crc, sha256) = hasher.finish();
        if crc == entry.crc { Ok(sha256) } else { Err(bad("its checksum is not the declared one")) }
    }
}

/// CRC-32, packed and unpacked length, as the directory has them.
fn declared(entry: &ZipEntry) -> (u32, u64, u64) {
    (entry.crc, entry.packed, entry.unpacked)
}

/// A part of the file in memory.
struct Block<'f> {
    file: &'f File,
    bytes: Vec<u8>,
    /// The position of its first byte.
    start: u64,
    /// The number of bytes that are read.
    len: usize,
    /// The end of what is read ahead.
    ahead: u64,
}

impl Block<'_> {
    /// At least the `least` bytes at `at`, which are before `ahead` and fit into the block, and what is read after them.
    fn from(&mut self, at: u64, least: usize) -> io::Result<&[u8]> {
        let offset = at.checked_sub(self.start).and_then(|offset| usize::try_from(offset).ok());
        let offset = if let Some(offset) = offset.filter(|offset| offset.saturating_add(least) <= self.len) {
            offset
        } else {
            let left = usize::try_from(self.ahead.saturating_sub(at)).unwrap_or(usize::MAX);
            self.len = left.max(least).min(self.bytes.len());
            self.start = at;
            self.file.read_exact_at(&mut self.bytes[..self.len], at)?;
            0
        };
        Ok(&self.bytes[offset..self.len])
    }
}

#[cfg(test)]
mod tests;
