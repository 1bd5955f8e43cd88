//! What `go` uses for a folder under audit, and what does not lie below it: the go.mod of the module that the folder belongs
//! to, the nearest go.work above it, and the folders that a workspace uses. Only what lies in the tree is of its author.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::target::{Found, MAX_USED, Target, targets, text_of};
use crate::base::tree::{Tree, folder_of};
use gomodule::gomod::folders;

/// Names of `go`'s own files for a module, and for a workspace.
const OF_MODULE: [&str; 2] = ["go.mod", "go.sum"];
const OF_WORKSPACE: [&str; 2] = ["go.work", "go.work.sum"];

/// Adds what lies above or beside the folder `root`, which leads to `real`. Returns the go.mod of the module that it
/// belongs to, if that lies above it.
pub(super) fn add(found: &mut Found, root: &Path, real: &Path) -> Option<PathBuf> {
    let shown = |folder: &Path| shown(folder, root.is_absolute());
    let above = |name: &str| {
        let mut folders = real.ancestors().take_while(|folder| folder.starts_with(found.tree.root()));
        // As `go` looks for it (modload, findModuleRoot and FindGoWork).
        folders.find(|folder| folder.join(name).metadata().is_ok_and(|one| !one.is_dir()))
    };
    let (module, workspace) = (above("go.mod"), above("go.work"));
    let mut new = Vec::new();
    for (folder, names) in [(module, OF_MODULE), (workspace, OF_WORKSPACE)] {
        new.extend(
            folder.filter(|folder| *folder != real).into_iter().flat_map(|folder| there(&shown(folder), &names)),
        );
    }
    let is_new = |folder: &PathBuf| folder.starts_with(found.tree.root()) && !folder.starts_with(real);
    let go_works =
        found.targets.iter().filter(|one| one.apart.is_none()).chain(&new).filter_map(|one| one.go_work.as_ref());
    let used: BTreeSet<PathBuf> = go_works.flat_map(|file| used(&found.tree, file)).filter(is_new).collect();
    let used = used.iter().filter(|folder| Some(&***folder) != module);
    new.extend(used.take(MAX_USED).flat_map(|folder| there(&shown(folder), &OF_MODULE)).collect::<Vec<_>>());
    found.targets.extend(new);
    module.filter(|folder| *folder != real).map(|folder| shown(folder).join("go.mod"))
}

/// The targets that `go` has in a folder, among files of these names.
fn there(folder: &Path, names: &[&str]) -> Vec<Target> {
    let is_there = |name: &&&str| folder.join(name).symlink_metadata().is_ok_and(|one| !one.is_dir());
    let names: BTreeSet<OsString> = names.iter().filter(is_there).map(OsString::from).collect();
    targets(folder, &names)
}

/// Folders that a go.work uses, without links. What cannot be read is reported by whoever audits the file.
pub(super) fn used(tree: &Tree, go_work: &Path) -> HashSet<PathBuf> {
    let Some(text) = text_of(tree, go_work) else { return HashSet::new() };
    // Each once, however often it is named: a file of 16 MiB may name a million.
    let used: HashSet<String> = folders(&text).used.into_iter().take(MAX_USED).collect();
    used.into_iter().filter_map(|folder| folder_of(go_work).join(folder).canonicalize().ok()).collect()
}

/// A folder as a person would write it in the working folder.
fn shown(folder: &Path, absolute: bool) -> PathBuf {
    let Some(here) = Path::new(".").canonicalize().ok().filter(|_| !absolute) else { return folder.to_owned() };
    let common = here.ancestors().find(|one| folder.starts_with(one)).unwrap_or(Path::new("/"));
    let up = here.strip_prefix(common).map_or(0, |below| below.iter().count());
    let down = folder.strip_prefix(common).unwrap_or(folder);
    std::iter::repeat_n("..", up).collect::<PathBuf>().join(down)
}
