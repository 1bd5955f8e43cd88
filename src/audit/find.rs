//! Which files to audit: a go.sum, a go.work.sum, or all of them below a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The largest monorepos have some thousand modules.
const MAX_FILES: usize = 100_000;
/// No source tree is deeper; what is, is a loop of mounts.
const MAX_DEPTH: usize = 100;

/// A file to audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The go.sum or go.work.sum; may be absent where a go.mod has no go.sum yet.
    pub sum: PathBuf,
    /// The go.mod beside it. A go.work.sum has none.
    pub go_mod: Option<PathBuf>,
}

/// Why there is nothing to audit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// No such path.
    #[error("cannot look at {}: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A folder without any of the files.
    #[error("there is no go.sum, go.work.sum or go.mod in {} or below it", path.display())]
    Nothing {
        /// Which folder.
        path: PathBuf,
    },
    /// More than anybody has.
    #[error("{} has more files, or is deeper, than any source tree: name the go.sum files one by one", path.display())]
    TooMuch {
        /// Which folder.
        path: PathBuf,
    },
}

/// The files to audit: `path` itself if it is a file; else every go.sum and go.work.sum below it, in order, but for
/// `vendor` and hidden folders. Links to folders are not followed. Where there is no go.sum at all but a go.mod, that is
/// the target: whatever it requires has no line.
pub fn find(path: &Path) -> Result<Vec<Target>, FindError> {
    let unreadable = |cause| FindError::Unreadable { path: path.to_owned(), cause };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![target(tidy(path))]);
    }
    let mut sums = Vec::new();
    walk(path, 0, &mut sums)?;
    if sums.is_empty() {
        let go_mod = tidy(path).join("go.mod");
        if !go_mod.is_file() {
            return Err(FindError::Nothing { path: path.to_owned() });
        }
        sums.push(tidy(path).join("go.sum"));
    }
    Ok(sums.into_iter().map(target).collect())
}

fn target(sum: PathBuf) -> Target {
    let is_go_sum = sum.file_name().is_some_and(|name| name == "go.sum");
    let go_mod = is_go_sum.then(|| sum.with_file_name("go.mod")).filter(|go_mod| go_mod.is_file());
    Target { sum, go_mod }
}

/// Without a leading `./`: files are shown as a person would write them.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != std::path::Component::CurDir).collect()
}

fn walk(folder: &Path, depth: usize, sums: &mut Vec<PathBuf>) -> Result<(), FindError> {
    let unreadable = |cause| FindError::Unreadable { path: folder.to_owned(), cause };
    if depth > MAX_DEPTH || sums.len() > MAX_FILES {
        return Err(FindError::TooMuch { path: folder.to_owned() });
    }
    let mut entries: Vec<fs::DirEntry> =
        fs::read_dir(folder).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for name in ["go.sum", "go.work.sum"] {
        let file = folder.join(name);
        match fs::metadata(&file) {
            Ok(found) if found.is_file() => sums.push(tidy(&file)),
            // A folder of that name, or a link that leads nowhere: `go` finds no go.sum here either.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(FindError::Unreadable { path: file, cause }),
        }
    }
    for entry in entries {
        let name = entry.file_name();
        let left_out = name == "vendor" || name.to_string_lossy().starts_with('.');
        if !left_out && entry.file_type().map_err(unreadable)?.is_dir() {
            walk(&entry.path(), depth + 1, sums)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn folders_are_searched_but_for_vendor_and_hidden_ones() {
        let root = tempfile::tempdir().unwrap();
        for file in
            ["go.mod", "go.sum", "b/go.work.sum", "b/c/go.sum", "vendor/go.sum", ".git/go.sum", "a/vendor/x/go.sum"]
        {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        let found = find(root.path()).unwrap();
        let names: Vec<_> = found.iter().map(|t| t.sum.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["go.sum", "b/go.work.sum", "b/c/go.sum"]);
        assert_eq!(found[0].go_mod, Some(root.path().join("go.mod")));
        assert_eq!(found[2].go_mod, None);
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_is_not_left_out() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("go.work.sum"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("go.sum")).unwrap();
        assert_eq!(find(root.path()).unwrap().len(), 1, "go takes it for absent");
        fs::remove_file(root.path().join("go.sum")).unwrap();
        std::os::unix::fs::symlink("go.sum", root.path().join("go.sum")).unwrap();
        assert!(matches!(find(root.path()), Err(FindError::Unreadable { path, .. }) if path.ends_with("go.sum")));
    }

    #[test]
    fn a_go_mod_alone_is_a_target_and_nothing_at_all_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(find(root.path()), Err(FindError::Nothing { .. })));
        fs::write(root.path().join("go.mod"), "module a.com/b\n").unwrap();
        assert_eq!(find(root.path()).unwrap().len(), 1);
        assert!(matches!(find(&root.path().join("no")), Err(FindError::Unreadable { .. })));
    }
}
