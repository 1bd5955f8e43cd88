//! Files to audit that belong together, by their names.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::bounded::read_bounded;
use crate::base::limits::MAX_SUM;
use crate::base::tree::Tree;

/// As many folders as the largest monorepos have modules, ten times over.
pub(super) const MAX_USED: usize = 10_000;

pub(super) fn text_of(tree: &Tree, path: &Path) -> Option<String> {
    let bytes = read_bounded(tree.open(path).ok()?, MAX_SUM).ok()??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Files to audit that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The go.sum, go.work.sum or X.sum. `None` for a go.mod or go.work alone: only its `go` and `toolchain` lines count.
    /// It may be absent where a go.mod is all that there is.
    pub sum: Option<PathBuf>,
    /// The go.mod or X.mod beside it.
    pub go_mod: Option<PathBuf>,
    /// The go.work or X.work beside it.
    pub go_work: Option<PathBuf>,
    /// Why `go` does not read it for this repository.
    pub apart: Option<&'static str>,
    /// The sum is named by a person.
    pub is_named: bool,
    /// Its name leads into no repository, and so it may lie anywhere.
    pub may_lie_elsewhere: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// What the files belong to.
    pub tree: Tree,
    /// In order.
    pub targets: Vec<Target>,
    /// What was left out, and why.
    pub excluded: Vec<(PathBuf, String)>,
    /// Of these the folders that `go` or this program fill.
    pub filled: Vec<PathBuf>,
    /// Folders that cannot be looked into, and why.
    pub unread: Vec<(PathBuf, io::Error)>,
    /// Each `vendor/modules.txt` of a module or workspace.
    pub vendored: Vec<PathBuf>,
}

impl Target {
    /// The file that stands for it in a list.
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
    let there = |stem: &OsStr, end: &str| path(&with(stem, end)).filter(|_| names.contains(&with(stem, end)));
    let has = |name: &str| names.contains(OsStr::new(name));
    let target = |name: &OsString| {
        if let Some(stem) = without(name, ".sum") {
            // X.work.sum belongs to X.work; and to X.work.mod, as X.sum belongs to X.mod.
            let go_work = without(&stem, ".work").and_then(|stem| there(&stem, ".work"));
            let go_mod = there(&stem, ".mod");
            let counts = is_standard(Path::new(name)) || go_mod.is_some() || go_work.is_some();
            counts.then(|| Target { sum: path(name), go_mod, go_work, ..Target::default() })
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

/// Whether `go` reads the sum without being told to.
pub(super) fn is_standard(sum: &Path) -> bool {
    sum.file_name().is_some_and(|name| ["go.sum", "go.work.sum", "go.mod", "go.work"].iter().any(|one| name == *one))
}

/// A name without its end; `None` if it ends otherwise. A name may be any bytes.
pub(super) fn without(name: &OsStr, end: &str) -> Option<OsString> {
    let stem = name.as_bytes().strip_suffix(end.as_bytes())?;
    Some(OsStr::from_bytes(stem).to_owned())
}

pub(super) fn with(stem: &OsStr, end: &str) -> OsString {
    let mut name = stem.to_owned();
    name.push(end);
    name
}
