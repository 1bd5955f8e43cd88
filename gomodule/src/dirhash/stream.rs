//! Hashing a zip while it is being downloaded.
//!
//! Each entry follows its local header, so most entries can be inflated and hashed as their bytes arrive. Such a hash is
//! provisional, because the directory at the end of the zip decides which entries there are. So each hash is stored with the
//! exact bytes it covers, and is used only for an entry of the directory with the same bytes, method, lengths and checksum.
//! All other entries are hashed from the file.

use crc32fast::Hasher as Crc32;
use flate2::{Decompress, DecompressError, FlushDecompress, Status};
use sha2::{Digest, Sha256};

use super::directory::{DESCRIPTOR, FLAG_DESCRIPTOR, Fields, LOCAL, LOCAL_LEN, MAX_ENTRIES, Method, ZipEntry};
use super::limits::{BUFFER_LEN, ZipLimits};

/// 64 bytes each. A zip with more entries is refused.
#[expect(clippy::cast_possible_truncation, reason = "it is 200,000")]
const MAX_HASHES: usize = MAX_ENTRIES as usize;

/// Hashes the entries of a zip from its bytes in order, from the first one.
#[derive(Debug)]
pub struct StreamHasher {
    /// In the order of the file.
    hashes: Vec<StreamedHash>,
    at: u64,
    /// The beginning of a header or descriptor that is not complete yet.
    part: Vec<u8>,
    state: StreamState,
    inflater: Decompress,
    plain: Vec<u8>,
    /// The number of bytes that may still be unpacked, for all entries.
    left: u64,
}

/// A hash, and the data that it covers.
#[derive(Clone, Copy, Debug)]
struct StreamedHash {
    start: u64,
    method: Method,
    packed: u64,
    unpacked: u64,
    crc: u32,
    sha256: [u8; 32],
}

#[derive(Debug)]
enum StreamState {
    /// In a local header.
    Header,
    /// In the data of an entry.
    Data(StreamedEntry),
    /// In the descriptor after the data.
    Descriptor,
    /// After the last entry, or before data that cannot be hashed in order.
    Done,
}

#[derive(Debug)]
struct StreamedEntry {
    start: u64,
    method: Method,
    has_descriptor: bool,
    /// The remaining bytes of stored data.
    stored: u64,
    hasher: EntryHasher,
}

/// SHA-256, CRC-32 and length of unpacked data.
#[derive(Debug, Default)]
pub(super) struct EntryHasher {
    sha256: Sha256,
    crc: Crc32,
    pub(super) length: u64,
}

impl EntryHasher {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.sha256.update(data);
        self.crc.update(data);
        self.length += data.len() as u64;
    }

    /// The CRC-32 and the SHA-256.
    pub(super) fn finish(self) -> (u32, [u8; 32]) {
        (self.crc.finalize(), self.sha256.finalize().into())
    }
}

impl StreamHasher {
    /// Makes a hasher for a zip within these limits.
    pub fn new(limits: &ZipLimits) -> Self {
        Self {
            hashes: Vec::new(),
            at: 0,
            part: Vec::new(),
            state: StreamState::Header,
            inflater: Decompress::new(false),
            plain: vec![0; BUFFER_LEN],
            left: limits.zip,
        }
    }

