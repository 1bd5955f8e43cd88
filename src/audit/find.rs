//! Finds the files to audit: a named one, or each go.sum, go.work.sum and X.sum beside an X.mod below a folder.
//!
//! Hidden folders and vendor folders are searched, too: `go -modfile` reads a file from anywhere. Only `.git`, the caches of
//! `go`, the data folder, and `--exclude` are left out; all but `.git` are reported.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::above;
use super::target::{Found, Target, append, is_standard, strip_suffix, targets, text_of};
use crate::base::process::quoted;
use crate::base::text::safe_path;
use crate::base::tree::{Tree, folder_of, tree_by_words};
use gomodule::gomod::{may_be_a_workspace, names_a_module};
use gomodule::module::Patterns;

/// The largest monorepos have some thousand modules.
const MAX_FILES: usize = 100_000;
/// No source tree is deeper; a deeper one is a loop of mounts.
const MAX_DEPTH: usize = 100;
/// The largest source trees have some 100,000 folders; `node_modules` may add as many.
const MAX_FOLDERS: usize = 1_000_000;

/// What a search leaves out.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    patterns: Vec<(String, Patterns)>,
    folders: Vec<(PathBuf, &'static str)>,
}

/// An invalid pattern of `--exclude`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExcludeError {
    /// It is not a path below the folder under audit.
    #[error("{0:?} is not a path below the folder under audit: expected one such as third_party/*/testdata")]
    Elsewhere(String),
    /// It is not a valid glob.
    #[error("{0:?} is not a pattern: expected one such as third_party/*/testdata, with a `]` for each `[`")]
    Pattern(String),
}

/// Why there is nothing to audit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The path cannot be read.
    #[error("cannot read {path}: {1}", path = .0.display())]
    Unreadable(PathBuf, io::Error),
    /// The path as written lies in a repository, and a link leads out of it.
    #[error(
        "{} is not audited [not-a-regular-file]: it is a link, or is reached by one, that leads out of the repository {}. \
         Remove the link, or name its target",
        path.display(), top.display()
    )]
    Outside {
        /// The path as written.
        path: PathBuf,
        /// The repository.
        top: PathBuf,
    },
    /// The file is none of those that are audited.
    #[error(
        "{} is not a go.sum file: expected go.sum, go.work.sum, or the X.sum of a go command with -modfile=X.mod; or the go.mod or \
         go.work beside it",
        .0.display()
    )]
    NotASum(PathBuf),
    /// The folder has none of the files.
    #[error(
        "there is no go.sum, go.mod or go.work in {} or below it: change to the folder of a Go module, or name the folder or the \
         go.sum",
        .0.display()
    )]
    Nothing(PathBuf),
    /// The folder is larger than any source tree.
    #[error(
        "{} has more files, or is deeper, than any source tree: name the go.sum files one by one, or leave folders out \
         with --exclude",
        .0.display()
    )]
    TooMuch(PathBuf),
}

