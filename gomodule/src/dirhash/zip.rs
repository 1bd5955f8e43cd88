//! The h1 of a module zip, and the rules for its content (`golang.org/x/mod/zip`).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::directory::{self, Directory, ZipEntry};
use super::entry::{BLOCK_LEN, EntryReader, HEADER_BLOCK_LEN};
use super::error::ZipError;
use super::h1::{H1, h1_of_sorted};
use super::limits::{BUFFER_LEN, ZipLimits};
use super::names::{self, NameError};
use super::stream::StreamHasher;
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
/// With so many batches, the last of them is a small part of the whole time, also if the threads are not equally fast.
const BATCHES_OF_A_THREAD: u64 = 16;

/// Checks that `file` is a zip of `module` and hashes it. Blocks. Does not move the cursor of the file.
pub fn hash_module_zip(file: &File, module: &ModuleVersion, limits: &ZipLimits) -> Result<ZipReport, ZipError> {
    let directory = directory(file, limits)?;
    hash_entries(file, &directory, &format!("{module}/"), limits, |_, _| None)
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
    hash_entries(file, &directory, &format!("{module}/"), limits, |entry, data| stream.sha256(entry, data))
}

/// The file names in a zip.
pub fn names_in_zip(file: &File, limits: &ZipLimits) -> Result<Vec<String>, ZipError> {
    Ok(checked_directory(file, limits)?.names().map(str::to_owned).collect())
}

/// The module version in the first file name of a zip. Only the directory of the zip is read: whether the rest agrees, and whether
/// every file is of this module, is for [`hash_module_zip`] to say.
pub fn module_in_zip(file: &File, limits: &ZipLimits) -> Result<ModuleVersion, ZipError> {
    let directory = directory(file, limits)?;
    let first = directory.names().next().ok_or(ZipError::NamesNoModule)?;
    // `path@version/file`: only the path may contain slashes.
    let name = first.split_once('@').and_then(|(path, rest)| Some(format!("{path}@{}", rest.split_once('/')?.0)));
    let module = name.and_then(|name| ModuleVersion::parse(&name).ok());
    Ok(module.ok_or_else(|| NameError::OtherModule(first.to_owned()))?)
}

/// The content of the file `name` in a zip, of at most `max` bytes; `None` if the zip does not have it. Blocks.
pub fn file_in_zip(file: &File, name: &str, max: u64, limits: &ZipLimits) -> Result<Option<Vec<u8>>, ZipError> {
    let directory = checked_directory(file, limits)?;
    let Some(nth) = directory.names().position(|one| one == name) else { return Ok(None) };
    if directory.entries[nth].unpacked > max {
        return Err(ZipError::TooLarge(name.to_owned(), max));
    }
    let mut content = Vec::new();
    let mut reader = EntryReader::new(file, &directory, BUFFER_LEN);
    reader.read_ahead_to(directory.end(nth));
    reader.sha256(nth, |_, _| None, |data| content.extend_from_slice(data))?;
    Ok(Some(content))
}

fn directory(file: &File, limits: &ZipLimits) -> Result<Directory, ZipError> {
    let length = file.metadata()?.len();
    if length > limits.zip {
        return Err(ZipError::TooLarge("the zip".to_owned(), limits.zip));
    }
    directory::read(file, length)
}

/// The directory of a zip whose local headers agree with it.
fn checked_directory(file: &File, limits: &ZipLimits) -> Result<Directory, ZipError> {
    let directory = directory(file, limits)?;
    let mut reader = EntryReader::new(file, &directory, HEADER_BLOCK_LEN);
    for nth in 0..directory.entries.len() {
        reader.read_ahead_to(directory.end(nth));
        reader.check(nth)?;
    }
    Ok(directory)
}

