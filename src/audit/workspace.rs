//! Workspaces: what a go.work and the modules that it uses say together (<https://go.dev/ref/mod#workspaces>).
//!
//! A workspace may have thousands of modules, and each of them is a target: so it is read once, and kept.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::error::{ReadError, ReadFile};
use super::missing::{Around, Members};
use super::sums::Sums;
use super::target::MAX_USED;
use super::vendor::Vendored;
use crate::base::tree::{folder_of, lexical};
use crate::go::environment::GoWorkSetting;
use gomodule::gomod::{GoMod, GoWork, Replace, Replacements, Use};
use gomodule::goversion::is_newer;

/// Beside a go.work. `go` reads it in addition to the go.sum files of the modules.
const WORK_SUM: &str = "go.work.sum";
/// The go.sum files of a workspace together. The go.sum of a very large monorepo has one megabyte. Our own choice.
const MAX_SUMS: usize = 256 << 20;
/// The versions that `go` takes for a missing `go` line: in a go.work, and in a go.mod (`gover.FromGoWork`, FromGoMod).
const DEFAULT_GO: [&str; 2] = ["1.18", "1.16"];
/// The first version that a workspace must not be older than (`gover.GoStrictVersion`).
const STRICT: &str = "1.21";

/// The workspaces that were read, by their go.work files without links.
#[derive(Debug, Default)]
pub(super) struct Workspaces(RefCell<HashMap<PathBuf, Rc<Workspace>>>);

/// A workspace.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// The folders of its modules, without links.
    used: HashSet<PathBuf>,
    members: Members,
    replaces: Replacements,
    module_replaces: Replacements,
    sums: Sums,
    pub(super) vendored: Vendored,
    /// Why `go` refuses the modules together, each with a line of go.work.
    pub(super) faults: Vec<(u32, String)>,
}

impl Workspaces {
    /// The workspace in which `go` builds the module in `folder`, if it has one that uses the module.
    pub(super) fn around(
        &self,
        folder: &Path,
        setting: &GoWorkSetting,
        read: ReadFile,
    ) -> Result<Option<Rc<Workspace>>, ReadError> {
        let Ok(folder) = folder.canonicalize() else { return Ok(None) };
        let file = match setting {
            GoWorkSetting::Off => None,
            GoWorkSetting::File(file) => Some(file.clone()),
            GoWorkSetting::Auto => folder.ancestors().map(|above| above.join("go.work")).find(|file| file.is_file()),
        };
        let Some(file) = file else { return Ok(None) };
        let workspace = self.of(&file, read)?;
        Ok(workspace.used.contains(&folder).then_some(workspace))
    }

    /// The workspace of a go.work.
    pub(super) fn of(&self, file: &Path, read: ReadFile) -> Result<Rc<Workspace>, ReadError> {
        let folder = folder_of(file).canonicalize().unwrap_or_else(|_| lexical(folder_of(file)));
        let file = folder.join(file.file_name().unwrap_or_default());
        if let Some(known) = self.0.borrow().get(&file) {
            return Ok(Rc::clone(known));
        }
        let workspace = Rc::new(Workspace::read(&file, read)?);
        self.0.borrow_mut().insert(file, Rc::clone(&workspace));
        Ok(workspace)
    }
}

impl Workspace {
    fn read(file: &Path, read: ReadFile) -> Result<Self, ReadError> {
        let mut this = Self::default();
        let Some(bytes) = read(file)? else { return Ok(this) };
        let (go_work, _) = GoWork::read(&bytes);
        let mut size = 0;
        let mut sum = |this: &mut Self, path: &Path| -> Result<(), ReadError> {
            let bytes = if size < MAX_SUMS { read(path)?.unwrap_or_default() } else { Vec::new() };
            size += bytes.len();
            this.sums.add(&bytes);
            Ok(())
        };
        sum(&mut this, &folder_of(file).join(WORK_SUM))?;
        this.vendored = Vendored::beside(file, go_work.go.as_deref(), read)?;
        let mut together = Together::of(&go_work);
        for used in go_work.uses.iter().take(MAX_USED) {
            let folder = folder_of(file).join(&used.folder);
            let folder = folder.canonicalize().unwrap_or_else(|_| lexical(&folder));
            if !this.used.insert(folder.clone()) {
                continue;
            }
            match read(&folder.join("go.mod"))? {
                Some(bytes) => {
                    let (go_mod, _) = GoMod::read(&bytes);
                    this.faults.extend(together.add(used, &folder, &go_mod));
                    this.members.add(&go_mod);
                    go_mod.replaces.into_iter().for_each(|replace| this.module_replaces.add(replace));
                }
                None => this.faults.push((used.line, "expected a go.mod in the folder, found none".to_owned())),
            }
            sum(&mut this, &folder.join("go.sum"))?;
        }
        this.faults.extend(together.replaces_members(&this.members));
        this.replaces = Replacements::of(&go_work.replaces);
        Ok(this)
    }

