//! The directory of a zip, read strictly (PKWARE's APPNOTE 6.3, sections 4.3 and 4.4).
//!
//! ```text
//! [local header, name, extra, data, (descriptor)]* [central entries] [zip64 end, locator]? [end]
//! ```
//!
//! Go reads the central directory; other readers walk the local headers. Both must see the same files, so every byte of
//! the file has to belong to exactly one of these parts, in this order, and both headers of an entry must agree. A comment
//! at the end, gaps, overlaps, encryption and other methods than stored and deflate are refused.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::names::NameError;

pub(super) const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
pub(super) const DESCRIPTOR: u32 = 0x0807_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;

pub(super) const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
const END64_LEN: usize = 56;
const LOCATOR64_LEN: usize = 20;

/// 64 MiB hold half a million entries; the largest module zips known have about 50,000.
const MAX_DIRECTORY: u64 = 64 << 20;

pub(super) const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// Deflate's level hints (bits 1 and 2), a descriptor behind the data (3), UTF-8 names (11). Nothing else is understood.
const KNOWN_FLAGS: u16 = 0b0110 | FLAG_DESCRIPTOR | 1 << 11;

/// How the data of an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflate,
}

/// An entry: where its data lies and what it must turn out to be.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    /// Offset of the data in the file.
    pub(super) data: u64,
    header: u64,
    flags: u16,
}

/// Why a zip is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The file cannot be read.
    #[error("cannot read the zip: {0}")]
    Read(#[from] io::Error),
    /// Larger than a module zip may be, packed or unpacked, or one of its files.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// No end record in the last 22 bytes: no zip, a comment, or something behind it.
    #[error("it is not a zip, is cut off, or has something behind its end record")]
    NoEnd,
    /// Part of a set of several files.
    #[error("it is one of several disks")]
    ManyDisks,
    /// The directory does not lie where the end record says, directly before it.
    #[error("its directory does not end where its end record begins")]
    DirectoryMisplaced,
    /// The central directory is malformed, or has another number of entries.
    #[error("its directory is malformed: {0}")]
    BadDirectory(&'static str),
    /// Encrypted, or another method, or a flag that changes the meaning.
    #[error("{name:?} is encrypted or packed in a way that module zips are not (flags {flags:#x}, method {method})")]
    UnknownPacking {
        /// Which entry.
        name: String,
        /// Its flags.
        flags: u16,
        /// Its method.
        method: u16,
    },
    /// The two headers of an entry disagree.
    #[error("the two headers of {0:?} disagree")]
    HeadersDisagree(String),
    /// Bytes that belong to no part, or to two.
    #[error("there is a gap or an overlap before byte {0}")]
    NotContiguous(u64),
    /// The data is not what the headers say.
    #[error("{name:?}: {why}")]
    BadData {
        /// Which entry.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing in it.
    #[error("it has no files")]
    Empty,
}

/// Little-endian fields of a record, from left to right.
pub(super) struct Fields<'b>(pub(super) &'b [u8]);

impl Fields<'_> {
    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// Records are read whole, so a field that is not there is read as zeros and fails the signature check before.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else {
            return [0; N];
        };
        self.0 = rest;
        *field
    }
}

/// Where the directory lies, and how many entries it has.
struct Place {
    offset: u64,
    length: u64,
    entries: u64,
}

/// Reads the directory of `file`, which has `length` bytes, and checks the layout of all of it.
pub(super) fn read(file: &File, length: u64) -> Result<Vec<Entry>, ZipError> {
    let place = end_record(file, length)?;
    if place.length > MAX_DIRECTORY {
        return Err(ZipError::TooLarge { what: "the directory".to_owned(), limit: MAX_DIRECTORY });
    }
    let mut directory = vec![0; usize::try_from(place.length).map_err(|_| ZipError::NoEnd)?];
    file.read_exact_at(&mut directory, place.offset)?;
    let mut entries = Vec::new();
    let mut rest = &directory[..];
    while !rest.is_empty() {
        let (entry, behind) = central_entry(rest)?;
        entries.push(entry);
        rest = behind;
    }
    if entries.len() as u64 != place.entries {
        return Err(ZipError::BadDirectory("it has another number of entries than the end record says"));
    }
    entries.sort_unstable_by_key(|entry| entry.header);
    let mut at = 0;
    for entry in &mut entries {
        at = local_part(file, entry, at, place.offset)?;
    }
    if at != place.offset {
        return Err(ZipError::NotContiguous(place.offset));
    }
    Ok(entries)
}

fn end_record(file: &File, length: u64) -> Result<Place, ZipError> {
    let at = length.checked_sub(END_LEN as u64).ok_or(ZipError::NoEnd)?;
    let mut record = [0; END_LEN];
    file.read_exact_at(&mut record, at)?;
    let mut fields = Fields(&record);
    if fields.u32() != END {
        return Err(ZipError::NoEnd);
    }
    let (disk, directory_disk) = (fields.u16(), fields.u16());
    let (here, entries) = (fields.u16(), fields.u16());
    let (size, offset) = (fields.u32(), fields.u32());
    if fields.u16() != 0 {
        return Err(ZipError::NoEnd);
    }
    if disk != 0 || directory_disk != 0 || here != entries {
        return Err(ZipError::ManyDisks);
    }
    let (place, end) = if entries == u16::MAX || size == u32::MAX || offset == u32::MAX {
        end_record_64(file, at)?
    } else {
        (Place { offset: offset.into(), length: size.into(), entries: entries.into() }, at)
    };
    if place.offset.checked_add(place.length) != Some(end) {
        return Err(ZipError::DirectoryMisplaced);
    }
    Ok(place)
}