impl LeftOut {
    /// Patterns of paths below the folder under audit, and folders with their names for the report. A missing folder is
    /// ignored.
    pub fn new(patterns: &[String], folders: &[(PathBuf, &'static str)]) -> Result<Self, ExcludeError> {
        let pattern = |text: &String| {
            let path = Path::new(text);
            let is_below = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !is_below || tidy(path).as_os_str().is_empty() {
                return Err(ExcludeError::Elsewhere(text.clone()));
            }
            let globs = Patterns::parse(text.trim_start_matches("./"));
            let globs = globs.map_err(|_| ExcludeError::Pattern(text.clone()))?;
            Ok((text.clone(), globs))
        };
        let folders = folders.iter().filter_map(|(folder, what)| Some((folder.canonicalize().ok()?, *what)));
        Ok(Self { patterns: patterns.iter().map(pattern).collect::<Result<_, _>>()?, folders: folders.collect() })
    }

    /// Why a file or folder is left out, and whether `go` or this program writes to it: `below` is its path in the folder
    /// under audit, `real` its path without links.
    fn why(&self, below: &Path, real: &Path) -> Option<(String, bool)> {
        let elements: Vec<_> = below.iter().map(|element| element.to_string_lossy()).collect();
        let matches = |globs: &Patterns| globs.match_elements(elements.iter().map(AsRef::as_ref));
        let pattern = self.patterns.iter().find(|(_, globs)| matches(globs));
        let folder = || self.folders.iter().find(|(folder, _)| folder == real);
        let excluded = pattern.map(|(text, _)| (format!("--exclude {text}"), false));
        excluded.or_else(|| folder().map(|(_, what)| ((*what).to_owned(), true)))
    }
}

/// The files to audit: `path` itself if it is not a folder; else those below it, sorted. Links to folders are not followed.
/// A go.mod or go.work alone is a target, too.
pub fn find(path: &Path, left_out: &LeftOut) -> Result<Found, FindError> {
    let unreadable = |cause| FindError::Unreadable(path.to_owned(), cause);
    let by_words = tree_by_words(path).map_err(unreadable)?;
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        let mut targets = named(&tidy(path)).ok_or_else(|| FindError::NotASum(path.to_owned()))?;
        for target in &mut targets {
            target.is_named = true;
            target.may_lie_elsewhere = by_words.is_none();
        }
        let tree = by_words.map_or_else(|| Tree::around(folder_of(path)), Ok).map_err(unreadable)?;
        let mut found = Found::of(tree, targets);
        leave_out_other_files(&mut found);
        // An X.mod that is no module file.
        if found.targets.iter().any(|target| target.file().as_os_str().is_empty()) {
            return Err(FindError::NotASum(path.to_owned()));
        }
        return Ok(found);
    }
    if let Some(tree) = by_words.filter(|tree| !tree.holds(path)) {
        return Err(FindError::Outside { path: path.to_owned(), top: tree.root().to_owned() });
    }
    let tree = Tree::around(path).map_err(unreadable)?;
    let found = Found::of(tree, Vec::new());
    let real = path.canonicalize().map_err(unreadable)?;
    let mut walk = Walk { root: path, real: real.clone(), left_out, found, folders: 0 };
    walk.folder(Path::new(""), 0, None)?;
    let mut found = walk.found;
    above::add(&mut found, path, &real);
    leave_out_other_files(&mut found);
    if found.targets.is_empty() && found.unread.is_empty() {
        return Err(FindError::Nothing(path.to_owned()));
    }
    include_used_folders(&mut found);
    mark_alone(&mut found);
    Ok(found)
}

/// Why a file or folder was not read when `path` was audited, and how to leave it out if it is below `path`.
pub fn why_unread(path: &Path, unread: &Path, why: &impl Display) -> String {
    match unread.strip_prefix(tidy(path)).ok().filter(|below| !below.as_os_str().is_empty()) {
        Some(below) => {
            let below = quoted(&safe_path(below));
            format!("{why}; if no build reads it, leave it out with --exclude {below}")
        }
        None => why.to_string(),
    }
}

/// A named file, with the files beside it that belong to it: a go.mod means its module, a go.work its workspace.
fn named(file: &Path) -> Option<Vec<Target>> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let name = file.file_name()?;
    let ends = [(".work.sum", ".work"), (".work", ".work.sum"), (".sum", ".mod"), (".mod", ".sum")];
    let beside = ends.iter().filter_map(|(end, other)| Some(append(&strip_suffix(name, end)?, other)));
    let beside: Vec<OsString> = beside.collect();
    if beside.is_empty() {
        return None;
    }
    let exists = |beside: &OsString| folder.join(beside).symlink_metadata().is_ok_and(|file| !file.is_dir());
    let names: BTreeSet<OsString> = beside.into_iter().filter(exists).chain([name.to_owned()]).collect();
    let is_named =
        |target: &Target| [&target.sum, &target.go_mod, &target.go_work].into_iter().flatten().any(|path| path == file);
    let target = targets(folder, &names).into_iter().find(is_named);
    let alone = || match name.as_bytes() {
        name if name.ends_with(b".sum") => Target { sum: Some(file.to_owned()), ..Target::default() },
        name if name.ends_with(b".mod") => Target { go_mod: Some(file.to_owned()), ..Target::default() },
        _ => Target { go_work: Some(file.to_owned()), ..Target::default() },
    };
    Some(vec![target.unwrap_or_else(alone)])
}

