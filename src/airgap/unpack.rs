//! Unpacks an untrusted archive into a new folder.
//!
//! An export has regular files with known names only, each once and within the limit of its kind. An archive with anything
//! else (links, devices, other names, sparse files) is refused as a whole. People pack exports again: gzip is read like zstd,
//! `./` before a name and entries of folders are ignored. The tar reader interprets only the header (POSIX.1-1988 ustar); the
//! long names of GNU tar are read here, up to a limit.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::error::AirgapError;
use super::layout::{ExportEntry, MAX_ENTRIES, MAX_NAME, NameError};
use crate::base::bounded::{first, read_bounded};
use crate::base::tree::open_file;

/// The most that is unpacked. Module caches of large companies have less.
const MAX_TOTAL: u64 = 64 << 30;
/// An archive may decompress to this much, plus a hundred times its own length. Module zips are compressed already; small
/// files, padded as in tar, shrink to a twentieth.
const MIN_TOTAL: u64 = 64 << 20;
const MAX_RATIO: u64 = 100;
/// The window of the decoder, as a power of two: zstd's own limit for streams, 128 MiB.
const MAX_WINDOW: u32 = 27;
/// Zeros after the last entry: GNU tar fills up to 10 KiB.
const MAX_PADDING: u64 = 64 << 10;
const CHUNK: usize = 64 << 10;
/// The first bytes of a gzip stream (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What to do with an archive that other programs made in their own way.
const UNPACK: &str = "unpack the archive, and import the folder";

/// Unpacks `archive` into the empty folder `into`. Blocks.
pub(crate) fn unpack(archive: &Path, into: &Path, databases: &[String]) -> Result<(), AirgapError> {
    let file = open_file(archive).map_err(AirgapError::io("open", archive))?;
    let len = file.metadata().map_err(AirgapError::io("open", archive))?.len();
    unpack_from(file, len, archive, into, databases)
}

/// Unpacks a stream of `len` bytes; `archive` is its name in errors.
pub fn unpack_from(
    stream: impl Read,
    len: u64,
    archive: &Path,
    into: &Path,
    databases: &[String],
) -> Result<(), AirgapError> {
    let damaged =
        |name: &str, error: &io::Error| AirgapError::malformed(archive, name, format!("cannot be read: {error}"));
    let decoder = decoder(stream).map_err(|error| damaged("the beginning", &error))?;
    let left = len.saturating_mul(MAX_RATIO).saturating_add(MIN_TOTAL).min(MAX_TOTAL);
    let mut tar = tar::Archive::new(Bounded { inner: decoder, left });
    let (mut seen, mut long_name) = (HashSet::new(), None);
    let entries = tar.entries().map_err(|error| damaged("the beginning", &error))?.raw(true);
    for (count, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|error| {
            if count > 0 {
                return damaged("an entry", &error);
            }
            AirgapError::NotAnExport { path: archive.to_owned(), cause: error }
        })?;
        // Each long name is an entry of its own.
        if count >= 2 * MAX_ENTRIES {
            return Err(AirgapError::malformed(archive, "it", format!("has more than {MAX_ENTRIES} entries")));
        }
        let header = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::GNULongName && long_name.is_none() {
            if entry.size() > MAX_NAME as u64 + 1 {
                return Err(AirgapError::malformed(archive, "a name", format!("is longer than {MAX_NAME} bytes")));
            }
            long_name = Some(read_name(&mut entry).map_err(|error| damaged(&header, &error))?);
            continue;
        }
        let name = long_name.take().unwrap_or(header);
        let name = name.strip_prefix("./").unwrap_or(&name);
        let refused = |why: String| AirgapError::malformed(archive, name, why);
        match kind {
            EntryType::Regular => {}
            // The folders of the files are made with them.
            EntryType::Directory => continue,
            EntryType::XHeader | EntryType::XGlobalHeader => {
                return Err(refused(format!("has an extended header (pax), which no export has: {UNPACK}")));
            }
            _ => return Err(refused("is not a regular file".to_owned())),
        }
        let entry_name = ExportEntry::parse(name, databases).map_err(|why| match why {
            NameError::Unknown => refused(format!("{why}: {UNPACK}")),
            _ => refused(why.to_string()),
        })?;
        let limit = entry_name.max_len();
        if entry.size() > limit {
            return Err(refused(format!("is longer than {limit} bytes")));
        }
        if !seen.insert(name.to_owned()) {
            return Err(refused("appears twice".to_owned()));
        }
        let len = entry.size();
        if copy(&mut entry, &into.join(name), |error| damaged(name, &error))? != len {
            return Err(refused("is truncated".to_owned()));
        }
    }
    // Read to the end: zstd and gzip compare their checksums only there.
    let rest = read_bounded(tar.into_inner(), MAX_PADDING).map_err(|error| damaged("the end", &error))?;
    rest.map(drop).ok_or_else(|| AirgapError::malformed(archive, "the end", "is followed by other data"))
}

/// Decodes gzip, and anything else as zstd.
fn decoder<'s>(mut stream: impl Read + 's) -> io::Result<Box<dyn Read + 's>> {
    let start = first(&mut stream, GZIP.len() as u64)?;
    let is_gzip = start == GZIP;
    let stream = Cursor::new(start).chain(stream);
    if is_gzip {
        return Ok(Box::new(MultiGzDecoder::new(stream)));
    }
    let mut decoder = zstd::Decoder::new(stream)?;
    decoder.window_log_max(MAX_WINDOW)?;
    Ok(Box::new(decoder))
}

/// The output of the decoder, up to a limit.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let too_much = || io::Error::other("it decompresses to more than the limit for its length");
        self.left = self.left.checked_sub(read as u64).ok_or_else(too_much)?;
        Ok(read)
    }
}

/// The content of a GNU long name: the name, and a NUL.
fn read_name(entry: &mut impl Read) -> io::Result<String> {
    let name = first(entry, MAX_NAME as u64 + 1)?;
    let name = name.strip_suffix(&[0]).unwrap_or(&name);
    String::from_utf8(name.to_vec()).map_err(io::Error::other)
}

fn copy(from: &mut impl Read, to: &Path, damaged: impl Fn(io::Error) -> AirgapError) -> Result<u64, AirgapError> {
    let failed = |cause| AirgapError::io("write", to)(cause);
    fs::create_dir_all(to.parent().unwrap_or(to)).map_err(failed)?;
    let mut file = File::create_new(to).map_err(failed)?;
    let (mut chunk, mut copied) = (vec![0; CHUNK], 0);
    loop {
        let read = from.read(&mut chunk).map_err(&damaged)?;
        if read == 0 {
            return Ok(copied);
        }
        file.write_all(&chunk[..read]).map_err(failed)?;
        copied += read as u64;
    }
}
