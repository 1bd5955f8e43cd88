//! The h1 of a module zip, and the rules that the zip must keep (`golang.org/x/mod/zip`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crc32fast::Hasher as Crc32;
use flate2::{Decompress, FlushDecompress, Status};
use sha2::{Digest, Sha256};

use super::directory::{self, Directory, Entry, Method, ZipError};
use super::h1::{H1, h1_of_sorted};
use super::limits::{PIECE, ZipLimits};
use super::names::{self, NameError};
use super::stream::{StreamHasher, inflated};
use crate::module::ModuleVersion;

/// What was found in a zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZipReport {
    /// The h1 of its files.
    pub h1: H1,
    /// How many entries.
    pub files: u64,
    /// Their length, unpacked.
    pub unpacked: u64,
    /// The length of the zip.
    pub packed: u64,
}

/// Below this much data, starting a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 20;

/// Checks that `file` is a zip of `module` and hashes it. Blocks. Reads by position: the file's own cursor stays.
pub fn hash_module_zip(file: &File, module: &ModuleVersion, limits: &ZipLimits) -> Result<ZipReport, ZipError> {
    let directory = directory(file, limits)?;
    hash_entries(file, &directory, &format!("{module}/"), limits, |_| None)
}

/// The same of a file whose bytes were all read `along` when they were written: only what that could not hash is read.
pub fn hash_module_zip_streamed(
    file: &File,
    module: &ModuleVersion,
    limits: &ZipLimits,
    stream: &StreamHasher,
) -> Result<ZipReport, ZipError> {
    let directory = directory(file, limits)?;
    hash_entries(file, &directory, &format!("{module}/"), limits, |entry| stream.sha256(entry))
}

/// The names in a zip.
pub fn names_in_zip(file: &File, limits: &ZipLimits) -> Result<Vec<String>, ZipError> {
    Ok(directory(file, limits)?.names().map(str::to_owned).collect())
}

/// The module version that the first name in a zip says.
pub fn module_in_zip(file: &File, limits: &ZipLimits) -> Result<ModuleVersion, ZipError> {
    let directory = directory(file, limits)?;
    let first = directory.names().next().unwrap_or_default();
    // `path@version/file`: the path may have slashes, the version has none.
    let name = first.split_once('@').and_then(|(path, rest)| Some(format!("{path}@{}", rest.split_once('/')?.0)));
    let module = name.and_then(|name| ModuleVersion::parse(&name).ok());
    Ok(module.ok_or_else(|| NameError::OtherModule(first.to_owned()))?)
}

fn directory(file: &File, limits: &ZipLimits) -> Result<Directory, ZipError> {
    let length = file.metadata()?.len();
    if length > limits.zip {
        return Err(ZipError::TooLarge("the zip".to_owned(), limits.zip));
    }
    directory::read(file, length)
}

/// `known` has the hashes of entries that need not be read.
fn hash_entries(
    file: &File,
    directory: &Directory,
    prefix: &str,
    limits: &ZipLimits,
    known: impl Fn(&Entry) -> Option<[u8; 32]>,
) -> Result<ZipReport, ZipError> {
    if directory.entries.is_empty() {
        return Err(ZipError::Empty);
    }
    let unpacked = check(directory, prefix, limits)?;
    let mut hashes = vec![[0; 32]; directory.entries.len()];
    let mut unread = Vec::new();
    for (nth, entry) in directory.entries.iter().enumerate() {
        match known(entry) {
            Some(hash) => hashes[nth] = hash,
            None => unread.push(nth),
        }
    }
    hash_unread(file, directory, &unread, limits.threads, &mut hashes)?;
    let name = |nth: usize| directory.name(&directory.entries[nth]);
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_unstable_by_key(|nth| name(*nth));
    let h1 = h1_of_sorted(order.iter().map(|nth| (name(*nth), &hashes[*nth])));
    let packed = file.metadata()?.len();
    Ok(ZipReport { h1, files: directory.entries.len() as u64, unpacked, packed })
}

/// Checks names and declared sizes. Returns how much is declared for all entries together.
fn check(directory: &Directory, prefix: &str, limits: &ZipLimits) -> Result<u64, ZipError> {
    let mut unpacked = 0_u64;
    for entry in &directory.entries {
        let stored = directory.name(entry);
        let name = names::check(stored, prefix)?;
        if matches!(name, "go.mod" | "LICENSE") && entry.unpacked > limits.single {
            return Err(ZipError::TooLarge(stored.to_owned(), limits.single));
        }
        unpacked += entry.unpacked;
    }
    if unpacked > limits.zip {
        return Err(ZipError::TooLarge("its content".to_owned(), limits.zip));
    }
    names::check_together(directory.names().map(|name| &name[prefix.len()..]))?;
    Ok(unpacked)
}

