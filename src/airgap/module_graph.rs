//! What `go install M@V`, and a build with M@V, needs of other modules, by the rules of `go`.
//!
//! ```text
//! M@V ─go.mod→ requirements ─go.mod of each→ build list ─go.sum in the zip of M@V→ which zips
//! ```
//!
//! Since Go 1.17 a go.mod names every module that its packages need. So the requirements of requirements are not read, except of a
//! module with an older go.mod (<https://go.dev/ref/mod#graph-pruning>). The go.sum in the zip has a line for each zip that
//! the author's builds and tests needed; a module that it does not name may be needed, so its zip is taken.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::error::Refusal;
use super::fetch_plan::{FetchPlan, KeptBack, of_names};
use super::fill::{Filled, fill};
use super::toolchains::Toolchains;
use crate::base::fault::Fault;
use crate::base::limits::MAX_SUM;
use crate::base::progress::Progress;
use crate::mirror::Prefetch;
use gomodule::artifact::Kind;
use gomodule::gomod::{requirements, toolchain_lines};
use gomodule::gosum::{SumContent, parse_go_sum};
use gomodule::goversion::GoVersion;
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// The first line of `go` whose go.mod files name all modules that are needed.
const PRUNED_SINCE: (u32, u32) = (1, 17);
/// go.mod files that are read: ten times as many as the largest known module graphs have.
const MAX_GO_MODS: usize = 20_000;

/// Whether missing files are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Fetched,
    Refused,
}

/// Reads go.mod files, each once.
pub(crate) struct ModuleGraph<'a> {
    prefetch: &'a Prefetch,
    kept_back: &'a KeptBack,
    toolchains: &'a Toolchains,
    missing: Missing,
    progress: &'a Progress,
    read: HashMap<ModuleVersion, Option<Arc<Requirements>>>,
    /// What was fetched and refused on the way.
    pub(crate) filled: Filled,
    /// The files that were fetched or refused.
    done: FetchPlan,
}

/// What a go.mod says about other modules.
#[derive(Debug)]
struct Requirements {
    modules: Vec<ModuleVersion>,
    is_pruned: bool,
    text: String,
}

impl<'a> ModuleGraph<'a> {
    pub(crate) fn new(
        prefetch: &'a Prefetch,
        kept_back: &'a KeptBack,
        toolchains: &'a Toolchains,
        missing: Missing,
        progress: &'a Progress,
    ) -> Self {
        let (read, filled, done) = Default::default();
        Self { prefetch, kept_back, toolchains, missing, progress, read, filled, done }
    }

    /// The files of `tops` and of everything that they need.
    pub(crate) async fn plan(&mut self, tops: &[ModuleVersion]) -> FetchPlan {
        let mut plan = of_names(tops);
        self.take(plan.clone()).await;
        for top in tops.iter().filter(|top| !top.path.is_toolchain()) {
            let needed = self.needed_by(top).await;
            plan.join(&needed);
        }
        plan
    }

    /// The files of `plan` that were not fetched or refused yet.
    pub(crate) fn rest_of(&self, plan: &FetchPlan) -> FetchPlan {
        plan.without(&self.done)
    }

    async fn needed_by(&mut self, top: &ModuleVersion) -> FetchPlan {
        let mut plan = FetchPlan::default();
        self.read(vec![top.clone()], top).await;
        // If it cannot be read, that was reported.
        let Some(Some(go_mod)) = self.read.get(top).cloned() else { return plan };
        if let Err(refusal) = self.toolchains.add_for_install(&go_mod.text, top, &mut plan) {
            self.filled.refused.push(refusal);
        }
        let mut roots = go_mod.modules.clone();
        let selected = loop {
            let Some(selected) = self.select(top, &roots, go_mod.is_pruned, &mut plan).await else { return plan };
            let newest = |module: &ModuleVersion| at(&module.path, &selected).unwrap_or_else(|| module.clone());
            let raised: Vec<ModuleVersion> = roots.iter().map(newest).collect();
            if raised == roots {
                break selected;
            }
            roots = raised;
        };
        let built: Vec<ModuleVersion> =
            if go_mod.is_pruned { roots } else { selected.keys().filter_map(|path| at(path, &selected)).collect() };
        let sums = self.go_sum(top).await;
        for module in built.iter().filter(|module| module.path != top.path && sums.may_need_zip(module)) {
            plan.join(&of_names(std::slice::from_ref(module)));
        }
        plan
    }

