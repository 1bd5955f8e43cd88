//! The directory of a zip, read strictly (PKWARE's APPNOTE 6.3, sections 4.3 and 4.4).
//!
//! ```text
//! [local header, name, extra, data, (descriptor)]* [central entries] [zip64 end, locator]? [end]
//! ```
//!
//! Every byte must belong to exactly one of these parts, in this order. Comments at the end, gaps, overlaps, encryption, and
//! methods other than stored and deflate are refused. [`super::entry`] checks what is before the central entries.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use super::error::ZipError;
use super::limits::BUFFER_LEN;
use super::names;

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

/// Most files in a zip. The largest known module zips have about 50,000. A zip with 200,000 takes 26 MB of memory and half a
/// second.
pub const MAX_ENTRIES: u64 = 200_000;
/// Longest list of names in a zip, in bytes. The largest known module zips have 50,000 names of 130 bytes, which is 6.5 MB.
pub const MAX_NAMES: u64 = 16 << 20;
/// Longest directory of a zip, in bytes. [`MAX_ENTRIES`] records with all their names have 26 MB. The rest is for extra fields, which `go` does not write.
pub const MAX_DIRECTORY: u64 = 64 << 20;

pub(super) const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// The level hints of deflate (bits 1 and 2), a descriptor after the data (3), UTF-8 names (11).
const KNOWN_FLAGS: u16 = 0b0110 | FLAG_DESCRIPTOR | 1 << 11;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Stored = 0,
    Deflate = 8,
}

impl Method {
    pub(super) fn of(number: u16) -> Option<Self> {
        [Self::Stored, Self::Deflate].into_iter().find(|method| *method as u16 == number)
    }
}

/// The entries in the order of the file, and the text of all their names. An entry takes 40 bytes and its name.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) entries: Vec<ZipEntry>,
    names: String,
    /// Its position in the file, where the last entry must end.
    offset: u64,
}

/// What the directory declares of an entry.
#[derive(Clone, Debug)]
pub(super) struct ZipEntry {
    /// The offset of its name in the names of the directory.
    name: u32,
    name_len: u16,
    pub(super) method: Method,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    /// The position of its local header.
    pub(super) header: u32,
    pub(super) flags: u16,
}

impl Directory {
    pub(super) fn name(&self, entry: &ZipEntry) -> &str {
        entry.name(&self.names)
    }

    /// Where the entry number `nth` must end: at the next one, or at the directory.
    pub(super) fn end(&self, nth: usize) -> u64 {
        self.entries.get(nth + 1).map_or(self.offset, |next| next.header.into())
    }

    /// All names, in the order of the entries.
    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.entries.iter().map(|entry| self.name(entry))
    }
}

impl ZipEntry {
    fn name<'n>(&self, names: &'n str) -> &'n str {
        &names[self.name as usize..][..usize::from(self.name_len)]
    }
}

fn within(what: &'static str, limit: u64, found: u64) -> Result<(), ZipError> {
    if found > limit { Err(ZipError::OverLimit { what, limit, found }) } else { Ok(()) }
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

    /// Returns zeros after the end. Records are read whole, so this does not happen.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else {
            return [0; N];
        };
        self.0 = rest;
        *field
    }
}

/// The position of the directory, and the number of its entries.
struct Extent {
    offset: u64,
    length: u64,
    entries: u64,
}

/// Reads the directory of `file`, which has `length` bytes. The local headers are checked by [`super::entry`].
pub(super) fn read(file: &File, length: u64) -> Result<Directory, ZipError> {
    let extent = end_record(file, length)?;
    within("files in the zip", MAX_ENTRIES, extent.entries)?;
    within("bytes in its directory", MAX_DIRECTORY, extent.length)?;
    let mut directory = central_entries(file, &extent)?;
    directory.entries.sort_by_key(|entry| entry.header);
    let first = directory.entries.first().map_or(extent.offset, |entry| entry.header.into());
    if first == 0 { Ok(directory) } else { Err(ZipError::NotContiguous(first)) }
}

/// Reads the central entries through a buffer, and drops extra fields and comments.
fn central_entries(file: &File, extent: &Extent) -> Result<Directory, ZipError> {
    let wrong_count = ZipError::BadDirectory("the number of entries differs from the end record");
    let mut reader = BufReader::with_capacity(BUFFER_LEN, At { file, at: extent.offset });
    let (mut left, mut bytes) = (extent.length, Vec::new());
    let mut directory = Directory { offset: extent.offset, ..Directory::default() };
    // Bounded: the declared number is at most MAX_ENTRIES, and an entry has at least CENTRAL_LEN bytes.
    let expected = extent.entries.min(extent.length / CENTRAL_LEN as u64);
    directory.entries.reserve_exact(usize::try_from(expected).unwrap_or(0));
    while left > 0 {
        if directory.entries.len() as u64 == extent.entries {
            return Err(wrong_count);
        }
        let entry = central_entry(&mut reader, &mut left, &mut bytes, &mut directory.names)?;
        directory.entries.push(entry);
    }
    if directory.entries.len() as u64 == extent.entries { Ok(directory) } else { Err(wrong_count) }
}

