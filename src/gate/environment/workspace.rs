//! Finds programs and files of the environment that lie in the repository, which its author controls.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::base::text::{safe, safe_path};
use crate::finding::{Code, Finding};
use crate::gate::distrusted;

/// Programs that `go`, git and the C compilers run.
const TOOLS: &str = "
go git git-lfs git-remote-http git-remote-https hg svn bzr fossil ssh cc c++ gcc g++ clang clang++ gfortran gccgo as
ld ld.bfd ld.gold ld.lld collect2 ar objdump strip dsymutil xcrun swig pkg-config pkgconf
";
/// Settings, below the home folder or XDG_CONFIG_HOME, of programs that take part in a build. The gate does not check their
/// content, unlike that of the settings of git and `go`.
const SETTINGS: [&str; 12] = [
    ".ssh",
    ".ccache",
    ".hgrc",
    ".netrc",
    ".bazaar",
    ".subversion",
    ".swig",
    ".config/ccache",
    ".config/hg",
    ".config/pkgconfig",
    "ccache",
    "hg",
];
/// For a toolchain line in go.mod `go` runs a program with this prefix, if it finds one on the PATH.
const TOOLCHAIN: &str = "go1.";
/// Entries of a folder of PATH that are searched for toolchains. `/usr/bin` has some thousands.
const MAX_ENTRIES: usize = 100_000;
/// Folders, and names in one message, that are reported. More would not help.
const MAX_REPORTED: usize = 10;

/// Where a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The repository, or a path that depends on the working folder.
    Inside,
    /// A folder that is not on the PATH, or that `go install` writes to; or the value has arguments.
    Elsewhere,
    /// A folder of the PATH; or the program does not exist.
    OnPath,
}

#[derive(Debug)]
pub(super) struct Workspace {
    /// `None` if the repository is trusted: see [`distrusted`].
    root: Option<PathBuf>,
    /// The absolute folders of PATH.
    pub(super) folders: Vec<PathBuf>,
    /// Whether PATH has folders that depend on the working folder.
    pub(super) has_relative: bool,
    /// Where `go install` writes programs: GOBIN, and `bin` of each folder of GOPATH.
    installed: Vec<PathBuf>,
}

impl Workspace {
    pub(super) fn new(
        workspace: &Path,
        home: Option<&Path>,
        path: Option<&OsStr>,
        installed: impl Iterator<Item = PathBuf>,
    ) -> Self {
        let all: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
        let (folders, relative): (Vec<_>, Vec<_>) = all.into_iter().partition(|folder| folder.is_absolute());
        let root = distrusted(workspace, home).map(Path::to_owned);
        let installed = installed.filter(|folder| folder.is_absolute()).map(|folder| real(&folder)).collect();
        Self { root, folders, has_relative: !relative.is_empty(), installed }
    }

    /// Whether one of a list of paths lies in the repository.
    pub(super) fn has_any_of(&self, paths: &OsString) -> bool {
        std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()).any(|path| self.lies_here(&path))
    }

    /// Settings in a folder of the repository that the gate does not check.
    pub(super) fn settings_in(&self, folder: &OsStr) -> Option<PathBuf> {
        let folder = Path::new(folder);
        if folder.as_os_str().is_empty() || !self.lies_here(folder) {
            return None;
        }
        SETTINGS.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok())
    }

    /// Where the program of a variable comes from.
    pub(super) fn program(&self, value: &str) -> Program {
        let mut words = value.split_whitespace();
        let Some(first) = words.next() else { return Program::OnPath };
        let found = if first.contains('/') { Some(PathBuf::from(first)) } else { self.find(first) };
        if found.as_ref().is_some_and(|program| self.lies_here(program)) {
            return Program::Inside;
        }
        if words.next().is_some() {
            return Program::Elsewhere;
        }
        let Some(folder) = found.as_deref().and_then(Path::parent).map(real) else { return Program::OnPath };
        let is_on_path = self.folders.iter().any(|other| real(other) == folder);
        if is_on_path && !self.installed.contains(&folder) { Program::OnPath } else { Program::Elsewhere }
    }

    /// Findings about programs on the PATH that are neither of the system nor of the gate.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let here = self.folders.iter().filter(|folder| self.lies_here(folder));
        let mut findings: Vec<Finding> = here
            .take(MAX_REPORTED)
            .map(|folder| {
                let message = format!("PATH has {}: it lies in the repository", safe_path(folder));
                Finding::new(Code::BuildOverride, message)
            })
            .collect();
        for (name, program) in self.tools() {
            let why = if self.lies_here(&program) { "it lies in the repository" } else { "`go install` wrote it" };
            let message = format!("PATH leads to {} for {name}: {why}", safe_path(&program));
            findings.push(Finding::new(Code::BuildOverride, message));
        }
        let others = self.folders.iter().filter(|folder| !self.lies_here(folder));
        findings.extend(others.filter_map(|folder| self.toolchains(folder)));
        findings
    }

    /// Programs of a build that a link on the PATH finds in the repository, or that lie where `go install` writes programs.
    fn tools(&self) -> Vec<(&'static str, PathBuf)> {
        let known = TOOLS.split_whitespace().filter_map(|name| Some((name, self.find(name)?)));
        let reported = known.filter(|(_, program)| {
            let folder = program.parent().unwrap_or(program);
            // A folder in the repository is reported as a whole.
            !self.lies_here(folder) && (self.lies_here(program) || self.installed.contains(&real(folder)))
        });
        reported.collect()
    }

    /// Toolchains in a folder of PATH: `go` prefers them to a proved download.
    fn toolchains(&self, folder: &Path) -> Option<Finding> {
        let mut entries = std::fs::read_dir(folder).ok()?;
        let seen = entries.by_ref().take(MAX_ENTRIES).flatten();
        let names = seen.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(TOOLCHAIN)).collect();
        if entries.next().is_some() {
            let message = format!("{} has more than {MAX_ENTRIES} programs: not all were examined", safe_path(folder));
            return Some(Finding::new(Code::NotExamined, message));
        }
        names.sort();
        let is_here = names.iter().any(|name| self.lies_here(&folder.join(name)));
        let is_installed = self.installed.contains(&real(folder));
        let code = if is_here || is_installed { Code::BuildOverride } else { Code::BuildEnvironment };
        let all: Vec<String> = names.iter().take(MAX_REPORTED).map(|name| safe(name)).collect();
        let message = format!(
            "PATH has {} in {}: for a toolchain line in go.mod `go` runs such a program instead of a download",
            all.join(", "),
            safe_path(folder)
        );
        (!names.is_empty()).then(|| Finding::new(code, message))
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file())
    }

    /// Whether a path lies in the repository, before or after links are followed. A relative path depends on the working
    /// folder, so it counts.
    fn lies_here(&self, path: &Path) -> bool {
        let lies_in = |root: &PathBuf| path.starts_with(root) || real(path).starts_with(root);
        !path.is_absolute() || self.root.as_ref().is_some_and(lies_in)
    }
}