    /// The version of each module that `go` selects: the highest that a go.mod requires. Adds each go.mod that it reads to `plan`.
    /// `None` if there are too many.
    async fn select(
        &mut self,
        top: &ModuleVersion,
        roots: &[ModuleVersion],
        is_pruned: bool,
        plan: &mut FetchPlan,
    ) -> Option<BTreeMap<ModulePath, Version>> {
        let mut selected = BTreeMap::from([(top.path.clone(), top.version.clone())]);
        let (mut seen, mut level) = (HashSet::new(), roots.to_vec());
        let mut first = true;
        while !level.is_empty() {
            self.read(level.clone(), top).await;
            let mut next = Vec::new();
            for module in std::mem::take(&mut level) {
                raise(&mut selected, &module);
                if !seen.insert(module.clone()) {
                    continue;
                }
                for kind in [Kind::Info, Kind::Mod] {
                    plan.add(&module, kind);
                }
                let Some(Some(go_mod)) = self.read.get(&module) else { continue };
                go_mod.modules.iter().for_each(|required| raise(&mut selected, required));
                // Everything below an older go.mod is read.
                if !(first && is_pruned && go_mod.is_pruned) {
                    next.extend(go_mod.modules.iter().filter(|required| !seen.contains(*required)).cloned());
                }
            }
            if seen.len() > MAX_GO_MODS {
                let why = format!("its module graph has more than {MAX_GO_MODS} go.mod files");
                self.filled.refused.push(Refusal::new(top.to_string(), why, Fault::Refused));
                return None;
            }
            next.sort_unstable();
            next.dedup();
            (level, first) = (next, false);
        }
        Some(selected)
    }

    /// Reads the go.mod files of `modules`, which `top` needs.
    async fn read(&mut self, mut modules: Vec<ModuleVersion>, top: &ModuleVersion) {
        modules.retain(|module| !self.read.contains_key(module));
        let mut wanted = FetchPlan::default();
        for module in &modules {
            for kind in [Kind::Info, Kind::Mod] {
                wanted.add(module, kind);
            }
        }
        self.take(wanted).await;
        for module in modules {
            let names = [module.to_string(), format!("{module} .mod")];
            let is_refused = self.filled.refused.iter().any(|refusal| names.contains(&refusal.what));
            let text = if is_refused { None } else { self.go_mod(&module, top).await };
            let requirements = text.and_then(|text| self.requirements(&module, text));
            self.read.insert(module, requirements.map(Arc::new));
        }
    }

    async fn go_mod(&mut self, module: &ModuleVersion, top: &ModuleVersion) -> Option<String> {
        match self.prefetch.go_mod(module).await {
            Ok(text) => Some(text),
            Err(error) => {
                let refusal = match error.missing_offline() {
                    Some(_) => {
                        let why = format!(
                            "{top} needs it, and it is not in the store: run `sumgate cache fetch {top}` first"
                        );
                        Refusal::new(format!("{module} .mod"), why, Fault::Absent)
                    }
                    None => Refusal::of(format!("{module} .mod"), &error),
                };
                self.filled.refused.push(refusal);
                None
            }
        }
    }

    fn requirements(&mut self, module: &ModuleVersion, text: String) -> Option<Requirements> {
        let modules = match requirements(&text) {
            Ok(modules) => modules,
            Err(error) => {
                let why =
                    format!("line {} of its go.mod cannot be read, so what it needs is unknown: {error}", error.line);
                self.filled.refused.push(Refusal::new(module.to_string(), why, Fault::Refused));
                return None;
            }
        };
        let line = toolchain_lines(&text).into_iter().find(|line| line.verb == "go");
        let go = line.and_then(|line| GoVersion::parse(&format!("go{}", line.name)));
        let is_pruned = go.is_some_and(|go| go.line() >= PRUNED_SINCE);
        Some(Requirements { modules, is_pruned, text })
    }

    /// Fetches files, unless they are refused or only read.
    async fn take(&mut self, wanted: FetchPlan) {
        if self.missing == Missing::Refused {
            return;
        }
        let mut wanted = self.rest_of(&wanted);
        self.done.join(&wanted);
        self.filled.refused.extend(self.kept_back.leave_out(&mut wanted));
        let filled = fill(self.prefetch, &wanted, self.progress).await;
        self.filled = std::mem::take(&mut self.filled).and(filled);
    }

    async fn go_sum(&self, top: &ModuleVersion) -> SumLines {
        // A zip that cannot be read was reported. Without a go.sum all zips are needed.
        let text = self.prefetch.file_in_zip(top, "go.sum", MAX_SUM).await.ok().flatten().unwrap_or_default();
        let mut lines = SumLines::default();
        for line in parse_go_sum(&text) {
            if let SumContent::Hash(hash) = line.content {
                if hash.kind == Kind::Zip { &mut lines.zips } else { &mut lines.go_mods }.insert(hash.module);
            }
        }
        lines
    }
}

/// The lines of a go.sum.
#[derive(Debug, Default)]
struct SumLines {
    zips: HashSet<ModuleVersion>,
    go_mods: HashSet<ModuleVersion>,
}

impl SumLines {
    fn may_need_zip(&self, module: &ModuleVersion) -> bool {
        self.zips.contains(module) || !self.go_mods.contains(module)
    }
}

fn at(path: &ModulePath, selected: &BTreeMap<ModulePath, Version>) -> Option<ModuleVersion> {
    Some(ModuleVersion { path: path.clone(), version: selected.get(path)?.clone() })
}

fn raise(selected: &mut BTreeMap<ModulePath, Version>, module: &ModuleVersion) {
    let version = selected.entry(module.path.clone()).or_insert_with(|| module.version.clone());
    if *version < module.version {
        *version = module.version.clone();
    }
}
