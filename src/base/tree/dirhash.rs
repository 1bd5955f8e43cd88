//! The h1 of an unpacked module (`dirhash.HashDir`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Unreadable, below, name_below, open_regular};
use gomodule::dirhash::{FileList, H1, ZipLimits};

/// Why a folder has no h1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirError {
    /// A file or folder cannot be read.
    #[error(transparent)]
    Read(#[from] Unreadable),
    /// A name cannot be in a file list.
    #[error("{} has a name that is not UTF-8 or has a newline", .0.display())]
    BadName(PathBuf),
    /// A link, a FIFO or a device, which module zips do not contain.
    #[error("{} is not a regular file; modules have no other files", .0.display())]
    NotRegular(PathBuf),
    /// The folder has too many files.
    #[error("the folder has more than {MAX_FILES} files")]
    TooManyFiles,
    /// More bytes than a module can have.
    #[error("the files of the folder have more than {0} bytes in total, the limit of a module")]
    TooLarge(u64),
}

/// Bytes read at a time.
const BUFFER_LEN: u64 = 64 << 10;
/// Most files of a folder. The largest known modules have about 50,000.
const MAX_FILES: usize = 1_000_000;

/// Hashes all files below `dir`, under the names `prefix/…`. Blocks, but not on FIFOs. The total size has the limit of a module
/// zip ([`ZipLimits`]).
///
/// The go.mod files of a toolchain are named `_go.mod` in its zip. `go` copies each to `go.mod` when it first uses the
/// toolchain (`cmd/go/internal/toolchain/select.go`). Such copies are omitted if they equal the original.
pub fn hash_dir(dir: &Path, prefix: &str) -> Result<H1, DirError> {
    hash_up_to(dir, prefix, ZipLimits::default().zip)
}

fn hash_up_to(dir: &Path, prefix: &str, limit: u64) -> Result<H1, DirError> {
    let mut budget = Budget { limit, left: limit };
    let mut list = FileList::default();
    let is_toolchain = prefix.starts_with("golang.org/toolchain@");
    for (count, entry) in below(dir, |_| true).enumerate() {
        let entry = entry?;
        let (path, name) = (entry.path(), name_below(dir, &entry).filter(|name| !name.contains('\n')));
        let name = name.ok_or_else(|| DirError::BadName(path.to_owned()))?;
        if count >= MAX_FILES {
            return Err(DirError::TooManyFiles);
        }
        if !(entry.file_type().is_dir() || is_toolchain && is_copied_go_mod(path, &mut budget)) {
            list.add(format!("{prefix}/{name}"), budget.sha256_of(path)?);
        }
    }
    Ok(list.h1())
}

fn is_copied_go_mod(path: &Path, budget: &mut Budget) -> bool {
    let is_go_mod = path.file_name().is_some_and(|name| name == "go.mod");
    let mut same = |original: &Path| Some(budget.sha256_of(path).ok()? == budget.sha256_of(original).ok()?);
    is_go_mod && same(&path.with_file_name("_go.mod")).unwrap_or(false)
}

struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    fn sha256_of(&mut self, path: &Path) -> Result<[u8; 32], DirError> {
        let file =
            open_regular(path).map_err(Unreadable::at(path))?.ok_or_else(|| DirError::NotRegular(path.to_owned()))?;
        let (bytes, digest) = sha256_of(&file, self.left + 1).map_err(Unreadable::at(path))?;
        self.left = self.left.checked_sub(bytes).ok_or(DirError::TooLarge(self.limit))?;
        Ok(digest)
    }
}

/// The length and the SHA-256 of the first `max` bytes of a file.
pub(crate) fn sha256_of(file: &File, max: u64) -> io::Result<(u64, [u8; 32])> {
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, Vec::new());
    let mut file = file.take(max);
    while file.by_ref().take(BUFFER_LEN).read_to_end(&mut piece)? > 0 {
        hash.update(&piece);
        bytes += piece.len() as u64;
        piece.clear();
    }
    Ok((bytes, hash.finalize().into()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn links_fifos_and_devices_are_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.go"), "package a\n").unwrap();
        let hash = || hash_dir(root.path(), "a.com/b@v1.0.0");
        hash().unwrap();
        let odd = root.path().join("odd");
        for target in ["a.go", "/dev/zero", "/etc", "nowhere"] {
            std::os::unix::fs::symlink(target, &odd).unwrap();
            assert!(matches!(hash(), Err(DirError::NotRegular(path)) if path == odd), "{target}");
            fs::remove_file(&odd).unwrap();
        }
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &odd, fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        assert!(matches!(hash(), Err(DirError::NotRegular(path)) if path == odd));
    }

    #[test]
    fn the_total_size_is_limited() {
        let root = tempfile::tempdir().unwrap();
        let sparse = |name: &str, bytes| fs::File::create(root.path().join(name)).unwrap().set_len(bytes).unwrap();
        sparse("a", 600);
        sparse("b", 400);
        hash_up_to(root.path(), "a.com/b@v1.0.0", 1000).unwrap();
        sparse("c", 1 << 40);
        assert!(matches!(hash_up_to(root.path(), "a.com/b@v1.0.0", 1000), Err(DirError::TooLarge(1000))));
    }

    #[test]
    fn copied_go_mod_files_of_a_toolchain_are_omitted_if_they_equal_the_original() {
        let toolchain = "golang.org/toolchain@v0.0.1-go1.99.1.linux-amd64";
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("src")).unwrap();
        fs::write(root.path().join("src/_go.mod"), "module std\n").unwrap();
        let hash = |prefix| hash_dir(root.path(), prefix).unwrap();
        let (unpacked, other) = (hash(toolchain), hash("a.com/b@v1.0.0"));
        fs::write(root.path().join("src/go.mod"), "module std\n").unwrap();
        assert_eq!(hash(toolchain), unpacked);
        assert_ne!(hash("a.com/b@v1.0.0"), other, "go copies nothing in other modules");
        fs::write(root.path().join("src/go.mod"), "module evil\n").unwrap();
        assert_ne!(hash(toolchain), unpacked);
        fs::remove_file(root.path().join("src/go.mod")).unwrap();
        fs::write(root.path().join("go.mod"), "module std\n").unwrap();
        assert_ne!(hash(toolchain), unpacked, "a copy without an original");
    }
}
