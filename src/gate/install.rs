//! Moves programs that the command installed from the GOPATH of the run to that of the user.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Moves `files` from the folder `from` to the same names in `to`. Returns the new paths. Blocks.
pub fn install(files: &[PathBuf], from: &Path, to: &Path) -> io::Result<Vec<PathBuf>> {
    let mut moved = Vec::new();
    for file in files {
        let name = file.strip_prefix(from).map_err(io::Error::other)?;
        let target = to.join(name);
        let folder = target.parent().unwrap_or(to);
        fs::create_dir_all(folder)?;
        match fs::rename(file, &target) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(file, folder, &target)?,
            renamed => renamed?,
        }
        moved.push(target);
    }
    Ok(moved)
}

/// Copies a file atomically, and removes the original.
fn copy(file: &Path, folder: &Path, target: &Path) -> io::Result<()> {
    let mut copy = NamedTempFile::new_in(folder)?;
    io::copy(&mut File::open(file)?, &mut copy)?;
    copy.as_file().set_permissions(fs::metadata(file)?.permissions())?;
    copy.persist(target).map_err(|error| error.error)?;
    fs::remove_file(file)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn files_keep_their_names_below_the_folder() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("linux_arm64")).unwrap();
        let files = ["tool", "linux_arm64/tool"].map(|name| from.path().join(name));
        for file in &files {
            fs::write(file, "new").unwrap();
        }
        let target = to.path().join("bin");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("tool"), "old").unwrap();
        let moved = install(&files, from.path(), &target).unwrap();
        assert_eq!(moved, ["tool", "linux_arm64/tool"].map(|name| target.join(name)));
        assert_eq!(fs::read_to_string(target.join("tool")).unwrap(), "new");
        assert!(files.iter().all(|file| !file.exists()));
    }

    #[test]
    fn a_copy_has_content_and_permissions() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, target) = (from.path().join("tool"), to.path().join("tool"));
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        copy(&file, to.path(), &target).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&target).unwrap().permissions());
        assert_eq!((mode & 0o777, fs::read_to_string(&target).unwrap().as_str(), file.exists()), (0o755, "x", false));
    }
}
