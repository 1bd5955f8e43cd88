//! Removes files and folders with any mode, name and depth, so that no leftovers of an earlier job stop the next one.
//!
//! `remove_dir_all` fails if a folder has mode 000, if a path is longer than 4,096 bytes, and if folders are nested deeper than
//! the limit of open files (often 1,024).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::StoreError;
use super::durable::parent;
use super::open::is_absent;

/// For the owner only.
pub(crate) const PRIVATE: u32 = 0o700;

/// The name prefix of a folder that holds entries during their removal.
pub(super) const ASIDE: &str = ".removed-";

/// Removes a file, a link or a folder, if it exists.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("remove", path, cause);
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).or_else(|_| flatten(path)).map_err(failed),
        Ok(_) => unlink(path).map_err(failed),
        Err(error) if is_absent(&error) => Ok(()),
        Err(cause) => Err(failed(cause)),
    }
}

/// `go` makes the folders of a module cache read-only.
fn unlink(file: &Path) -> io::Result<()> {
    fs::remove_file(file).or_else(|_| {
        open_up(parent(file)?)?;
        fs::remove_file(file)
    })
}

/// Moves each folder to the top before it is emptied, so that paths stay short and few files are open.
fn flatten(top: &Path) -> io::Result<()> {
    let above = parent(top)?;
    open_up(above)?;
    let moved = tempfile::Builder::new().prefix(ASIDE).tempdir_in(above)?;
    let (mut folders, mut count) = (vec![top.to_owned()], 0_u64);
    while let Some(folder) = folders.pop() {
        open_up(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                // Moving a folder writes its `..`.
                open_up(&entry.path())?;
                let to = moved.path().join(count.to_string());
                count += 1;
                fs::rename(entry.path(), &to)?;
                folders.push(to);
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        fs::remove_dir(&folder)?;
    }
    moved.close()
}

/// Gives the owner all permissions of a folder.
pub(crate) fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(PRIVATE))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::path::PathBuf;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_and_folders_of_any_mode_are_removed() {
        for bits in [0o000, 0o444, 0o555] {
            let root = tempfile::tempdir().unwrap();
            let inner = root.path().join("a/b/c");
            fs::create_dir_all(&inner).unwrap();
            fs::write(inner.join("file"), "x").unwrap();
            for folder in ["a/b/c", "a/b", "a"] {
                mode(&root.path().join(folder), bits);
            }
            remove(&root.path().join("a")).unwrap();
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{bits:o}");
            fs::write(root.path().join("file"), "x").unwrap();
            mode(root.path(), 0o555);
            remove(&root.path().join("file")).unwrap();
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{bits:o}");
        }
    }

    #[test]
    fn folders_of_any_depth_are_removed_and_no_link_is_followed() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(other.path().join("kept")).unwrap();
        // Built from the inside: a path from the top would be too long, and so many folders cannot all be open.
        let (inner, outer) = (root.path().join("inner"), root.path().join("outer"));
        fs::create_dir(&inner).unwrap();
        std::os::unix::fs::symlink(other.path(), inner.join("link")).unwrap();
        for _ in 0..3000 {
            fs::create_dir(&outer).unwrap();
            fs::rename(&inner, outer.join("n")).unwrap();
            fs::rename(&outer, &inner).unwrap();
        }
        mode(&inner, 0o000);
        remove(&inner).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(other.path().join("kept").is_dir());
        remove(&PathBuf::from(root.path()).join("missing/below")).unwrap();
    }
}