    /// Processes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                StreamState::Header => self.header(bytes),
                StreamState::Data(entry) if entry.method == Method::Stored => self.stored(bytes),
                StreamState::Data(_) => self.deflated(bytes),
                StreamState::Descriptor => self.descriptor(bytes),
                StreamState::Done => return,
            };
        }
    }

    /// The hash of an entry of the directory, if exactly its bytes, from `data` on, were hashed.
    pub(super) fn sha256(&self, entry: &ZipEntry, data: u64) -> Option<[u8; 32]> {
        let nth = self.hashes.binary_search_by_key(&data, |hash| hash.start).ok()?;
        let hash = self.hashes.get(nth)?;
        let is_same = hash.method == entry.method
            && (hash.packed, hash.unpacked, hash.crc) == (entry.packed, entry.unpacked, entry.crc);
        is_same.then_some(hash.sha256)
    }

    /// Appends bytes to `part` up to `length`. Returns the remaining bytes.
    fn collect<'b>(&mut self, bytes: &'b [u8], length: usize) -> &'b [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(length.saturating_sub(self.part.len())));
        self.part.extend_from_slice(taken);
        self.at += taken.len() as u64;
        rest
    }

    fn header<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let rest = self.collect(bytes, LOCAL_LEN);
        if self.part.len() < LOCAL_LEN {
            return rest;
        }
        let mut fields = Fields(&self.part);
        let signature = fields.u32();
        let _version = fields.u16();
        let (flags, method) = (fields.u16(), fields.u16());
        let _time_and_crc = fields.u64();
        let (packed, _unpacked) = (fields.u32(), fields.u32());
        let variable = usize::from(fields.u16()) + usize::from(fields.u16());
        let has_descriptor = flags & FLAG_DESCRIPTOR != 0;
        // The end of stored data with a descriptor is unknown.
        let is_known = |method: &Method| signature == LOCAL && !(has_descriptor && *method == Method::Stored);
        let Some(method) = Method::of(method).filter(is_known).filter(|_| self.hashes.len() < MAX_HASHES) else {
            self.state = StreamState::Done;
            return &[];
        };
        let rest = self.collect(rest, LOCAL_LEN + variable);
        if self.part.len() < LOCAL_LEN + variable {
            return rest;
        }
        self.part.clear();
        if method == Method::Deflate {
            self.inflater.reset(false);
        }
        let (stored, hasher) = (packed.into(), EntryHasher::default());
        self.state = StreamState::Data(StreamedEntry { start: self.at, method, has_descriptor, stored, hasher });
        if stored == 0 && method == Method::Stored {
            self.end();
        }
        rest
    }

    fn stored<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let StreamState::Data(entry) = &mut self.state else { return &[] };
        let length = usize::try_from(entry.stored).unwrap_or(usize::MAX).min(bytes.len());
        let (data, rest) = bytes.split_at(length);
        entry.stored -= data.len() as u64;
        entry.hasher.update(data);
        self.at += data.len() as u64;
        self.left = self.left.saturating_sub(data.len() as u64);
        if self.left == 0 {
            self.state = StreamState::Done;
        } else if entry.stored == 0 {
            self.end();
        }
        rest
    }

    fn deflated<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let StreamState::Data(entry) = &mut self.state else { return &[] };
        let (status, consumed, produced) = inflate(&mut self.inflater, bytes, &mut self.plain, FlushDecompress::None);
        entry.hasher.update(&self.plain[..produced]);
        self.at += consumed as u64;
        self.left = self.left.saturating_sub(produced as u64);
        match status {
            _ if self.left == 0 => self.state = StreamState::Done,
            Ok(Status::StreamEnd) => self.end(),
            Ok(Status::Ok) if consumed + produced > 0 => {}
            // The data is damaged; the strict reader reports it.
            Ok(_) | Err(_) => self.state = StreamState::Done,
        }
        &bytes[consumed..]
    }

    fn end(&mut self) {
        let StreamState::Data(entry) = std::mem::replace(&mut self.state, StreamState::Header) else { return };
        if entry.has_descriptor {
            self.state = StreamState::Descriptor;
        }
        let StreamedEntry { start, method, hasher, .. } = entry;
        let (packed, unpacked) = (self.at - start, hasher.length);
        let (crc, sha256) = hasher.finish();
        self.hashes.push(StreamedHash { start, method, packed, unpacked, crc, sha256 });
    }

    /// Skips a descriptor, which has 16 bytes, or 12 without its signature.
    fn descriptor<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let signed = |part: &[u8]| part.len() < 4 || Fields(part).u32() == DESCRIPTOR;
        let rest = self.collect(bytes, 4);
        let length = if signed(&self.part) { 16 } else { 12 };
        let rest = self.collect(rest, length);
        if self.part.len() == length {
            self.part.clear();
            self.state = StreamState::Header;
        }
        rest
    }
}

/// Inflates once. Returns the status, and the numbers of bytes consumed and produced.
pub(super) fn inflate(
    inflater: &mut Decompress,
    packed: &[u8],
    plain: &mut [u8],
    flush: FlushDecompress,
) -> (Result<Status, DecompressError>, usize, usize) {
    let (consumed, produced) = (inflater.total_in(), inflater.total_out());
    let status = inflater.decompress(packed, plain, flush);
    let since = |now: u64, then: u64| usize::try_from(now - then).unwrap_or(0);
    (status, since(inflater.total_in(), consumed), since(inflater.total_out(), produced))
}
