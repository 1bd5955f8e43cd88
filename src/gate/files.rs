//! Lists the files of caches, and hashes some of them.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::parallel::each;
use crate::base::tree::{open_regular, sha256_of};
use crate::store::remove::open_up;

/// Files and folders together. A build cache of a large monorepo has some 100,000 files.
const MAX_ENTRIES: usize = 2_000_000;
/// The permissions that the owner needs to list a folder.
const READABLE: u32 = 0o500;

/// The properties of a regular file that need no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) size: u64,
    pub(super) executable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) digest: [u8; 32],
    pub(super) shape: Shape,
}

/// The identity and state of a file: writing to the file, or replacing it, changes the stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    dev: u64,
    ino: u64,
    /// Unknown on some file systems.
    born: Option<SystemTime>,
    changed: (i64, i64),
    pub(super) shape: Shape,
}

impl Stamp {
    pub(super) fn of(file: &Metadata) -> Self {
        let changed = (file.ctime(), file.ctime_nsec());
        Self { dev: file.dev(), ino: file.ino(), born: file.created().ok(), changed, shape: shape(file) }
    }

    /// `None` if the file cannot be read.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.symlink_metadata().ok().as_ref().map(Self::of)
    }

    /// Whether it is the same file, even if it was written to.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        let file = |stamp: &Self| (stamp.dev, stamp.ino, stamp.born, stamp.shape.size);
        file(self) == file(other)
    }
}

/// The content of some folders, by the path below their root. Anything but a regular file, such as a link, has no shape.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) files: BTreeMap<PathBuf, Option<Shape>>,
    /// Sorted: a folder comes before its subfolders.
    pub(super) folders: Vec<PathBuf>,
}

/// Lists the folders `names` of `root`, which may be missing. No file is opened, and no link is followed; a folder that its
/// owner cannot read is made readable.
pub(super) fn list(root: &Path, names: &[&str]) -> io::Result<Listed> {
    let mut listed = Listed::default();
    let mut open: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
    while let Some(folder) = open.pop() {
        let Some(entries) = entries(&root.join(&folder))? else { continue };
        for entry in entries {
            let entry = entry?;
            let name = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(name.clone());
                listed.folders.push(name);
            } else {
                listed.files.insert(name, entry.metadata().ok().filter(Metadata::is_file).as_ref().map(shape));
            }
            if listed.files.len() + listed.folders.len() > MAX_ENTRIES {
                return Err(io::Error::other(format!("there are more than {MAX_ENTRIES} files and folders")));
            }
        }
    }
    listed.folders.sort();
    Ok(listed)
}

fn entries(folder: &Path) -> io::Result<Option<fs::ReadDir>> {
    let found = match folder.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if !found.is_dir() {
        return Err(io::Error::other(format!("{} is not a folder", folder.display())));
    }
    if found.permissions().mode() & READABLE != READABLE {
        open_up(folder)?;
    }
    fs::read_dir(folder).map(Some)
}

fn shape(metadata: &Metadata) -> Shape {
    Shape { size: metadata.len(), executable: metadata.mode() & 0o111 != 0 }
}

/// Hashes the files `names` below `root`, on all processors. Omits those that cannot be read. Blocks.
pub(super) fn hash<'n>(root: &Path, names: &[&'n Path]) -> BTreeMap<&'n Path, (Content, Stamp)> {
    let hashed = each(names, |name| content(&root.join(name)).ok().flatten());
    names.iter().copied().zip(hashed).filter_map(|(name, content)| Some((name, content?))).collect()
}

fn content(path: &Path) -> io::Result<Option<(Content, Stamp)>> {
    let Some(file) = open_regular(path)? else { return Ok(None) };
    let stamp = Stamp::of(&file.metadata()?);
    let shape = stamp.shape;
    // Reads at most one byte more than the size: a file that grew or shrank meanwhile has no content.
    let (read, digest) = sha256_of(&file, shape.size.saturating_add(1))?;
    Ok((read == shape.size).then_some((Content { digest, shape }, stamp)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn only_regular_files_have_a_shape_and_a_closed_folder_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("build/closed");
        fs::create_dir_all(&closed).unwrap();
        fs::write(closed.join("a b"), "x").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        std::os::unix::fs::symlink("/", root.path().join("build/link")).unwrap();
        let listed = list(root.path(), &["build", "mod"]).unwrap();
        let shape = Some(Shape { size: 1, executable: false });
        let files = [("build/closed/a b", shape), ("build/link", None)];
        assert_eq!(listed.files, files.map(|(name, shape)| (PathBuf::from(name), shape)).into());
        assert_eq!(listed.folders, [Path::new("build/closed")]);
        std::os::unix::fs::symlink("/", root.path().join("mod")).unwrap();
        assert!(list(root.path(), &["mod"]).unwrap_err().to_string().ends_with("mod is not a folder"));
    }

    #[test]
    fn only_regular_files_are_hashed() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), "x").unwrap();
        std::os::unix::fs::symlink("a", root.path().join("link")).unwrap();
        let names = ["a", "link", "missing"].map(Path::new);
        let hashed = hash(root.path(), &names);
        assert_eq!(hashed.keys().collect::<Vec<_>>(), [&Path::new("a")]);
        assert_eq!(hashed[Path::new("a")].0.digest, <[u8; 32]>::from(Sha256::digest("x")));
        assert_eq!(hashed[Path::new("a")].1, Stamp::at(&root.path().join("a")).unwrap());
    }
}