/// Puts the SHA-256 of the `unread` entries among the `hashes`. The threads take the next entry each, so a large one delays
/// nobody.
fn hash_unread(
    file: &File,
    directory: &Directory,
    unread: &[usize],
    threads: usize,
    hashes: &mut [[u8; 32]],
) -> Result<(), ZipError> {
    let work: u64 = unread.iter().map(|nth| &directory.entries[*nth]).map(|one| one.unpacked.max(one.packed)).sum();
    let worth = usize::try_from(work / WORTH_A_THREAD).unwrap_or(usize::MAX);
    let threads = threads.min(worth).max(1);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut reader = EntryReader::new(file);
        let mut done = Vec::new();
        loop {
            let Some(nth) = unread.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return Ok(done);
            };
            let entry = &directory.entries[*nth];
            match reader.sha256(entry, directory.name(entry)) {
                Ok(hash) => done.push((*nth, hash)),
                Err(error) => {
                    // Nobody needs the rest.
                    next.store(unread.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let mut place = |done: Vec<(usize, [u8; 32])>| {
        for (nth, hash) in done {
            hashes[nth] = hash;
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = work().map(&mut place);
        for other in others {
            let done = other.join().unwrap_or_else(|_| Err(std::io::Error::other("a hashing thread panicked").into()));
            ended = ended.and_then(|()| done.map(&mut place));
        }
        ended
    })
}

/// Reads entries one after the other, with one set of buffers.
struct EntryReader<'f> {
    file: &'f File,
    inflate: Decompress,
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl<'f> EntryReader<'f> {
    fn new(file: &'f File) -> Self {
        Self { file, inflate: Decompress::new(false), packed: vec![0; PIECE], plain: vec![0; PIECE] }
    }

    /// The hash of an entry, whose length and CRC-32 must be as declared.
    fn sha256(&mut self, entry: &Entry, name: &str) -> Result<[u8; 32], ZipError> {
        let mut content = Content { entry, name, hash: Sha256::new(), crc: Crc32::new(), length: 0 };
        let bad = |why| ZipError::BadData(name.to_owned(), why);
        if entry.method == Method::Deflate {
            self.inflate.reset(false);
        }
        let mut read = 0;
        let mut ended = entry.method == Method::Stored;
        while read < entry.packed {
            let length = usize::try_from((entry.packed - read).min(PIECE as u64)).unwrap_or(PIECE);
            self.file.read_exact_at(&mut self.packed[..length], entry.data + read)?;
            read += length as u64;
            let mut input = &self.packed[..length];
            if entry.method == Method::Stored {
                content.take(input)?;
                continue;
            }
            while !input.is_empty() {
                if ended {
                    return Err(bad("its packed data goes on behind its end"));
                }
                let (status, consumed, produced) =
                    inflated(&mut self.inflate, input, &mut self.plain, FlushDecompress::None);
                content.take(&self.plain[..produced])?;
                input = &input[consumed..];
                match status {
                    Ok(Status::StreamEnd) => ended = true,
                    Ok(Status::Ok) if consumed + produced > 0 => {}
                    Ok(_) | Err(_) => return Err(bad("its packed data is damaged")),
                }
            }
        }
        // What the inflater still holds once all input is in.
        while !ended {
            let (status, _, produced) = inflated(&mut self.inflate, &[], &mut self.plain, FlushDecompress::Finish);
            content.take(&self.plain[..produced])?;
            match status {
                Ok(Status::StreamEnd) => ended = true,
                Ok(_) if produced > 0 => {}
                Ok(_) | Err(_) => return Err(bad("its packed data is cut off")),
            }
        }
        content.finish()
    }
}

struct Content<'e> {
    entry: &'e Entry,
    name: &'e str,
    hash: Sha256,
    crc: Crc32,
    length: u64,
}

impl Content<'_> {
    /// Takes a piece; more than declared is refused as soon as it shows, so that a bomb stays small.
    fn take(&mut self, piece: &[u8]) -> Result<(), ZipError> {
        self.length += piece.len() as u64;
        if self.length > self.entry.unpacked {
            return Err(self.bad("it is longer than declared"));
        }
        self.hash.update(piece);
        self.crc.update(piece);
        Ok(())
    }

    fn finish(self) -> Result<[u8; 32], ZipError> {
        if self.length != self.entry.unpacked {
            return Err(self.bad("it is shorter than declared"));
        }
        if self.crc.clone().finalize() != self.entry.crc {
            return Err(self.bad("its checksum is not the declared one"));
        }
        Ok(self.hash.finalize().into())
    }

    fn bad(&self, why: &'static str) -> ZipError {
        ZipError::BadData(self.name.to_owned(), why)
    }
}

#[cfg(test)]
mod tests;
