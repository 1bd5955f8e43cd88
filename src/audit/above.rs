//! Files outside of the folder under audit that `go` uses for it: the go.mod of its module, the nearest go.work above it, and
//! the folders of that workspace. Only files in the tree are audited: the author of the tree controls no others.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::target::{Found, MAX_USED, Target, targets, text_of};
use crate::base::tree::folder_of;
use gomodule::gomod::{GoMod, GoWork};

/// The files of a module, and of a workspace.
const OF_MODULE: [&str; 2] = ["go.mod", "go.sum"];
const OF_WORKSPACE: [&str; 2] = ["go.work", "go.work.sum"];

/// Adds the targets above and beside the folder `root`, whose path without links is `real`.
pub(super) fn add(found: &mut Found, root: &Path, real: &Path) {
    let shown = |folder: &Path| shown(folder, root.is_absolute());
    let top = found.tree.root().to_owned();
    // As `go` searches (modload, findModuleRoot and FindGoWork).
    let above = |name: &str| {
        let mut folders = real.ancestors().take_while(|folder| folder.starts_with(&top));
        folders.find(|folder| folder.join(name).metadata().is_ok_and(|file| !file.is_dir()))
    };
    let module = above("go.mod");
    for (folder, names) in [(module, OF_MODULE), (above("go.work"), OF_WORKSPACE)] {
        let folder = folder.filter(|folder| *folder != real);
        found.targets.extend(folder.into_iter().flat_map(|folder| existing(&shown(folder), &names)));
    }
    let is_new = |folder: &PathBuf| folder.starts_with(&top) && !folder.starts_with(real) && Some(&**folder) != module;
    let used: BTreeSet<PathBuf> = used_folders(found).into_iter().filter(is_new).collect();
    found.targets.extend(used.iter().take(MAX_USED).flat_map(|folder| existing(&shown(folder), &OF_MODULE)));
}

/// The targets among the files of these names in a folder.
fn existing(folder: &Path, names: &[&str]) -> Vec<Target> {
    let exists = |name: &&&str| folder.join(name).symlink_metadata().is_ok_and(|file| !file.is_dir());
    let names: BTreeSet<OsString> = names.iter().filter(exists).map(OsString::from).collect();
    targets(folder, &names)
}

/// The folders that the go.work files use, without links. A file that cannot be read is reported by its own audit.
pub(super) fn used_folders(found: &Found) -> HashSet<PathBuf> {
    let go_works =
        found.targets.iter().filter(|target| target.apart.is_none()).filter_map(|target| target.go_work.as_ref());
    let used = go_works.flat_map(|go_work| {
        let text = text_of(&found.tree, go_work).unwrap_or_default();
        let (workspace, _) = GoWork::read(text.as_bytes());
        // Each folder once: a file of 16 MiB may have a million lines.
        let used = workspace.uses.into_iter().take(MAX_USED);
        used.filter_map(|used| folder_of(go_work).join(used.folder).canonicalize().ok())
    });
    used.collect()
}

/// The folders, without links, by which go.mod and go.work files replace modules.
pub(super) fn replacing_folders(found: &Found) -> HashSet<PathBuf> {
    let mut folders = HashSet::new();
    for target in found.targets.iter().filter(|target| target.apart.is_none()) {
        for file in [&target.go_mod, &target.go_work].into_iter().flatten() {
            let text = text_of(&found.tree, file).filter(|text| text.contains("=>")).unwrap_or_default();
            let replaces = match file.extension() {
                Some(end) if end == "work" => GoWork::read(text.as_bytes()).0.replaces,
                _ => GoMod::read(text.as_bytes()).0.replaces,
            };
            let new = replaces.into_iter().map(|replace| replace.new).filter(|(_, version)| version.is_none());
            // Each folder is looked up once: a file of 16 MiB may have 500,000 lines.
            let new: BTreeSet<PathBuf> = new.take(MAX_USED).map(|(new, _)| folder_of(file).join(new)).collect();
            folders.extend(new.iter().filter_map(|folder| folder.canonicalize().ok()));
        }
    }
    folders
}

/// A folder as the user would write it: relative to the working folder, unless an absolute path was given.
fn shown(folder: &Path, absolute: bool) -> PathBuf {
    let Some(here) = Path::new(".").canonicalize().ok().filter(|_| !absolute) else { return folder.to_owned() };
    let common = here.ancestors().find(|above| folder.starts_with(above)).unwrap_or(Path::new("/"));
    let up = here.strip_prefix(common).map_or(0, |below| below.iter().count());
    let down = folder.strip_prefix(common).unwrap_or(folder);
    std::iter::repeat_n("..", up).collect::<PathBuf>().join(down)
}
