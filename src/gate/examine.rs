//! After the command: what it unpacked, built and installed, compared with what was released.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::task::{JoinError, spawn_blocking};
use walkdir::WalkDir;

use super::compare::{Accepted, cut};
use super::magic::{MAX_PROGRAMS, is_program};
use super::programs::{MAX_FILES, New, Snapshot};
use super::unpacked::{Hashes, hash_unpacked};
use crate::audit::of_toolchain;
use crate::finding::{Code, Finding};
use crate::go::buildinfo::BuildInfo;
use crate::upstream::database_request::escaped;

/// Runs of `go version` at the same time.
const AT_ONCE: usize = 4;

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The `go` command that was on the PATH at the start.
    pub go: Option<PathBuf>,
    /// The folder of its toolchain, as it says itself.
    pub goroot: Option<PathBuf>,
    /// The module cache of the command. If it is a link, the command made it one.
    pub modules: PathBuf,
    /// The files before the command.
    pub before: Arc<Snapshot>,
    /// GOPATH of the run, with what was installed.
    pub gopath: PathBuf,
    /// Programs that are named, by absolute paths.
    pub subjects: Vec<PathBuf>,
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

struct OnDisk {
    unpacked: io::Result<(Hashes, Vec<PathBuf>)>,
    new: New,
    installed: Vec<PathBuf>,
}

impl OnDisk {
    /// Hashes the modules, and looks for programs. Blocks.
    fn read(examination: &Examination) -> Self {
        let Examination { modules, before, gopath, subjects, .. } = examination;
        let mut new = before.new_programs();
        // One that is named, and that the command did not even touch.
        let is_left = |subject: &&PathBuf| subject.canonicalize().is_ok_and(|real| before.has_still(&real));
        for subject in subjects.iter().filter(is_left) {
            if !new.stale.contains(subject) {
                new.stale.push(subject.clone());
            }
        }
        Self { unpacked: hash_unpacked(modules), new, installed: installed(gopath) }
    }
}

impl Examination {
    /// Looks at everything. The error is that a thread ended early.
    pub async fn run(self, mut accepted: Accepted) -> Result<Examined, JoinError> {
        let mut examined = Examined::default();
        let this = self.clone();
        let (accepted, findings, found) = spawn_blocking(move || {
            let (found, mut findings) = (OnDisk::read(&this), Vec::new());
            this.modules(&found, &mut accepted, &mut findings);
            (accepted, findings, found)
        })
        .await?;
        examined.findings = findings;
        examined.findings.extend(unseen(&found.new));
        examined.installed = found.installed;
        let New { programs: mut all, stale, .. } = found.new;
        // One that cannot be opened is read like the others, and says so.
        let installed = examined.installed.iter().filter(|path| is_program(path).unwrap_or(true));
        for program in installed.chain(&self.subjects) {
            if !all.contains(program) && !stale.contains(program) {
                all.push(program.clone());
            }
        }
        let read = stream::iter(stale).map(|program| self.program(program, &accepted)).buffered(AT_ONCE);
        for (program, findings) in read.filter_map(async |read| read).collect::<Vec<_>>().await {
            // `go` found its output up to date, by the build ID alone.
            let message = "it was there before the command, and the command did not write it anew";
            examined.findings.push(Finding::new(Code::ProgramNotBuilt, message).at(&program));
            examined.findings.extend(findings);
        }
        let read = stream::iter(all).map(|program| self.program(program, &accepted)).buffered(AT_ONCE);
        for (program, findings) in read.filter_map(async |read| read).collect::<Vec<_>>().await {
            examined.programs.push(program);
            examined.findings.extend(findings);
        }
        self.vendored(&mut examined.findings);
        Ok(examined)
    }

    /// Holds the unpacked modules against what is accepted. Blocks.
    fn modules(&self, found: &OnDisk, accepted: &mut Accepted, findings: &mut Vec<Finding>) {
        let (hashes, odd) = match &found.unpacked {
            Ok(found) => found,
            Err(error) => {
                let message = format!("cannot read the module cache {}: {error}", self.modules.display());
                findings.push(Finding::new(Code::NotExamined, message));
                return;
            }
        };
        let goroots = self.goroots(accepted);
        for (module, found) in hashes {
            if let (Ok(found), Some(h1)) = (found, of_toolchain(&goroots, module))
                && *found == h1
            {
                accepted.hashes.insert(module.clone(), h1);
            }
        }
        findings.extend(accepted.cache(&self.modules, hashes, odd));
    }

    /// The toolchain on the PATH, and those that came through the gate.
    fn goroots(&self, accepted: &Accepted) -> Vec<PathBuf> {
        let switched = accepted.hashes.keys().filter(|module| module.path.is_toolchain());
        let switched = switched.map(|module| self.modules.join(escaped(module)));
        self.goroot.iter().cloned().chain(switched).collect()
    }

    /// A program and what is wrong with it; `None` if it is no Go program.
    async fn program(&self, program: PathBuf, accepted: &Accepted) -> Option<(PathBuf, Vec<Finding>)> {
        let findings = match self.build_info(&program).await {
            Ok(info) => accepted.program(&program, &info?),
            Err(why) => vec![Finding::new(Code::NotExamined, why).at(&program)],
        };
        Some((program, findings))
    }

    async fn build_info(&self, program: &Path) -> Result<Option<BuildInfo>, String> {
        let go = self.go.as_ref().ok_or("there is no `go` command on the PATH to read it with")?;
        // `go version` reads all programs of a folder, and waits for whatever a FIFO has to say.
        if !program.is_file() {
            let why = if program.exists() { "it is not a regular file" } else { "the program does not exist" };
            return Err(why.to_owned());
        }
        match BuildInfo::read(go, program).await {
            Ok(None) if self.subjects.iter().any(|subject| subject == program) => {
                Err("it is not a Go program with build information".to_owned())
            }
            read => read.map_err(|error| format!("`go version -m` gave no answer: {error}")),
        }
    }

    /// A vendor folder is told even where no program was built.
    fn vendored(&self, findings: &mut Vec<Finding>) {
        let is_told = findings.iter().any(|finding| finding.code == Code::VendorUnproved);
        if is_told || self.ignores_vendor {
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

/// What of the new programs is not looked at.
fn unseen(new: &New) -> Vec<Finding> {
    let mut findings = Vec::new();
    if new.incomplete {
        let message = format!(
            "the repository, with what its links lead to, has more than {MAX_FILES} files, or more than {MAX_PROGRAMS} new \
             programs: not all were looked at"
        );
        findings.push(Finding::new(Code::NotExamined, message));
    }
    let message = "the command made it, or changed it, and it cannot be read";
    let unreadable = new.unreadable.iter().map(|path| Finding::new(Code::NotExamined, message).at(path));
    findings.extend(cut(unreadable.collect()));
    findings
}

/// The files that `go install` put below the `bin` of GOPATH, in folders for other platforms, too.
fn installed(gopath: &Path) -> Vec<PathBuf> {
    let bin = WalkDir::new(gopath.join("bin")).follow_links(false).follow_root_links(false);
    let entries = bin.sort_by_file_name().into_iter().take(MAX_FILES).flatten();
    let files = entries.filter(|entry| entry.file_type().is_file()).take(MAX_PROGRAMS);
    files.map(walkdir::DirEntry::into_path).collect()
}
