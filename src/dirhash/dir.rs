//! The h1 of an unpacked module (`dirhash.HashDir`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::h1::{FileList, H1};

/// Why a folder has no h1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A name that cannot stand in the list.
    #[error("{} has a name that is not UTF-8 or has a newline", .0.display())]
    BadName(PathBuf),
    /// More files than any module has.
    #[error("the folder has more than {MAX_FILES} files")]
    TooManyFiles,
}

/// The largest modules known have about 50,000 files.
const MAX_FILES: usize = 1_000_000;

/// Hashes all files below `dir`, under the names `prefix/…`. Blocks.
pub fn hash_dir(dir: &Path, prefix: &str) -> Result<H1, DirError> {
    let mut list = FileList::default();
    let mut folders = vec![(dir.to_owned(), prefix.to_owned())];
    let mut count = 0;
    while let Some((folder, name)) = folders.pop() {
        let read = |cause| DirError::Read { path: folder.clone(), cause };
        for entry in fs::read_dir(&folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let file_name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains('\n'));
            let name = format!("{name}/{}", file_name.ok_or_else(|| DirError::BadName(path.clone()))?);
            count += 1;
            if count > MAX_FILES {
                return Err(DirError::TooManyFiles);
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push((path, name));
            } else {
                list.add(name, sha256_of(&path)?);
            }
        }
    }
    Ok(list.h1())
}

fn sha256_of(path: &Path) -> Result<[u8; 32], DirError> {
    let read = |cause| DirError::Read { path: path.to_owned(), cause };
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(read)?;
    io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(read)?;
    Ok(hash.finalize().into())
}

struct HashWriter<'h>(&'h mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
