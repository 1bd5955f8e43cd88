//! The h1 of a module zip, and the rules for its content (`golang.org/x/mod/zip`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::{Decompress, FlushDecompress, Status};

use super::directory::{self, Directory, Method, ZipEntry};
use super::error::ZipError;
use super::h1::{H1, h1_of_sorted};
use super::limits::{BUFFER_LEN, ZipLimits};
use super::names::{self, NameError};
use super::stream::{EntryHasher, StreamHasher, inflate};
use crate::module::ModuleVersion;

/// The h1 and the sizes of a zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZipReport {
    /// The h1 of its files.
    pub h1: H1,
    /// The number of entries.
    pub files: u64,
    /// The total length of the unpacked files.
    pub unpacked: u64,
    /// The length of the zip.
    pub packed: u64,
}

/// The least data per thread, in bytes: for less, starting a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 20;

/// Checks that `file` is a zip of `module` and hashes it. Blocks. Does not move the cursor of the file.
pub fn hash_module_zip(file: &File, module: &ModuleVersion, limits: &ZipLimits) -> Result<ZipReport, ZipError> {
    let directory = directory(file, limits)?;
    hash_entries(file, &directory, &format!("{module}/"), limits, |_| None)
}

/// Like [`hash_module_zip`], for a file whose bytes were fed to `stream` as they were written: reads only the entries that
/// `stream` could not hash.
pub fn hash_module_zip_streamed(
    file: &File,
    module: &ModuleVersion,
    limits: &ZipLimits,
    stream: &StreamHasher,
) -> Result<ZipReport, ZipError> {
    let directory = directory(file, limits)?;
    hash_entries(file, &directory, &format!("{module}/"), limits, |entry| stream.sha256(entry))
}

/// The file names in a zip.
pub fn names_in_zip(file: &File, limits: &ZipLimits) -> Result<Vec<String>, ZipError> {
    Ok(directory(file, limits)?.names().map(str::to_owned).collect())
}

/// The module version in the first file name of a zip.
pub fn module_in_zip(file: &File, limits: &ZipLimits) -> Result<ModuleVersion, ZipError> {
    let directory = directory(file, limits)?;
    let first = directory.names().next().ok_or(ZipError::NamesNoModule)?;
    // `path@version/file`: only the path may contain slashes.
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

/// `known` returns the hash of an entry that need not be read.
fn hash_entries(
    file: &File,
    directory: &Directory,
    prefix: &str,
    limits: &ZipLimits,
    known: impl Fn(&ZipEntry) -> Option<[u8; 32]>,
) -> Result<ZipReport, ZipError> {
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

/// Checks names and declared sizes. Returns the total declared size.
fn check(directory: &Directory, prefix: &str, limits: &ZipLimits) -> Result<u64, ZipError> {
    let mut unpacked = 0_u64;
    for entry in &directory.entries {
        let stored = directory.name(entry);
        let name = names::check(stored, prefix)?;
        if matches!(name, "go.mod" | "LICENSE") && entry.unpacked > limits.single {
            return Err(ZipError::TooLarge(stored.to_owned(), limits.single));
        }
        if stored.ends_with('/') && entry.unpacked > 0 {
            return Err(ZipError::BadData(stored.to_owned(), "it is a folder, and has content"));
        }
        unpacked += entry.unpacked;
    }
    if unpacked > limits.zip {
        return Err(ZipError::TooLarge("its content".to_owned(), limits.zip));
    }
    names::check_together(directory.names().map(|name| &name[prefix.len()..]))?;
    Ok(unpacked)
}

/// Writes the SHA-256 of the `unread` entries to `hashes`. Each thread takes the next entry when it is free.
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
                    // Stops the other threads.
                    next.store(unread.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let mut store = |done: Vec<(usize, [u8; 32])>| {
        for (nth, hash) in done {
            hashes[nth] = hash;
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = work().map(&mut store);
        for other in others {
            let done = other.join().unwrap_or_else(|_| Err(std::io::Error::other("a hashing thread panicked").into()));
            ended = ended.and_then(|()| done.map(&mut store));
        }
        ended
    })
}

/// Reads entries one at a time, with reused buffers.
struct EntryReader<'f> {
    file: &'f File,
    inflater: Decompress,
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl<'f> EntryReader<'f> {
    fn new(file: &'f File) -> Self {
        Self { file, inflater: Decompress::new(false), packed: vec![0; BUFFER_LEN], plain: vec![0; BUFFER_LEN] }
    }

    /// The hash of an entry, whose length and CRC-32 must be as declared.
    fn sha256(&mut self, entry: &ZipEntry, name: &str) -> Result<[u8; 32], ZipError> {
        let bad = |why| ZipError::BadData(name.to_owned(), why);
        let mut hasher = EntryHasher::default();
        // An entry that is longer than declared is refused at once, which stops zip bombs.
        let mut add = |data: &[u8]| {
            hasher.update(data);
            if hasher.length > entry.unpacked { Err(bad("it is longer than declared")) } else { Ok(()) }
        };
        if entry.method == Method::Deflate {
            self.inflater.reset(false);
        }
        let mut read = 0;
        let mut ended = entry.method == Method::Stored;
        while read < entry.packed {
            let length = usize::try_from((entry.packed - read).min(BUFFER_LEN as u64)).unwrap_or(BUFFER_LEN);
            self.file.read_exact_at(&mut self.packed[..length], entry.data + read)?;
            read += length as u64;
            let mut input = &self.packed[..length];
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

#[cfg(test)]
mod tests;