/// Without `.` elements: the report shows files as the user would write them.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Other programs also have files X.mod and X.work with an X.sum.
fn leave_out_other_files(found: &mut Found) {
    // A file that cannot be read is reported by its own audit.
    let is = |path: &PathBuf, what: fn(&str) -> bool| text_of(&found.tree, path).is_none_or(|text| what(&text));
    found.targets.retain_mut(|target| {
        let keep_if = |path: Option<PathBuf>, what| path.filter(|path| is_standard(path) || is(path, what));
        target.go_mod = keep_if(target.go_mod.take(), names_a_module);
        target.go_work = keep_if(target.go_work.take(), may_be_a_workspace);
        target.is_named || is_standard(&target.file()) || target.go_mod.is_some() || target.go_work.is_some()
    });
}

/// `go` reads the folders that a go.work uses, also below testdata and the like.
fn include_used_folders(found: &mut Found) {
    if found.targets.iter().all(|target| target.apart.is_none()) {
        return;
    }
    let used = above::used_folders(found);
    for target in &mut found.targets {
        if folder_of(&target.file()).canonicalize().is_ok_and(|folder| used.contains(&folder)) {
            target.apart = None;
        }
    }
}

/// `go` does not read the go.sum of a folder that replaces a module. A go.mod that nothing leads to may be a template.
fn mark_alone(found: &mut Found) {
    if found.targets.iter().all(|target| target.sum.is_some()) {
        return;
    }
    let (folders, used) = (above::replacing_folders(found), above::used_folders(found));
    let modules: HashSet<PathBuf> =
        found.targets.iter().filter_map(|target| folder_of(target.go_mod.as_ref()?).canonicalize().ok()).collect();
    for target in found.targets.iter_mut().filter(|target| target.sum.is_none()) {
        let Ok(folder) = folder_of(&target.file()).canonicalize() else { continue };
        target.is_replacement = folders.contains(&folder);
        let is_below = folder.ancestors().skip(1).any(|above| modules.contains(above));
        target.may_be_a_template = is_below && !target.is_replacement && !used.contains(&folder);
    }
}

struct Walk<'a> {
    root: &'a Path,
    /// Without links.
    real: PathBuf,
    left_out: &'a LeftOut,
    found: Found,
    folders: usize,
}

impl Walk<'_> {
    fn folder(&mut self, below: &Path, depth: usize, apart: Option<&'static str>) -> Result<(), FindError> {
        let folder = self.root.join(below);
        self.folders += 1;
        if depth > MAX_DEPTH || self.folders > MAX_FOLDERS || self.found.targets.len() > MAX_FILES {
            return Err(FindError::TooMuch(folder));
        }
        // The other folders are searched all the same.
        let entries = match entries(&folder) {
            Ok(entries) => entries,
            Err(cause) => {
                self.found.unread.push((tidy(&folder), cause));
                return Ok(());
            }
        };
        let (mut names, mut folders) = (BTreeSet::new(), Vec::new());
        for (name, is_folder) in entries {
            let suffixes = [".sum", ".mod", ".work"];
            if name == ".git" || !(is_folder || suffixes.iter().any(|suffix| strip_suffix(&name, suffix).is_some())) {
                continue;
            }
            let inside = below.join(&name);
            if let Some((why, is_filled)) = self.left_out.why(&inside, &self.real.join(&inside)) {
                let path = tidy(&self.root.join(inside));
                self.found.filled.extend(is_filled.then(|| path.clone()));
                self.found.excluded.push((path, why));
            } else if is_folder {
                folders.push(inside);
            } else {
                names.insert(name);
            }
        }
        let targets = targets(&tidy(&folder), &names).into_iter().map(|target| Target { apart, ..target });
        self.found.targets.extend(targets);
        let is_module = ["go.mod", "go.work"].iter().any(|name| names.contains(OsStr::new(name)));
        // `go` follows a link here; this search does not.
        let vendor = below.join("vendor");
        if is_module && apart.is_none() && self.root.join(&vendor).is_symlink() {
            self.vendored(&vendor);
        }
        for inside in folders {
            let name = inside.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "vendor" && is_module && apart.is_none() {
                self.vendored(&inside);
            }
            self.folder(&inside, depth + 1, apart.or_else(|| set_apart(&name)))?;
        }
        Ok(())
    }

    fn vendored(&mut self, vendor: &Path) {
        let list = self.root.join(vendor).join("modules.txt");
        if self.left_out.why(vendor, &self.real.join(vendor)).is_none() && list.symlink_metadata().is_ok() {
            self.found.vendored.push(tidy(&list));
        }
    }
}