/// The zip64 records that stand before the end record at `at`: `go` writes them for 65,535 entries and more.
fn end_record_64(file: &File, at: u64) -> Result<(Place, u64), ZipError> {
    let start = at.checked_sub((LOCATOR64_LEN + END64_LEN) as u64).ok_or(ZipError::NoEnd)?;
    let mut records = [0; LOCATOR64_LEN + END64_LEN];
    file.read_exact_at(&mut records, start)?;
    let mut fields = Fields(&records);
    let right = fields.u32() == END64 && fields.u64() == END64_LEN as u64 - 12;
    let _versions = fields.u32();
    let disks = (fields.u32(), fields.u32());
    let (here, entries) = (fields.u64(), fields.u64());
    let (length, offset) = (fields.u64(), fields.u64());
    let located = fields.u32() == LOCATOR64 && fields.u32() == 0 && fields.u64() == start && fields.u32() == 1;
    if !right || !located {
        return Err(ZipError::BadDirectory("its zip64 end records are malformed"));
    }
    if disks != (0, 0) || here != entries {
        return Err(ZipError::ManyDisks);
    }
    Ok((Place { offset, length, entries }, start))
}

fn central_entry(bytes: &[u8]) -> Result<(Entry, &[u8]), ZipError> {
    let bad = ZipError::BadDirectory;
    let (record, rest) = bytes.split_at_checked(CENTRAL_LEN).ok_or(bad("it is cut off"))?;
    let mut fields = Fields(record);
    if fields.u32() != CENTRAL {
        return Err(bad("an entry does not begin where it should"));
    }
    let _versions = fields.u32();
    let (flags, method) = (fields.u16(), fields.u16());
    let _time = fields.u32();
    let (crc, packed, unpacked) = (fields.u32(), fields.u32(), fields.u32());
    let (name, extra, comment) = (fields.u16(), fields.u16(), fields.u16());
    let disk = fields.u16();
    let _attributes = (fields.u16(), fields.u32());
    let header = fields.u32();
    if disk != 0 {
        return Err(ZipError::ManyDisks);
    }
    let behind = usize::from(name) + usize::from(extra) + usize::from(comment);
    let (variable, rest) = rest.split_at_checked(behind).ok_or(bad("it is cut off"))?;
    let name = std::str::from_utf8(&variable[..usize::from(name)]).map_err(|_| bad("a name is not UTF-8"))?;
    let name = name.to_owned();
    if packed == u32::MAX || unpacked == u32::MAX || header == u32::MAX {
        return Err(bad("an entry has zip64 sizes, which no module zip needs"));
    }
    let how = match method {
        0 => Method::Stored,
        8 => Method::Deflate,
        _ => {
            return Err(ZipError::UnknownPacking { name, flags, method });
        }
    };
    if flags & !KNOWN_FLAGS != 0 {
        return Err(ZipError::UnknownPacking { name, flags, method });
    }
    let (packed, unpacked, header) = (packed.into(), unpacked.into(), header.into());
    Ok((Entry { name, method: how, crc, packed, unpacked, data: 0, header, flags }, rest))
}

/// Checks that the entry's own part begins at `at` and agrees with the directory. Returns where it ends.
fn local_part(file: &File, entry: &mut Entry, at: u64, directory: u64) -> Result<u64, ZipError> {
    if entry.header != at {
        return Err(ZipError::NotContiguous(entry.header));
    }
    let disagree = || ZipError::HeadersDisagree(entry.name.clone());
    let name_len = entry.name.len();
    let mut bytes = vec![0; LOCAL_LEN + name_len];
    if at + bytes.len() as u64 > directory {
        return Err(ZipError::NotContiguous(directory));
    }
    file.read_exact_at(&mut bytes, at)?;
    let mut fields = Fields(&bytes);
    let signature = fields.u32();
    let _version = fields.u16();
    let (flags, method) = (fields.u16(), fields.u16());
    let _time = fields.u32();
    let sizes = (fields.u32(), u64::from(fields.u32()), u64::from(fields.u32()));
    let (name, extra) = (usize::from(fields.u16()), u64::from(fields.u16()));
    let expected_method = if entry.method == Method::Stored { 0 } else { 8 };
    let same = signature == LOCAL && flags == entry.flags && method == expected_method;
    if !same || name != name_len || bytes[LOCAL_LEN..] != *entry.name.as_bytes() {
        return Err(disagree());
    }
    let described = entry.flags & FLAG_DESCRIPTOR != 0;
    let central = (entry.crc, entry.packed, entry.unpacked);
    // With a descriptor the local header may leave the sizes open.
    if sizes != central && !(described && sizes == (0, 0, 0)) {
        return Err(disagree());
    }
    entry.data = at + bytes.len() as u64 + extra;
    let end = entry.data + entry.packed;
    if end > directory {
        return Err(ZipError::NotContiguous(directory));
    }
    if described { descriptor(file, entry, end, directory) } else { Ok(end) }
}

/// The descriptor behind the data, with or without its signature. Returns where it ends.
fn descriptor(file: &File, entry: &Entry, at: u64, directory: u64) -> Result<u64, ZipError> {
    let room = usize::try_from((directory - at).min(16)).unwrap_or(0);
    let mut bytes = [0; 16];
    file.read_exact_at(&mut bytes[..room], at)?;
    let values = |mut fields: Fields<'_>| (fields.u32(), u64::from(fields.u32()), u64::from(fields.u32()));
    let central = (entry.crc, entry.packed, entry.unpacked);
    let signed = Fields(&bytes).u32() == DESCRIPTOR;
    if room == 16 && signed && values(Fields(&bytes[4..])) == central {
        Ok(at + 16)
    } else if room >= 12 && values(Fields(&bytes)) == central {
        Ok(at + 12)
    } else {
        Err(ZipError::HeadersDisagree(entry.name.clone()))
    }
}