/// `known` returns the hash of an entry whose data need not be read.
fn hash_entries(
    file: &File,
    directory: &Directory,
    prefix: &str,
    limits: &ZipLimits,
    known: impl Fn(&ZipEntry, u64) -> Option<[u8; 32]> + Sync,
) -> Result<ZipReport, ZipError> {
    let unpacked = check_sizes(directory, prefix, limits)?;
    let work = Work::new(file, directory, unpacked, limits.threads);
    let (order, outcomes) = thread::scope(|scope| {
        let others: Vec<_> = (1..work.threads).map(|_| scope.spawn(|| work.hash(&known))).collect();
        // Beside the other threads.
        let order = check_names(directory, prefix).inspect_err(|_| work.stop());
        let mut outcomes = vec![work.hash(&known)];
        let panicked = || (usize::MAX, io::Error::other("a hashing thread panicked").into());
        outcomes.extend(others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(panicked()))));
        (order, outcomes)
    });
    let (order, mut hashes) = (order?, vec![[0; 32]; directory.entries.len()]);
    let mut failed = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(done) => done.into_iter().for_each(|(nth, hash)| hashes[nth] = hash),
            Err(error) => failed.push(error),
        }
    }
    // Of the first entry, whatever thread was faster.
    if let Some((_, error)) = failed.into_iter().min_by_key(|(nth, _)| *nth) {
        return Err(error);
    }
    let h1 = h1_of_sorted(order.iter().map(|nth| (directory.name(&directory.entries[*nth]), &hashes[*nth])));
    let packed = file.metadata()?.len();
    Ok(ZipReport { h1, files: directory.entries.len() as u64, unpacked, packed })
}

/// Checks the declared sizes. Returns their total.
fn check_sizes(directory: &Directory, prefix: &str, limits: &ZipLimits) -> Result<u64, ZipError> {
    let mut unpacked = 0_u64;
    for entry in &directory.entries {
        let stored = directory.name(entry);
        let is_limited = |name| matches!(name, "go.mod" | "LICENSE");
        if entry.unpacked > limits.single && stored.strip_prefix(prefix).is_some_and(is_limited) {
            return Err(ZipError::TooLarge(stored.to_owned(), limits.single));
        }
        if entry.unpacked > 0 && stored.ends_with('/') {
            return Err(ZipError::BadData(stored.to_owned(), "it is a folder, and has content"));
        }
        unpacked += entry.unpacked;
    }
    if unpacked > limits.zip { Err(ZipError::TooLarge("its content".to_owned(), limits.zip)) } else { Ok(unpacked) }
}

/// Checks all names. Returns the numbers of the entries, sorted by name.
fn check_names(directory: &Directory, prefix: &str) -> Result<Vec<usize>, NameError> {
    directory.names().try_for_each(|stored| names::check(stored, prefix).map(|_| ()))?;
    names::check_together(directory.names().map(|name| &name[prefix.len()..]))?;
    let mut order: Vec<usize> = (0..directory.entries.len()).collect();
    // Most zips are nearly in this order, which makes the stable sort the faster one.
    order.sort_by_key(|nth| directory.name(&directory.entries[*nth]));
    Ok(order)
}

/// Numbers of entries, with their SHA-256.
type Hashes = Vec<(usize, [u8; 32])>;

/// The entries of a zip in batches. Each thread takes the next batch when it is free.
struct Work<'f> {
    file: &'f File,
    directory: &'f Directory,
    batches: Vec<Range<usize>>,
    next: AtomicUsize,
    threads: usize,
}

impl<'f> Work<'f> {
    fn new(file: &'f File, directory: &'f Directory, unpacked: u64, threads: usize) -> Self {
        let entries = &directory.entries;
        let packed: u64 = entries.iter().map(|entry| entry.packed).sum();
        let worth = usize::try_from(unpacked.max(packed) / WORTH_A_THREAD).unwrap_or(usize::MAX);
        let threads = threads.min(worth).max(1);
        let length = (packed / (threads as u64 * BATCHES_OF_A_THREAD)).min(BLOCK_LEN as u64);
        let mut batches: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for nth in 0..entries.len() {
            if directory.end(nth).saturating_sub(entries[start].header.into()) >= length || nth + 1 == entries.len() {
                batches.push(start..nth + 1);
                start = nth + 1;
            }
        }
        Self { file, directory, batches, next: AtomicUsize::new(0), threads }
    }

    /// Lets no thread take another batch.
    fn stop(&self) {
        self.next.store(self.batches.len(), Ordering::Relaxed);
    }

    /// Hashes batches until there are no more. An error has the number of its entry.
    fn hash(&self, known: impl Fn(&ZipEntry, u64) -> Option<[u8; 32]>) -> Result<Hashes, (usize, ZipError)> {
        let mut reader = EntryReader::new(self.file, self.directory, BLOCK_LEN);
        let mut done = Vec::new();
        while let Some(batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            reader.read_ahead_to(self.directory.end(batch.end - 1));
            for nth in batch.clone() {
                let hash = reader.sha256(nth, &known, |_| ()).inspect_err(|_| self.stop());
                done.push((nth, hash.map_err(|error| (nth, error))?));
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