fn entries(folder: &Path) -> io::Result<BTreeMap<OsString, bool>> {
    let entry =
        |entry: io::Result<fs::DirEntry>| entry.and_then(|one| Ok((one.file_name(), one.file_type()?.is_dir())));
    fs::read_dir(folder)?.map(entry).collect()
}

/// Why `go` does not read a folder of this name for the module: it ignores the folder, or the code is of a third party.
fn set_apart(name: &str) -> Option<&'static str> {
    match name {
        "testdata" => Some("it lies below testdata"),
        "node_modules" => Some("it lies below node_modules"),
        "vendor" => Some("it lies below vendor"),
        _ if name.starts_with('_') => Some("it lies below a folder whose name begins with _"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_what_is_below_the_audited_path_can_be_left_out() {
        let said = |path: &str, unread: &str| why_unread(path.as_ref(), unread.as_ref(), &"no");
        assert_eq!(said(".", "db"), "no; if no build reads it, leave it out with --exclude db");
        assert_eq!(said("./a", "a/my db"), "no; if no build reads it, leave it out with --exclude 'my db'");
        for (path, unread) in [("db", "db"), ("./db/", "db"), ("a", "../go.mod")] {
            assert_eq!(said(path, unread), "no", "{path}");
        }
    }

    /// A file X.mod has a module, a file X.work uses a folder, the others are empty.
    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let end = file.extension().and_then(OsStr::to_str);
            let text = match end {
                Some("mod") => "module a.com/b\n",
                Some("work") => "use .\n",
                _ => "",
            };
            fs::write(file, text).unwrap();
        }
        root
    }

    fn files(found: &Found, root: &Path) -> Vec<String> {
        let name = |target: &Target| target.file().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        found.targets.iter().map(name).collect()
    }

    #[test]
    fn every_sum_is_found_except_below_git() {
        let root = tree(&[
            "go.mod",
            "go.sum",
            "tools.mod",
            "tools.sum",
            "lone.sum",
            "lone.mod.txt",
            ".git/go.sum",
            ".hidden/go.sum",
            "a/vendor/x/go.sum",
            "b/go.work",
            "b/go.work.sum",
            "b/other.work",
            "b/other.work.sum",
            "b/c/go.sum",
            "d/go.mod",
            "e/go.work",
        ]);
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        let found = find(root.path(), &LeftOut::default()).unwrap();
        let expected = [
            "go.sum",
            "tools.sum",
            ".hidden/go.sum",
            "a/vendor/x/go.sum",
            "b/go.work.sum",
            "b/other.work.sum",
            "b/c/go.sum",
            "d/go.mod",
            "e/go.work",
        ];
        assert_eq!(files(&found, root.path()), expected);
        assert_eq!(found.targets[0].go_mod, Some(root.path().join("go.mod")));
        assert_eq!(found.targets[1].go_mod, Some(root.path().join("tools.mod")));
        assert_eq!(found.targets[4].go_work, Some(root.path().join("b/go.work")));
        assert_eq!(found.targets[6].go_mod, None);
    }

    #[test]
    fn folders_that_go_ignores_are_apart_unless_a_workspace_uses_them() {
        let root = tree(&["go.sum", "testdata/a/go.sum", "testdata/b/go.sum", "_x/go.sum", "node_modules/y/go.sum"]);
        fs::write(root.path().join("go.work"), "use ./testdata/b\n").unwrap();
        let found = find(root.path(), &LeftOut::default()).unwrap();
        let apart: Vec<bool> = found.targets.iter().map(|target| target.apart.is_some()).collect();
        assert_eq!(
            files(&found, root.path()),
            ["go.sum", "go.work", "_x/go.sum", "node_modules/y/go.sum", "testdata/a/go.sum", "testdata/b/go.sum"]
        );
        assert_eq!(apart, [false, false, true, true, true, false]);
        // A named folder is not apart.
        let found = find(&root.path().join("testdata"), &LeftOut::default()).unwrap();
        assert!(found.targets.iter().all(|target| target.apart.is_none()));
    }

    #[test]
    fn excluded_paths_are_reported() {
        let root = tree(&["go.sum", "a/x/go.sum", "a/y/go.sum", "b/go.sum", "cache/m/go.sum", "c/a/x/go.sum"]);
        let exclude = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
            let cache = (root.path().join("cache"), "the module cache");
            LeftOut::new(&patterns, &[cache, (root.path().join("none"), "absent")])
        };
        let found = find(root.path(), &exclude(&["./a/x/", "[b]/go.sum"]).unwrap()).unwrap();
        assert_eq!(files(&found, root.path()), ["go.sum", "a/y/go.sum", "c/a/x/go.sum"]);
        let excluded: Vec<(PathBuf, &str)> =
            found.excluded.iter().map(|(path, why)| (path.clone(), why.as_str())).collect();
        let path = |name: &str| root.path().join(name);
        assert_eq!(
            excluded,
            [
                (path("cache"), "the module cache"),
                (path("a/x"), "--exclude ./a/x/"),
                (path("b/go.sum"), "--exclude [b]/go.sum")
            ]
        );
        for wrong in ["", "/etc", "../x", "a/[", "."] {
            assert!(exclude(&[wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_dangling_link_is_found() {
        let root = tree(&["go.work.sum"]);
        std::os::unix::fs::symlink("nowhere", root.path().join("go.sum")).unwrap();
        assert_eq!(files(&find(root.path(), &LeftOut::default()).unwrap(), root.path()), ["go.sum", "go.work.sum"]);
    }

    #[test]
    fn the_vendor_folder_of_a_module_is_reported() {
        let root = tree(&["go.mod", "vendor/modules.txt", "x/vendor/modules.txt", "testdata/go.mod"]);
        let found = find(root.path(), &LeftOut::default()).unwrap();
        assert_eq!(found.vendored, [root.path().join("vendor/modules.txt")]);
    }

    #[test]
    fn a_go_mod_alone_is_a_target_and_an_empty_folder_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let find = |path: &Path| find(path, &LeftOut::default());
        assert!(matches!(find(root.path()), Err(FindError::Nothing { .. })));
        fs::write(root.path().join("go.mod"), "module a.com/b\n").unwrap();
        let found = find(root.path()).unwrap();
        assert_eq!((found.targets.len(), &found.targets[0].go_mod), (1, &Some(root.path().join("go.mod"))));
        for name in ["go.mod", "go.work", "x.sum", "y.mod"] {
            fs::write(root.path().join(name), "module a.com/b\ngo 1.27\n").unwrap();
            let found = find(&root.path().join(name)).unwrap();
            assert_eq!((found.targets.len(), found.targets[0].file()), (1, root.path().join(name)));
        }
        fs::write(root.path().join("go.sum"), "").unwrap();
        assert_eq!(find(&root.path().join("go.mod")).unwrap().targets[0].file(), root.path().join("go.sum"));
        fs::write(root.path().join("README.md"), "").unwrap();
        assert!(matches!(find(&root.path().join("README.md")), Err(FindError::NotASum { .. })));
        assert!(matches!(find(&root.path().join("no")), Err(FindError::Unreadable { .. })));
    }
}
