//! Lists the files and folders below a folder. Follows no links, except the folder itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// A file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {cause}", path.display())]
pub struct Unreadable {
    /// The path, as given.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub cause: io::Error,
}

impl Unreadable {
    /// Makes an error for this path.
    pub fn at(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |cause| Self { path: path.to_owned(), cause }
    }
}

/// All entries below `root`, a folder before its content. Omits folders that `enters` rejects. Blocks.
pub(crate) fn below(
    root: &Path,
    enters: impl Fn(&DirEntry) -> bool,
) -> impl Iterator<Item = Result<DirEntry, Unreadable>> {
    // WalkDir reports no error if `root` is a file.
    let not_a_folder = fs::read_dir(root).err().map(|cause| Err(Unreadable::at(root)(cause)));
    let entries = WalkDir::new(root).min_depth(1).into_iter();
    let entries = entries.filter_entry(move |entry| !entry.file_type().is_dir() || enters(entry));
    not_a_folder.into_iter().chain(entries.map(|entry| {
        entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            Unreadable { path, cause: error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into()) }
        })
    }))
}

/// The name of an entry below `root`; `None` if it is not UTF-8.
pub(crate) fn name_below<'e>(root: &Path, entry: &'e DirEntry) -> Option<&'e str> {
    entry.path().strip_prefix(root).ok()?.to_str()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::symlink;

    use super::*;

    fn names(root: &Path) -> Vec<String> {
        let entries = below(root, |entry| entry.file_name() != "out").map(Result::unwrap);
        let mut names: Vec<String> = entries.map(|entry| name_below(root, &entry).unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_link_is_an_entry_unless_it_is_the_folder_itself() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("out/c")).unwrap();
        fs::write(root.join("a/file"), "x").unwrap();
        symlink("..", root.join("a/up")).unwrap();
        symlink("root", folder.path().join("link")).unwrap();
        let all = ["a", "a/b", "a/file", "a/up"];
        assert_eq!(
            (names(&root), names(&folder.path().join("link"))),
            (all.map(str::to_owned).into(), all.map(str::to_owned).into())
        );
        for missing in ["root/none", "root/a/file"] {
            let path = folder.path().join(missing);
            assert_eq!(below(&path, |_| true).next().unwrap().unwrap_err().path, path);
        }
    }
}