    /// What decides about the requirements of its modules.
    pub(super) fn as_around(&self) -> Around<'_> {
        Around {
            replacements: vec![&self.replaces, &self.module_replaces],
            sums: &self.sums,
            workspace: Some(&self.members),
        }
    }
}

/// What modules of a workspace must agree on (`cmd/go/internal/modload`, loadModFile and makeMainModules).
struct Together<'w> {
    go_work: &'w GoWork,
    by_go_work: HashSet<&'w str>,
    paths: HashSet<String>,
    /// The replacements, where a relative folder is one of the module.
    replaced: HashMap<(String, Option<String>), (PathBuf, Option<String>)>,
}

impl<'w> Together<'w> {
    fn of(go_work: &'w GoWork) -> Self {
        let by_go_work = go_work.replaces.iter().map(|replace| replace.old.0.as_str()).collect();
        Self { go_work, by_go_work, paths: HashSet::new(), replaced: HashMap::new() }
    }

    fn add(&mut self, used: &Use, folder: &Path, go_mod: &GoMod) -> Vec<(u32, String)> {
        let mut faults = Vec::new();
        let mut fault = |message: String| faults.push((used.line, message));
        let [work, module] = [(&self.go_work.go, DEFAULT_GO[0]), (&go_mod.go, DEFAULT_GO[1])]
            .map(|(line, default)| line.as_deref().unwrap_or(default));
        if is_newer(module, work) && !is_newer(STRICT, module) {
            fault(format!("the module needs go {module}, and this go.work has go {work}: run `go work use`"));
        }
        if let Some(path) = go_mod.module.as_ref().filter(|path| !self.paths.insert((*path).clone())) {
            fault(format!("another folder of this go.work has the module {path}, too"));
        }
        let replaces = go_mod.replaces.iter().filter(|replace| !self.by_go_work.contains(replace.old.0.as_str()));
        for Replace { old, new, .. } in replaces {
            let path = if new.1.is_none() { lexical(&folder.join(&new.0)) } else { PathBuf::from(&new.0) };
            let new = (path, new.1.clone());
            if *self.replaced.entry(old.clone()).or_insert_with(|| new.clone()) != new {
                let old = &old.0;
                fault(format!("the module and another one replace {old} differently: replace it in go.work"));
            }
        }
        faults
    }

    /// A go.work must not replace all versions of a module that it uses.
    fn replaces_members(&self, members: &Members) -> Vec<(u32, String)> {
        let replaces = self.go_work.replaces.iter();
        let of_members = replaces.filter(|replace| replace.old.1.is_none() && members.own.contains(&replace.old.0));
        let message = |path: &str| format!("the workspace uses the module {path}, so it cannot be replaced");
        of_members.map(|replace| (replace.line, message(&replace.old.0))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// A workspace of 200 modules was read once for each of them.
    #[test]
    fn the_files_of_a_workspace_are_read_once() {
        let root = tempfile::tempdir().unwrap();
        let folders: Vec<PathBuf> = (0..200).map(|nth| root.path().join(format!("m{nth}"))).collect();
        let used: String = (0..200).map(|nth| format!("use ./m{nth}\n")).collect();
        std::fs::write(root.path().join("go.work"), format!("go 1.21\n{used}")).unwrap();
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("go.mod"), format!("module a.com{}\n", folder.display())).unwrap();
        }
        let reads = RefCell::new(0);
        let read = |path: &Path| {
            *reads.borrow_mut() += 1;
            Ok(std::fs::read(path).ok())
        };
        let workspaces = Workspaces::default();
        for folder in &folders {
            let workspace = workspaces.around(folder, &GoWorkSetting::Auto, &read).unwrap().unwrap();
            assert_eq!((workspace.members.own.len(), workspace.faults.len()), (200, 0));
        }
        assert_eq!(
            *reads.borrow(),
            3 + 2 * 200,
            "go.work, go.work.sum, vendor/modules.txt, and two files of each module"
        );
    }
}
