//! The go.mod and go.work files of a build: modules that come from folders, which no hash covers.
//!
//! `go` looks for a go.work in the working folder and in each one above it, up to the top of the file system.

use std::path::{Path, PathBuf};

use super::programs::Snapshot;
use crate::base::bounded::read_bounded;
use crate::base::limits::MAX_TOLD;
use crate::base::text::{safe, some_of};
use crate::base::tree::open_regular;
use crate::finding::{Code, Finding, Place};
use gomodule::gomod::{self, Folders};

/// Files that are read. The repositories with the most modules have about a thousand.
const MAX_FILES: usize = 10_000;
/// The largest go.mod known has about 100 kB.
const MAX_BYTES: u64 = 1 << 20;

/// What the go.mod and go.work files of a build say.
#[derive(Debug, Default)]
pub struct Modules {
    /// What leads outside the repository, or cannot be read.
    pub findings: Vec<Finding>,
    /// What is replaced by folders, and in which file.
    replaced: Vec<(String, PathBuf)>,
}

impl Modules {
    /// Reads those of the repository, and the go.work that `go` would find from `here`. `gowork` is the setting GOWORK.
    /// Blocks.
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
        // A named one that lies outside is told with the variable.
        if let Some(file) = found.iter().find(|file| matches!(gowork, "" | "auto") && !lies_in(workspace, file)) {
            let message = "`go` takes the modules of a build from here, and it lies outside the repository: set GOWORK=off, or \
                           start the gate in its folder";
            this.findings.push(Finding::new(Code::BuildOverride, message).at(file));
        }
        // The module that is built may begin above the repository, or in a folder such as testdata.
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
        let folders = match read(file) {
            Ok(folders) => folders,
            // `go` does not find it either, and says so.
            Err(Unread::File(error)) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(why) => {
                let message = format!("which modules it takes from folders is not known: {why}");
                self.findings.push(Finding::new(Code::NotExamined, message).at(file));
                return;
            }
        };
        if let Some(line) = folders.unread {
            let place = Place { file: file.to_owned(), line: Some(line) };
            let message = "the line cannot be read: it may take a module from a folder";
            self.findings.push(Finding::new(Code::NotExamined, message).at(place));
        }
        let root = file.parent().unwrap_or(file);
        if is_work_file {
            for folder in folders.used.iter().filter(|folder| !lies_in(workspace, &root.join(folder))) {
                let message = format!("it uses {}, which lies outside the repository", safe(folder));
                self.findings.push(Finding::new(Code::BuildOverride, message).at(file));
            }
        }
        self.replaced.extend(folders.replaced.into_iter().map(|(old, _)| (old, file.to_owned())));
    }

    /// The one note about what is replaced by folders.
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

/// Whether a path lies in the repository once links are followed. One that does not exist brings nothing in.
fn lies_in(workspace: &Path, path: &Path) -> bool {
    path.canonicalize().map_or(true, |path| path.starts_with(workspace))
}

#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("it is not a regular file")]
    Irregular,
    #[error("it has more than {MAX_BYTES} bytes")]
    Long,
}

fn read(file: &Path) -> Result<Folders, Unread> {
    let opened = open_regular(&file.canonicalize()?)?.ok_or(Unread::Irregular)?;
    let bytes = read_bounded(opened, MAX_BYTES)?.ok_or(Unread::Long)?;
    Ok(gomod::folders(&String::from_utf8_lossy(&bytes)))
}
