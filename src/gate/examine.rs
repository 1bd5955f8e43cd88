//! Compares what the command unpacked, built and installed with the released modules.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::task::{JoinError, spawn_blocking};
use walkdir::WalkDir;

use super::compare::{Accepted, cut};
use super::magic::{MAX_PROGRAMS, is_program};
use super::programs::{MAX_FILES, NewPrograms, Snapshot};
use super::unpacked::hash_unpacked;
use crate::audit::bundled_with_toolchain;
use crate::finding::{Code, Finding};
use crate::go::buildinfo::BuildInfo;
use crate::upstream::database_request::escaped;

/// Runs of `go version` at the same time.
const AT_ONCE: usize = 4;

/// What is examined after the command.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The `go` command, as found on the PATH at the start.
    pub go: Option<PathBuf>,
    /// The GOROOT of that `go`.
    pub goroot: Option<PathBuf>,
    /// The module cache of the command, without links: if it is a link now, the command created that.
    pub modules: PathBuf,
    /// The files before the command.
    pub before: Arc<Snapshot>,
    /// The GOPATH of the run, with installed programs.
    pub gopath: PathBuf,
    /// Programs that the user named, by absolute paths.
    pub subjects: Vec<PathBuf>,
    /// GOFLAGS disables vendor folders.
    pub ignores_vendor: bool,
}

/// The result of an examination.
#[derive(Debug, Default)]
pub struct Examined {
    /// Programs that were examined.
    pub programs: Vec<PathBuf>,
    /// Files below the `bin` of the run's GOPATH.
    pub installed: Vec<PathBuf>,
    /// Findings about modules and programs.
    pub findings: Vec<Finding>,
}

impl Examination {
    /// Examines everything. Fails only if a thread panicked.
    pub async fn run(self, mut accepted: Accepted) -> Result<Examined, JoinError> {
        let this = self.clone();
        let (accepted, new, mut examined) = spawn_blocking(move || {
            let new = this.new_programs();
            let mut findings = this.modules(&mut accepted);
            findings.extend(not_examined(&new));
            let installed = installed(&this.gopath);
            (accepted, new, Examined { programs: Vec::new(), installed, findings })
        })
        .await?;
        let NewPrograms { programs: mut all, stale, .. } = new;
        // One that cannot be opened is examined like the others, and reported.
        let installed = examined.installed.iter().filter(|path| is_program(path).unwrap_or(true));
        for program in installed.chain(&self.subjects) {
            if !all.contains(program) && !stale.contains(program) {
                all.push(program.clone());
            }
        }
        let programs = stale.into_iter().map(|path| (path, true)).chain(all.into_iter().map(|path| (path, false)));
        let examine = |(path, is_stale)| self.program(path, is_stale, &accepted);
        let read = stream::iter(programs).map(examine).buffered(AT_ONCE).collect::<Vec<_>>().await;
        for (program, is_stale, findings) in read.into_iter().flatten() {
            examined.programs.extend(Some(program).filter(|_| !is_stale));
            examined.findings.extend(findings);
        }
        self.vendored(&mut examined.findings);
        Ok(examined)
    }

    /// The programs that the command wrote or touched, and the named ones that it did not touch. Blocks.
    fn new_programs(&self) -> NewPrograms {
        let mut new = self.before.new_programs();
        let is_unchanged =
            |subject: &&PathBuf| subject.canonicalize().is_ok_and(|real| self.before.has_unchanged(&real));
        for subject in self.subjects.iter().filter(is_unchanged) {
            if !new.stale.contains(subject) {
                new.stale.push(subject.clone());
            }
        }
        new
    }