/// A path without links, up to the first element that does not exist.
fn real(path: &Path) -> PathBuf {
    let real = |known: &Path| Some(known.canonicalize().ok()?.join(path.strip_prefix(known).ok()?));
    path.ancestors().find_map(real).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn programs_in_the_repository_are_found_through_links_and_path() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let [repository, elsewhere, gobin, unknown] = ["repository", "bin", "gobin", "unknown"].map(|name| {
            fs::create_dir(root.join(name)).unwrap();
            root.join(name)
        });
        for file in [
            repository.join("evil"),
            repository.join("git"),
            elsewhere.join("gcc"),
            elsewhere.join("go1.98.1"),
            gobin.join("go1.99.1"),
            gobin.join("swig"),
            gobin.join("linter"),
            unknown.join("cc"),
        ] {
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(repository.join("evil"), elsewhere.join("cc")).unwrap();
        std::os::unix::fs::symlink(&repository, root.join("link")).unwrap();
        let path = std::env::join_paths([&elsewhere, &repository, &gobin, Path::new("relative")]).unwrap();
        let workspace = Workspace::new(&repository, Some(&root), Some(&path), [gobin.clone()].into_iter());
        let of = |value: &str| workspace.program(value);
        for here in ["./evil", "evil/x -c", "cc", "git"] {
            assert_eq!(of(here), Program::Inside, "{here}");
        }
        for here in ["repository/evil", "repository/not/yet", "link/not/yet", "bin/../link/x"] {
            assert_eq!(of(root.join(here).to_str().unwrap()), Program::Inside, "{here}");
        }
        assert_eq!((of("gcc"), of(""), of("nowhere")), (Program::OnPath, Program::OnPath, Program::OnPath));
        assert_eq!(of(elsewhere.join("gcc").to_str().unwrap()), Program::OnPath);
        assert_eq!((of("linter"), of(unknown.join("cc").to_str().unwrap())), (Program::Elsewhere, Program::Elsewhere));
        assert_eq!(of("gcc -m32"), Program::Elsewhere);
        assert!(workspace.has_relative && workspace.folders.len() == 3);
        assert!(
            workspace.has_any_of(&repository.clone().into_os_string())
                && !workspace.has_any_of(&OsString::from("/etc/ssl"))
        );
        assert!(workspace.has_any_of(&OsString::from("/etc/ssl:certs")), "a relative one");

        let findings = workspace.findings();
        let is = |wanted: Code, word: &str| {
            findings.iter().filter(|found| found.code == wanted && found.message.contains(word)).count() == 1
        };
        assert!(is(Code::BuildOverride, "repository: it lies") && is(Code::BuildOverride, "for cc: it lies"));
        assert!(is(Code::BuildOverride, "for swig: `go install`") && is(Code::BuildOverride, "has go1.99.1"));
        assert!(is(Code::BuildEnvironment, "has go1.98.1") && findings.len() == 5, "{findings:?}");
    }

    #[test]
    fn a_home_without_a_repository_is_trusted() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let path = home.join("bin").into_os_string();
        let of = |home: &Path| Workspace::new(home, Some(home), Some(&path), std::iter::empty());
        assert!(!of(&home).has_any_of(&path) && of(&home).findings().is_empty());
        assert!(of(&home).has_any_of(&OsString::from("bin")), "a relative one");
        fs::create_dir(home.join(".git")).unwrap();
        assert!(of(&home).has_any_of(&path) && of(&home).findings().len() == 1);
    }
}
