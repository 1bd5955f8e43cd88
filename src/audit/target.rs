//! Groups the files to audit by their names.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::bounded::read_bounded;
use crate::base::limits::MAX_SUM;
use crate::base::tree::Tree;

/// Folders of one workspace: ten times the modules of the largest monorepos.
pub(super) const MAX_USED: usize = 10_000;

pub(super) fn text_of(tree: &Tree, path: &Path) -> Option<String> {
    let bytes = read_bounded(tree.open(path).ok()?, MAX_SUM).ok()??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Files to audit that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Target {
    /// The go.sum, go.work.sum or X.sum. `None` for a go.mod or go.work alone.
    pub sum: Option<PathBuf>,
    /// The go.mod or X.mod beside it.
    pub go_mod: Option<PathBuf>,
    /// The go.work or X.work beside it.
    pub go_work: Option<PathBuf>,
    /// Why `go` does not read it for this repository.
    pub apart: Option<&'static str>,
    /// It has no sum, and another module takes packages from its folder by a replacement.
    pub is_replacement: bool,
    /// It lies below the folder of another module, has no sum, and nothing leads to it: it may be a template.
    pub may_be_a_template: bool,
    /// The user named the sum.
    pub is_named: bool,
    /// The path as written lies in no repository, so the file may lie anywhere.
    pub may_lie_elsewhere: bool,
}

/// The files of a tree to audit.
#[derive(Debug)]
pub struct Found {
    /// The tree with the files.
    pub tree: Tree,
    /// Sorted.
    pub targets: Vec<Target>,
    /// What was left out, and why.
    pub excluded: Vec<(PathBuf, String)>,
    /// Those of `excluded` that `go` or this program write to.
    pub filled: Vec<PathBuf>,
    /// Folders that cannot be read, and why.
    pub unread: Vec<(PathBuf, io::Error)>,
    /// Each `vendor/modules.txt` of a module or workspace.
    pub vendored: Vec<PathBuf>,
}

impl Target {
    /// The file that names the target in reports.
    pub fn file(&self) -> PathBuf {
        self.sum.clone().or_else(|| self.go_mod.clone()).or_else(|| self.go_work.clone()).unwrap_or_default()
    }
}

impl Found {
    pub(super) fn of(tree: Tree, targets: Vec<Target>) -> Self {
        let (excluded, filled, unread, vendored) = Default::default();
        Self { tree, targets, excluded, filled, unread, vendored }
    }
}

pub(super) fn targets(folder: &Path, names: &BTreeSet<OsString>) -> Vec<Target> {
    let path = |name: &OsStr| Some(folder.join(name));
    let existing = |stem: &OsStr, suffix: &str| names.get(&append(stem, suffix)).and_then(|name| path(name));
    let has = |name: &str| names.contains(OsStr::new(name));
    let target = |name: &OsString| {
        if let Some(stem) = strip_suffix(name, ".sum") {
            // X.work.sum belongs to X.work; and to X.work.mod, as X.sum belongs to X.mod.
            let go_work = strip_suffix(&stem, ".work").and_then(|stem| existing(&stem, ".work"));
            let go_mod = existing(&stem, ".mod");
            let is_target = is_standard(Path::new(name)) || go_mod.is_some() || go_work.is_some();
            is_target.then(|| Target { sum: path(name), go_mod, go_work, ..Target::default() })
        } else if name == "go.mod" && !has("go.sum") {
            Some(Target { go_mod: path(name), ..Target::default() })
        } else if name == "go.work" && !has("go.work.sum") {
            Some(Target { go_work: path(name), ..Target::default() })
        } else {
            None
        }
    };
    names.iter().filter_map(target).collect()
}

/// Whether `go` reads a file of this name without a flag.
pub(super) fn is_standard(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| ["go.sum", "go.work.sum", "go.mod", "go.work"].iter().any(|standard| name == *standard))
}

/// As [`str::strip_suffix`], for a name that may not be UTF-8.
pub(super) fn strip_suffix(name: &OsStr, suffix: &str) -> Option<OsString> {
    let stem = name.as_bytes().strip_suffix(suffix.as_bytes())?;
    Some(OsStr::from_bytes(stem).to_owned())
}

pub(super) fn append(stem: &OsStr, suffix: &str) -> OsString {
    let mut name = stem.to_owned();
    name.push(suffix);
    name
}
