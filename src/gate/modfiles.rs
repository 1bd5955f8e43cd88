//! Reads the go.mod and go.work files of a build: no hash covers modules that they take from folders.
//!
//! `go` looks for a go.work in the working folder and in all folders above it.

use std::path::{Path, PathBuf};

use super::programs::Snapshot;
use crate::base::limits::MAX_TOLD;
use crate::base::text::{safe, some_of};
use crate::base::tree::{RegularFileError, read_regular};
use crate::finding::{Code, Finding, Place};
use gomodule::gomod::{GoMod, GoWork};

/// Files that are read. The repositories with the most modules have about a thousand.
const MAX_FILES: usize = 10_000;
/// The largest go.mod known has about 100 kB.
const MAX_BYTES: u64 = 1 << 20;

/// The go.mod and go.work files of a build.
#[derive(Debug, Default)]
pub struct ModuleFiles {
    /// Findings about folders outside of the repository, and about files that cannot be read.
    pub findings: Vec<Finding>,
    /// Modules that are replaced by folders, and the file that says so.
    replaced: Vec<(String, PathBuf)>,
}

impl ModuleFiles {
    /// Reads the files of the repository, and the go.work and go.mod that `go` would find from `here`. `gowork` is the value
    /// of GOWORK. Blocks.
    pub fn read(here: &Path, workspace: &Path, gowork: &str, snapshot: &Snapshot) -> Self {
        let mut this = Self::default();
        let found = match gowork {
            "off" => None,
            "" | "auto" => here.ancestors().map(|folder| folder.join("go.work")).find(|file| file.is_file()),
            named => Some(here.join(named)),
        };
        let is_work_file = |path: &Path| path.file_name().is_some_and(|name| name == "go.work");
        let inside = snapshot.module_files.iter().filter(|path| path.starts_with(workspace));
        let inside =
            inside.filter(|path| gowork != "off" || !is_work_file(path)).filter(|path| Some(*path) != found.as_ref());
        // If GOWORK names a file outside, the finding about that variable reports it.
        if let Some(file) = found.iter().find(|file| matches!(gowork, "" | "auto") && !lies_in(workspace, file)) {
            let message = "`go` uses the modules of this go.work, which lies outside the repository: set GOWORK=off, or start \
                           the gate in its folder";
            this.findings.push(Finding::new(Code::BuildOverride, message).at(file));
        }
        // The main module may begin above the repository, or in a folder such as testdata.
        let module = here.ancestors().map(|folder| folder.join("go.mod")).find(|file| file.is_file());
        let module = module.filter(|file| !snapshot.module_files.contains(file));
        this.findings
            .extend(module.iter().filter(|file| !file.starts_with(workspace)).filter_map(|file| vendored(file)));
        let all: Vec<&PathBuf> = found.iter().chain(&module).chain(inside).take(MAX_FILES + 1).collect();
        for file in all.iter().take(MAX_FILES) {
            this.file(workspace, file, is_work_file(file) || Some(*file) == found.as_ref());
        }
        if all.len() > MAX_FILES {
            let message = format!("there are more than {MAX_FILES} go.mod files: not all were read");
            this.findings.push(Finding::new(Code::NotExamined, message));
        }
        this.findings.truncate(MAX_TOLD);
        this
    }

    fn file(&mut self, workspace: &Path, file: &Path, is_work_file: bool) {
        let bytes = match read(file) {
            Ok(bytes) => bytes,
            // `go` does not find it either, and reports that.
            Err(RegularFileError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(why) => {
                let message = format!("cannot tell which modules it takes from folders: {why}");
                self.findings.push(Finding::new(Code::NotExamined, message).at(file));
                return;
            }
        };
        let (uses, replaces, errors) = if is_work_file {
            let (work, errors) = GoWork::read(&bytes);
            (work.uses, work.replaces, errors)
        } else {
            let (go_mod, errors) = GoMod::read(&bytes);
            (Vec::new(), go_mod.replaces, errors)
        };
        if let Some(error) = errors.first.first() {
            let place = Place { file: file.into(), line: Some(error.line) };
            let message = format!("it may take a module from a folder: `go` refuses the line: {error}");
            self.findings.push(Finding::new(Code::NotExamined, message).at(place));
        }
        let root = file.parent().unwrap_or(file);
        for used in uses.iter().filter(|used| !lies_in(workspace, &root.join(&used.folder))) {
            let message = format!("it uses {}, which lies outside the repository", safe(&used.folder));
            self.findings.push(Finding::new(Code::BuildOverride, message).at(file));
        }
        let folders = replaces.into_iter().filter(|replace| replace.new.1.is_none());
        self.replaced.extend(folders.map(|replace| (replace.old.0, file.to_owned())));
    }

    /// One note for all modules that are replaced by folders.
    pub fn replaced(&self) -> Option<Finding> {
        let (_, file) = self.replaced.first()?;
        let mut names: Vec<&str> = self.replaced.iter().map(|(old, _)| old.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let message = format!("builds take {} from folders", some_of(&names));
        Some(Finding::new(Code::ReplacedUnproved, message).at(file))
    }
}

/// The vendor folder beside a go.mod that lies above the repository.
fn vendored(file: &Path) -> Option<Finding> {
    let folder = file.with_file_name("vendor");
    let message = "builds of this module take its dependencies from here";
    folder.join("modules.txt").is_file().then(|| Finding::new(Code::VendorUnproved, message).at(&folder))
}

/// Whether a path lies in the repository after links are followed. A missing one is harmless.
fn lies_in(workspace: &Path, path: &Path) -> bool {
    path.canonicalize().map_or(true, |path| path.starts_with(workspace))
}

fn read(file: &Path) -> Result<Vec<u8>, RegularFileError> {
    read_regular(&file.canonicalize()?, MAX_BYTES)
}
