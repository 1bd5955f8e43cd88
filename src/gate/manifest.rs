//! The files of the caches: names, sizes, digests. What a seal covers.
//!
//! ```text
//! sumgate cache manifest v1
//! HEX-OF-SHA256 SIZE x|- NAME          sorted by name; NAME is below the folder of the run, `x` means executable
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

const HEADER: &str = "sumgate cache manifest v1";
/// A build cache of a large monorepo has some 100,000 files.
const MAX_FILES: usize = 2_000_000;
/// The text of so many files.
pub(super) const MAX_LEN: u64 = 512 << 20;
/// Bytes read at a time.
const PIECE: usize = 128 << 10;
/// No link is opened, and no pipe is waited for.
const FLAGS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) digest: [u8; 32],
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// Files by name. A file of another kind, such as a link, has no content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest(pub(super) BTreeMap<String, Option<Content>>);

/// Why a text is no manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the manifest is not \"DIGEST SIZE x|- NAME\"")]
pub(super) struct ManifestError {
    line: usize,
}

impl Manifest {
    /// Reads the files in the folders `names` of `root`, on all processors. Blocks. A name that cannot stand in a manifest is
    /// read as a file without content.
    pub(super) fn read(root: &Path, names: &[&str]) -> io::Result<Self> {
        let mut found = Vec::new();
        for name in names {
            for entry in WalkDir::new(root.join(name)).follow_links(false) {
                match entry {
                    Ok(entry) if entry.file_type().is_dir() => {}
                    Ok(entry) => found.push(entry.into_path()),
                    // The folder itself may be missing.
                    Err(error) if error.depth() == 0 => {}
                    Err(error) => return Err(error.into()),
                }
                if found.len() > MAX_FILES {
                    return Err(io::Error::other(format!("there are more than {MAX_FILES} files")));
                }
            }
        }
        let (next, all) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(path) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
                        let is_plain = root.join(&name) == *path && !name.contains('\n');
                        let content = is_plain.then(|| content(path).ok()).flatten();
                        all.lock().unwrap_or_else(PoisonError::into_inner).insert(name, content);
                    }
                });
            }
        });
        Ok(Self(all.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The text of the files that have a content.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for (name, content) in &self.0 {
            if let Some(Content { digest, size, executable }) = content {
                let mark = if *executable { 'x' } else { '-' };
                text.push_str(&format!("{} {size} {mark} {name}\n", hex::encode(digest)));
            }
        }
        text
    }

    /// Reads such a text.
    pub(super) fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = text.split_terminator('\n').zip(1..);
        if lines.next().is_none_or(|(first, _)| first != HEADER) {
            return Err(ManifestError { line: 1 });
        }
        let parsed = lines.map(|(line, nth)| entry(line).ok_or(ManifestError { line: nth }));
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }
}

fn entry(line: &str) -> Option<(String, Option<Content>)> {
    let mut words = line.splitn(4, ' ');
    let digest = hex::decode(words.next()?).ok()?.try_into().ok()?;
    let size = words.next()?.parse().ok()?;
    let executable = match words.next()? {
        "x" => true,
        "-" => false,
        _ => return None,
    };
    Some((words.next()?.to_owned(), Some(Content { digest, size, executable })))
}

fn content(path: &Path) -> io::Result<Content> {
    let mut file = File::options().read(true).custom_flags(FLAGS).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let (mut hasher, mut piece, mut size) = (Sha256::new(), vec![0; PIECE], 0);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => {
                hasher.update(&piece[..read]);
                size += read as u64;
            }
        }
    }
    Ok(Content { digest: hasher.finalize().into(), size, executable: metadata.mode() & 0o111 != 0 })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("build/00")).unwrap();
        fs::write(root.path().join("build/00/a b"), "x").unwrap();
        std::os::unix::fs::symlink("a b", root.path().join("build/00/link")).unwrap();
        let manifest = Manifest::read(root.path(), &["build", "mod"]).unwrap();
        assert_eq!(manifest.0.keys().collect::<Vec<_>>(), ["build/00/a b", "build/00/link"]);
        assert_eq!(manifest.0["build/00/link"], None);
        let read = Manifest::parse(&manifest.text()).unwrap();
        assert_eq!(read.0.len(), 1);
        assert_eq!(read.0["build/00/a b"], manifest.0["build/00/a b"]);
    }

    #[test]
    fn what_is_no_manifest_says_where() {
        let digest = "00".repeat(32);
        for (text, line) in [
            (String::new(), 1),
            ("another\n".to_owned(), 1),
            (format!("{HEADER}\n{digest} 1 - a\n{digest} 1 y b\n"), 3),
            (format!("{HEADER}\nabc 1 - a\n"), 2),
            (format!("{HEADER}\n{digest} -1 - a\n"), 2),
            (format!("{HEADER}\n{digest} 1 -\n"), 2),
        ] {
            assert_eq!(Manifest::parse(&text), Err(ManifestError { line }), "{text:?}");
        }
    }
}