/// Reads from a position, and does not move the cursor of the file.
struct At<'f> {
    file: &'f File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn end_record(file: &File, length: u64) -> Result<Extent, ZipError> {
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
    let (extent, end) = if entries == u16::MAX || size == u32::MAX || offset == u32::MAX {
        end_record_64(file, at)?
    } else {
        (Extent { offset: offset.into(), length: size.into(), entries: entries.into() }, at)
    };
    if extent.offset.checked_add(extent.length) == Some(end) { Ok(extent) } else { Err(ZipError::DirectoryMisplaced) }
}

/// Reads the zip64 records before the end record at `at`. `go` writes them for 65,535 entries or more.
fn end_record_64(file: &File, at: u64) -> Result<(Extent, u64), ZipError> {
    let start = at.checked_sub((LOCATOR64_LEN + END64_LEN) as u64).ok_or(ZipError::NoEnd)?;
    let mut records = [0; LOCATOR64_LEN + END64_LEN];
    file.read_exact_at(&mut records, start)?;
    let mut fields = Fields(&records);
    let is_valid = fields.u32() == END64 && fields.u64() == END64_LEN as u64 - 12;
    let _versions = fields.u32();
    let disks = (fields.u32(), fields.u32());
    let (here, entries) = (fields.u64(), fields.u64());
    let (length, offset) = (fields.u64(), fields.u64());
    let located = fields.u32() == LOCATOR64 && fields.u32() == 0 && fields.u64() == start && fields.u32() == 1;
    if !is_valid || !located {
        return Err(ZipError::BadDirectory("its zip64 end records are malformed"));
    }
    if disks != (0, 0) || here != entries {
        return Err(ZipError::ManyDisks);
    }
    Ok((Extent { offset, length, entries }, start))
}

/// Reads the next central entry from the `left` bytes of the directory, and appends its name to `names`. `bytes` is a buffer.
fn central_entry(
    reader: &mut impl Read,
    left: &mut u64,
    bytes: &mut Vec<u8>,
    names: &mut String,
) -> Result<ZipEntry, ZipError> {
    let bad = ZipError::BadDirectory;
    let mut take = |length: u64| left.checked_sub(length).map(|rest| *left = rest).ok_or(bad("it is truncated"));
    let mut record = [0; CENTRAL_LEN];
    take(CENTRAL_LEN as u64)?;
    reader.read_exact(&mut record)?;
    let mut fields = Fields(&record);
    if fields.u32() != CENTRAL {
        return Err(bad("an entry does not begin with its signature"));
    }
    let _versions = fields.u32();
    let (flags, method) = (fields.u16(), fields.u16());
    let _time = fields.u32();
    let (crc, packed, unpacked) = (fields.u32(), fields.u32(), fields.u32());
    let (name_len, extra, comment) = (fields.u16(), fields.u16(), fields.u16());
    let disk = fields.u16();
    let _attributes = (fields.u16(), fields.u32());
    let header = fields.u32();
    if disk != 0 {
        return Err(ZipError::ManyDisks);
    }
    let skipped = u64::from(extra) + u64::from(comment);
    take(u64::from(name_len) + skipped)?;
    let start = names.len();
    let name = read_name(reader, name_len, bytes, names)?;
    if skipped > 0 {
        io::copy(&mut reader.take(skipped), &mut io::sink())?;
    }
    if packed == u32::MAX || unpacked == u32::MAX || header == u32::MAX {
        return Err(bad("an entry has zip64 sizes, which module zips do not need"));
    }
    let Some(known) = Method::of(method).filter(|_| flags & !KNOWN_FLAGS == 0) else {
        return Err(ZipError::UnknownPacking { name: name.to_owned(), flags, method });
    };
    let (packed, unpacked) = (packed.into(), unpacked.into());
    // MAX_NAMES is far below 4 GiB.
    let start = u32::try_from(start).map_err(|_| bad("its names are too long"))?;
    Ok(ZipEntry { name: start, name_len, method: known, crc, packed, unpacked, header, flags })
}

/// Reads a name into `bytes`, checks its length, and appends it to `names`.
fn read_name<'n>(
    reader: &mut impl Read,
    length: u16,
    bytes: &mut Vec<u8>,
    names: &'n mut String,
) -> Result<&'n str, ZipError> {
    within("bytes in a file name", names::MAX_NAME as u64, length.into())?;
    within("bytes in all file names", MAX_NAMES, names.len() as u64 + u64::from(length))?;
    bytes.resize(usize::from(length), 0);
    reader.read_exact(bytes)?;
    let name = std::str::from_utf8(bytes).map_err(|_| ZipError::BadDirectory("a name is not UTF-8"))?;
    if name.len() > names::MAX_ELEMENT {
        let longest = name.split('/').map(str::len).max().unwrap_or_default();
        within("bytes in an element of a file name", names::MAX_ELEMENT as u64, longest as u64)?;
    }
    let start = names.len();
    names.push_str(name);
    Ok(&names[start..])
}
