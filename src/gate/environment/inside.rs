//! What of an environment lies in the repository: whoever wrote that decides what it is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Programs that `go` and git run.
const TOOLS: [&str; 17] = [
    "go",
    "git",
    "hg",
    "svn",
    "bzr",
    "fossil",
    "ssh",
    "cc",
    "gcc",
    "g++",
    "clang",
    "clang++",
    "gfortran",
    "as",
    "ld",
    "ar",
    "pkg-config",
];
/// `go` runs a program of such a name for a toolchain line in go.mod, if it finds one on the PATH.
const TOOLCHAIN: &str = "go1.";
/// Entries of a folder of PATH that are looked at for the names of toolchains.
const MAX_ENTRIES: usize = 10_000;

/// A program that a variable names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// It lies in the repository, or depends on the working folder.
    Inside,
    /// More than a name: flags, or a program for the shell.
    WithArguments,
    /// It lies elsewhere, or nowhere.
    Outside,
}

/// The repository, and the folders of PATH.
#[derive(Debug)]
pub(super) struct Inside {
    workspace: PathBuf,
    folders: Vec<PathBuf>,
    relative: bool,
}

impl Inside {
    pub(super) fn new(workspace: &Path, path: Option<&OsStr>) -> Self {
        let all: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
        let (folders, relative): (Vec<_>, Vec<_>) = all.into_iter().partition(|folder| folder.is_absolute());
        Self { workspace: workspace.to_owned(), folders, relative: !relative.is_empty() }
    }

    /// The absolute folders of PATH.
    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Whether PATH has folders that depend on the working folder.
    pub(super) fn relative(&self) -> bool {
        self.relative
    }

    /// Whether a list of paths has one that lies in the repository.
    pub(super) fn has(&self, paths: &OsString) -> bool {
        std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()).any(|path| self.lies_here(&path))
    }

    /// What a variable that names a program leads to.
    pub(super) fn program(&self, value: &str) -> Program {
        let mut words = value.split_whitespace();
        let Some(first) = words.next() else { return Program::Outside };
        let found = if first.contains('/') { Some(PathBuf::from(first)) } else { self.find(first) };
        if found.is_some_and(|program| self.lies_here(&program)) {
            Program::Inside
        } else if words.next().is_some() {
            Program::WithArguments
        } else {
            Program::Outside
        }
    }

    /// Programs of a build that PATH finds in the repository.
    pub(super) fn tools(&self) -> Vec<(String, PathBuf)> {
        let known = TOOLS.iter().filter_map(|name| Some(((*name).to_owned(), self.find(name)?)));
        let mut found: Vec<_> = known.filter(|(_, program)| self.lies_here(program)).collect();
        for folder in self.folders.iter().filter(|folder| self.lies_here(folder)) {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            for entry in entries.take(MAX_ENTRIES).flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(TOOLCHAIN) {
                    found.push((name, entry.path()));
                }
            }
        }
        found
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file())
    }

    /// A relative path depends on the working folder. Links count both ways.
    fn lies_here(&self, path: &Path) -> bool {
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        !path.is_absolute() || path.starts_with(&self.workspace) || target.starts_with(&self.workspace)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn what_lies_in_the_repository_is_found_through_links_and_path() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (repository, elsewhere) = (root.join("repository"), root.join("bin"));
        for folder in [&repository, &elsewhere] {
            fs::create_dir(folder).unwrap();
        }
        for file in
            [repository.join("evil"), repository.join("go1.99.1"), repository.join("git"), elsewhere.join("gcc")]
        {
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(repository.join("evil"), elsewhere.join("cc")).unwrap();
        let path = std::env::join_paths([&elsewhere, &repository, Path::new("relative")]).unwrap();
        let inside = Inside::new(&repository, Some(&path));
        let of = |value: &str| inside.program(value);
        for here in ["./evil", "evil/x -c", "cc", "git"] {
            assert_eq!(of(here), Program::Inside, "{here}");
        }
        assert_eq!(of(&format!("{}/evil", repository.display())), Program::Inside);
        assert_eq!((of("gcc"), of(""), of("/bin/true")), (Program::Outside, Program::Outside, Program::Outside));
        assert_eq!(of("gcc -m32"), Program::WithArguments);
        let names: Vec<String> = inside.tools().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["git", "cc", "go1.99.1"]);
        assert!(inside.relative() && inside.folders().len() == 2);
        assert!(inside.has(&repository.clone().into_os_string()) && !inside.has(&OsString::from("/etc/ssl")));
        assert!(inside.has(&OsString::from("/etc/ssl:certs")), "a relative one");
    }
}