    /// Compares the unpacked modules with the accepted ones. Blocks.
    fn modules(&self, accepted: &mut Accepted) -> Vec<Finding> {
        let (hashes, odd) = match hash_unpacked(&self.modules) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("cannot read the module cache {}: {error}", self.modules.display());
                return vec![Finding::new(Code::NotExamined, message)];
            }
        };
        // The toolchain of `go` on the PATH, and those that came through the gate.
        let toolchains = accepted.hashes.keys().filter(|module| module.path.is_toolchain());
        let toolchains = toolchains.map(|module| self.modules.join(escaped(module)));
        let goroots: Vec<PathBuf> = self.goroot.iter().cloned().chain(toolchains).collect();
        for (module, found) in &hashes {
            if let (Ok(found), Some(h1)) = (found, bundled_with_toolchain(&goroots, module))
                && *found == h1
            {
                accepted.hashes.insert(module.clone(), h1);
            }
        }
        accepted.cache(&self.modules, &hashes, &odd)
    }

    /// A program with its findings; `None` if it is not a Go program.
    async fn program(
        &self,
        program: PathBuf,
        is_stale: bool,
        accepted: &Accepted,
    ) -> Option<(PathBuf, bool, Vec<Finding>)> {
        let mut findings = match self.build_info(&program).await {
            Ok(info) => accepted.program(&program, &info?),
            Err(why) => vec![Finding::new(Code::NotExamined, why).at(&program)],
        };
        if is_stale {
            // `go` compares only the build ID of an output.
            let message = "it existed before the command, which did not write it again";
            findings.insert(0, Finding::new(Code::ProgramNotBuilt, message).at(&program));
        }
        Some((program, is_stale, findings))
    }

    async fn build_info(&self, program: &Path) -> Result<Option<BuildInfo>, String> {
        let go = self.go.as_ref().ok_or("reading it needs a `go` command on the PATH")?;
        // `go version` would read all programs of a folder, and block on a FIFO.
        if !program.is_file() {
            let why = if program.exists() { "it is not a regular file" } else { "the program does not exist" };
            return Err(why.to_owned());
        }
        match BuildInfo::read(go, program).await {
            Ok(None) if self.subjects.iter().any(|subject| subject == program) => {
                Err("it is not a Go program with build information".to_owned())
            }
            read => read.map_err(|error| format!("`go version -m` failed: {error}")),
        }
    }

    /// Reports a vendor folder also if no program was built.
    fn vendored(&self, findings: &mut Vec<Finding>) {
        let is_reported = findings.iter().any(|finding| finding.code == Code::VendorUnproved);
        if is_reported || self.ignores_vendor {
            return;
        }
        let has_module = |folder: &&PathBuf| {
            let root = folder.parent().unwrap_or(folder);
            ["go.mod", "go.work"].iter().any(|name| root.join(name).is_file())
        };
        let mut folders = self.before.vendored.iter().filter(has_module);
        let Some(first) = folders.next() else { return };
        let message = match folders.count() {
            0 => "builds of this module take its dependencies from here".to_owned(),
            more => format!("builds take dependencies from here, and from {more} more vendor folders"),
        };
        findings.push(Finding::new(Code::VendorUnproved, message).at(first));
    }
}

/// Findings about files that could not be examined.
fn not_examined(new: &NewPrograms) -> Vec<Finding> {
    let mut findings = Vec::new();
    if new.incomplete {
        let message = format!(
            "the repository, with the targets of its links, has more than {MAX_FILES} files, or more than {MAX_PROGRAMS} new \
             programs: not all were examined"
        );
        findings.push(Finding::new(Code::NotExamined, message));
    }
    let message = "the command created or changed it, and it cannot be read";
    let unreadable = new.unreadable.iter().map(|path| Finding::new(Code::NotExamined, message).at(path));
    findings.extend(cut(unreadable.collect()));
    findings
}

/// The files that `go install` wrote below the `bin` of GOPATH, also in the folders of other platforms.
fn installed(gopath: &Path) -> Vec<PathBuf> {
    let bin = WalkDir::new(gopath.join("bin")).follow_links(false).follow_root_links(false);
    let entries = bin.sort_by_file_name().into_iter().take(MAX_FILES).flatten();
    let files = entries.filter(|entry| entry.file_type().is_file()).take(MAX_PROGRAMS);
    files.map(walkdir::DirEntry::into_path).collect()
}
