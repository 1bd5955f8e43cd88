//! Lexical paths: where a path is before links are followed.
//!
//! A job that names or works in the folder `sub` means the folder of its repository. A pull request can replace `sub` with a
//! link, and so choose the real path, but not the repository of the lexical path.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::{Tree, holds_home};
use crate::base::account::real_home;

/// The working folder as the shell sees it: `PWD`, if it names the working folder (POSIX, `pwd -L`), or else the real path.
pub fn working_folder() -> io::Result<PathBuf> {
    let real = std::env::current_dir()?;
    Ok(std::env::var_os("PWD").map(PathBuf::from).filter(|pwd| names(pwd, &real)).unwrap_or(real))
}

fn names(pwd: &Path, real: &Path) -> bool {
    let is_plain = pwd.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let inode = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    pwd.is_absolute() && is_plain && inode(pwd).is_some() && inode(pwd) == inode(real)
}

/// Removes `.` and `..` from a path lexically.
pub fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The folder of a file path; `.` if the path has none.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The top folder of the repository around an absolute path, lexically. The search ends at the first link inside a repository,
/// because the author of the link chose what is after it. A repository that contains the home folder does not count.
pub fn repository_by_words(path: &Path) -> Option<PathBuf> {
    repository(path, real_home().as_deref())
}

fn repository(path: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let path = lexical(path);
    let mut top = None;
    let mut folders: Vec<&Path> = path.ancestors().collect();
    while let Some(folder) = folders.pop() {
        if top.is_some() && folder.is_symlink() {
            break;
        }
        let has_git = folder.join(".git").symlink_metadata().is_ok();
        if has_git && !folder.canonicalize().is_ok_and(|real| holds_home(&real, home)) {
            top = Some(folder);
        }
    }
    top.map(Path::to_owned)
}

/// The repository around a path, lexically and relative to the working folder; `None` if there is none.
pub fn tree_by_words(path: &Path) -> io::Result<Option<Tree>> {
    let top = repository_by_words(&working_folder()?.join(path));
    top.map(|top| Ok(Tree { root: top.canonicalize()? })).transpose()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_does_not_change_the_lexical_repository() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for path in ["home/.git", "home/work/.git", "home/work/module/.git", "home/other/.git", "home/plain", "opt"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        symlink("home/work", root.join("to-work")).unwrap();
        for (link, target) in [("out", "../../opt"), ("other", "../other"), ("self", "."), ("to-module", "module")] {
            symlink(target, root.join("home/work").join(link)).unwrap();
        }
        let home = root.join("home");
        let of = |path: &str| {
            let found = repository(&root.join(path), Some(&home))?;
            Some(found.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
        };
        for path in ["", "/x", "/out", "/out/x", "/other", "/other/x", "/self/x", "/to-module/x", "/module/../x"] {
            assert_eq!(of(&format!("home/work{path}")).unwrap(), "home/work", "{path}");
        }
        assert_eq!(of("home/work/module/x").unwrap(), "home/work/module");
        assert_eq!(of("to-work/out/x").unwrap(), "to-work");
        // A repository around the home folder does not count.
        assert_eq!((of("home"), of("home/plain/x"), of("opt")), (None, None, None));
        assert!(repository(&root.join("home/plain"), None).is_some());
    }

    #[test]
    fn pwd_is_used_if_it_names_the_working_folder() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("real");
        fs::create_dir(&real).unwrap();
        let link = real.with_file_name("link");
        symlink("real", &link).unwrap();
        assert!(names(&link, &real) && names(&real, &real));
        for wrong in [real.with_file_name("none"), real.with_file_name(""), real.join("../link"), "real".into()] {
            assert!(!names(&wrong, &real), "{}", wrong.display());
        }
    }
}
