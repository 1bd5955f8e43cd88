//! After the command: what it unpacked, built and installed, compared with what was released.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream;
use walkdir::WalkDir;

use super::compare::Accepted;
use super::programs::{MAX_PROGRAMS, Snapshot, is_program};
use super::unpacked::{hash_unpacked, of_toolchain};
use crate::buildinfo::BuildInfo;
use crate::finding::{Code, Finding, Place};

/// Runs of `go version` at the same time.
const AT_ONCE: usize = 4;

/// What is looked at.
#[derive(Debug)]
pub struct Examination<'a> {
    /// The `go` command that was on the PATH at the start.
    pub go: Option<&'a Path>,
    /// The folder of its toolchain, as it says itself.
    pub goroot: Option<&'a Path>,
    /// The module cache of the command.
    pub modules: &'a Path,
    /// The files before the command.
    pub before: &'a Snapshot,
    /// GOPATH of the run, with what was installed.
    pub gopath: &'a Path,
    /// Programs that are named.
    pub subjects: &'a [PathBuf],
    /// The build takes no vendor folder: GOFLAGS says so.
    pub ignores_vendor: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Examined {
    /// Programs that were read.
    pub programs: Vec<PathBuf>,
    /// Files below the `bin` of the run's GOPATH.
    pub installed: Vec<PathBuf>,
    /// What is wrong, or not proved.
    pub findings: Vec<Finding>,
}

impl Examination<'_> {
    /// Looks at everything. Blocks for the time of hashing.
    pub async fn run(&self, mut accepted: Accepted) -> Examined {
        let mut examined = Examined::default();
        self.modules(&mut accepted, &mut examined.findings);
        let new = self.before.new_programs();
        if new.incomplete {
            let message = format!(
                "the repository has too many files, or more than {MAX_PROGRAMS} new programs: not all were looked at"
            );
            examined.findings.push(Finding { message, ..Finding::of(Code::NotExamined) });
        }
        examined.installed = installed(self.gopath);
        let installed = examined.installed.iter().filter(|path| is_program(path)).cloned();
        let all: Vec<PathBuf> =
            new.programs.into_iter().chain(installed).chain(self.subjects.iter().cloned()).collect();
        let read = stream::iter(all).map(|program| self.program(program, &accepted)).buffered(AT_ONCE);
        for (program, findings) in read.filter_map(async |read| read).collect::<Vec<_>>().await {
            examined.programs.push(program);
            examined.findings.extend(findings);
        }
        self.vendored(&mut examined.findings);
        examined
    }

    fn modules(&self, accepted: &mut Accepted, findings: &mut Vec<Finding>) {
        let (hashes, odd) = match hash_unpacked(self.modules) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("cannot read the module cache {}: {error}", self.modules.display());
                findings.push(Finding { message, ..Finding::of(Code::NotExamined) });
                return;
            }
        };
        let goroots = self.goroots(accepted);
        for (module, found) in &hashes {
            if let (Ok(found), Some(h1)) = (found, of_toolchain(&goroots, module))
                && *found == h1
            {
                accepted.hashes.insert(module.clone(), h1);
            }
        }
        findings.extend(accepted.cache(self.modules, &hashes, &odd));
    }

    /// The toolchain on the PATH, and those that came through the gate.
    fn goroots(&self, accepted: &Accepted) -> Vec<PathBuf> {
        let switched = accepted.hashes.keys().filter(|module| module.path.is_toolchain());
        let switched =
            switched.map(|module| self.modules.join(format!("{}@{}", module.path.escaped(), module.version.escaped())));
        self.goroot.map(Path::to_owned).into_iter().chain(switched).collect()
    }

    /// A program and what is wrong with it; `None` if it is no Go program.
    async fn program(&self, program: PathBuf, accepted: &Accepted) -> Option<(PathBuf, Vec<Finding>)> {
        let unread = |why: String| {
            let place = Some(Place { file: program.clone(), line: None });
            vec![Finding { place, message: why, ..Finding::of(Code::NotExamined) }]
        };
        let Some(go) = self.go else {
            let findings = unread("there is no `go` command on the PATH to read it with".to_owned());
            return Some((program, findings));
        };
        if !program.exists() {
            let findings = unread("the program does not exist".to_owned());
            return Some((program, findings));
        }
        match BuildInfo::read(go, &program).await {
            Ok(Some(info)) => {
                let findings = accepted.program(&program, &info);
                Some((program, findings))
            }
            Ok(None) if self.subjects.contains(&program) => {
                let findings = unread("it is not a Go program with build information".to_owned());
                Some((program, findings))
            }
            Ok(None) => None,
            Err(error) => {
                let findings = unread(format!("`go version -m` gave no answer: {error}"));
                Some((program, findings))
            }
        }
    }

    /// A vendor folder is told even where no program was built.
    fn vendored(&self, findings: &mut Vec<Finding>) {
        let is_told = findings.iter().any(|finding| finding.code == Code::VendorUnproved);
        if is_told || self.ignores_vendor {
            return;
        }
        for folder in &self.before.vendored {
            let root = folder.parent().unwrap_or(folder);
            if ["go.mod", "go.work"].iter().any(|name| root.join(name).is_file()) {
                let place = Some(Place { file: folder.clone(), line: None });
                let message = "builds of this module take its dependencies from here".to_owned();
                findings.push(Finding { place, message, ..Finding::of(Code::VendorUnproved) });
            }
        }
    }
}

/// The files that `go install` put below the `bin` of GOPATH, in folders for other platforms, too.
fn installed(gopath: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(gopath.join("bin")).follow_links(false).follow_root_links(false).sort_by_file_name();
    let entries = entries.into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file()).take(MAX_PROGRAMS);
    files.map(walkdir::DirEntry::into_path).collect()
}
