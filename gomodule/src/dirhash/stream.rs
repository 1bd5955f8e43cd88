//! Hashing a zip while it arrives.
//!
//! The entries come one after the other, each behind a local header, so most can be inflated and hashed as their bytes
//! pass. What is found this way is only a guess at what the zip holds: the directory, which decides, comes last. So each
//! hash is noted with the exact bytes it is of, and once the directory is read strictly, a hash counts for an entry only
//! if that entry is those bytes, packed in that way, with that length and checksum. Everything else is hashed from the
//! file as if nobody had read along.

use crc32fast::Hasher as Crc32;
use flate2::{Decompress, DecompressError, FlushDecompress, Status};
use sha2::{Digest, Sha256};

use super::directory::{DESCRIPTOR, Entry, FLAG_DESCRIPTOR, Fields, LOCAL, LOCAL_LEN, MAX_ENTRIES, Method};
use super::limits::{PIECE, ZipLimits};

/// Notes are 64 bytes each. A zip with more entries is not read at all.
#[expect(clippy::cast_possible_truncation, reason = "it is 200,000")]
const MAX_NOTES: usize = MAX_ENTRIES as usize;

/// Reads a zip along, from its first byte.
#[derive(Debug)]
pub struct StreamHasher {
    /// In the order of the file.
    notes: Vec<Note>,
    at: u64,
    /// A header, or a descriptor, that has not come whole.
    part: Vec<u8>,
    state: State,
    inflate: Decompress,
    plain: Vec<u8>,
    /// How many more bytes may come out, over all entries.
    left: u64,
}

/// The hash of the data that starts at some place, and what it is the hash of.
#[derive(Clone, Copy, Debug)]
struct Note {
    start: u64,
    method: Method,
    packed: u64,
    unpacked: u64,
    crc: u32,
    sha256: [u8; 32],
}

#[derive(Debug)]
enum State {
    /// In a local header.
    Header,
    /// In the data of an entry.
    Data(Passing),
    /// In the descriptor behind it.
    Descriptor,
    /// Behind the last entry; or before something that cannot be read along.
    Over,
}

#[derive(Debug)]
struct Passing {
    start: u64,
    method: Method,
    described: bool,
    /// What is left of stored data.
    stored: u64,
    hash: Sha256,
    crc: Crc32,
    unpacked: u64,
}

impl StreamHasher {
    /// Before the first byte.
    pub fn new(limits: &ZipLimits) -> Self {
        Self {
            notes: Vec::new(),
            at: 0,
            part: Vec::new(),
            state: State::Header,
            inflate: Decompress::new(false),
            plain: vec![0; PIECE],
            left: limits.zip,
        }
    }

    /// The next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Header => self.header(bytes),
                State::Data(passing) if passing.method == Method::Stored => self.stored(bytes),
                State::Data(_) => self.deflated(bytes),
                State::Descriptor => self.descriptor(bytes),
                State::Over => return,
            };
        }
    }

    /// The hash of an entry of the directory, if its very bytes were read along.
    pub(super) fn sha256(&self, entry: &Entry) -> Option<[u8; 32]> {
        let nth = self.notes.binary_search_by_key(&entry.data, |note| note.start).ok()?;
        let note = self.notes.get(nth)?;
        let same = note.method == entry.method
            && (note.packed, note.unpacked, note.crc) == (entry.packed, entry.unpacked, entry.crc);
        same.then_some(note.sha256)
    }

    /// Collects bytes of a part that is to have `length`; returns what is behind them.
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
        let described = flags & FLAG_DESCRIPTOR != 0;
        // Of stored data with a descriptor nothing says where it ends.
        let is_known = |method: &Method| signature == LOCAL && !(described && *method == Method::Stored);
        let Some(method) = Method::of(method).filter(is_known).filter(|_| self.notes.len() < MAX_NOTES) else {
            self.state = State::Over;
            return &[];
        };
        let rest = self.collect(rest, LOCAL_LEN + variable);
        if self.part.len() < LOCAL_LEN + variable {
            return rest;
        }
        self.part.clear();
        if method == Method::Deflate {
            self.inflate.reset(false);
        }
        let (hash, crc, stored) = (Sha256::new(), Crc32::new(), packed.into());
        let passing = Passing { start: self.at, method, described, stored, hash, crc, unpacked: 0 };
        self.state = State::Data(passing);
        if stored == 0 && method == Method::Stored {
            self.end();
        }
        rest
    }

    fn stored<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let State::Data(passing) = &mut self.state else { return &[] };
        let length = usize::try_from(passing.stored).unwrap_or(usize::MAX).min(bytes.len());
        let (data, rest) = bytes.split_at(length);
        passing.stored -= data.len() as u64;
        self.at += data.len() as u64;
        let over = passing.stored == 0;
        passing.take(data);
        self.left = self.left.saturating_sub(data.len() as u64);
        if self.left == 0 {
            self.state = State::Over;
        } else if over {
            self.end();
        }
        rest
    }

    fn deflated<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let State::Data(passing) = &mut self.state else { return &[] };
        let (status, consumed, produced) = inflated(&mut self.inflate, bytes, &mut self.plain, FlushDecompress::None);
        passing.take(&self.plain[..produced]);
        self.at += consumed as u64;
        self.left = self.left.saturating_sub(produced as u64);
        match status {
            _ if self.left == 0 => self.state = State::Over,
            Ok(Status::StreamEnd) => self.end(),
            Ok(Status::Ok) if consumed + produced > 0 => {}
            // Damaged. The strict reader will say so.
            Ok(_) | Err(_) => self.state = State::Over,
        }
        &bytes[consumed..]
    }

    fn end(&mut self) {
        let State::Data(passing) = std::mem::replace(&mut self.state, State::Header) else { return };
        if passing.described {
            self.state = State::Descriptor;
        }
        self.notes.push(Note {
            start: passing.start,
            method: passing.method,
            packed: self.at - passing.start,
            unpacked: passing.unpacked,
            crc: passing.crc.finalize(),
            sha256: passing.hash.finalize().into(),
        });
    }

    /// A descriptor has 16 bytes, or 12 without its signature; what is too much belongs to the next header.
    fn descriptor<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let signed = |part: &[u8]| part.len() < 4 || Fields(part).u32() == DESCRIPTOR;
        let rest = self.collect(bytes, 4);
        let length = if signed(&self.part) { 16 } else { 12 };
        let rest = self.collect(rest, length);
        if self.part.len() == length {
            self.part.clear();
            self.state = State::Header;
        }
        rest
    }
}

/// One step of inflating: how it ended, and how many bytes went in and came out.
pub(super) fn inflated(
    inflate: &mut Decompress,
    packed: &[u8],
    plain: &mut [u8],
    flush: FlushDecompress,
) -> (Result<Status, DecompressError>, usize, usize) {
    let (consumed, produced) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(packed, plain, flush);
    let since = |now: u64, then: u64| usize::try_from(now - then).unwrap_or(0);
    (status, since(inflate.total_in(), consumed), since(inflate.total_out(), produced))
}

impl Passing {
    fn take(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.crc.update(piece);
        self.unpacked += piece.len() as u64;
    }
}
