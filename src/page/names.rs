//! The names of modules that others than the operator may read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::events::Entry;
use crate::mirror::Pipeline;
use gomodule::module::{ModulePath, Patterns};

pub(super) struct Names {
    pipeline: Pipeline,
    /// The patterns of exempt modules in lower case; `None` if those are no patterns.
    exempt: Option<Patterns>,
}

impl Names {
    pub(super) fn new(pipeline: Pipeline) -> Self {
        let exempt = Patterns::parse(&pipeline.expectations().exempt.to_string().to_lowercase()).ok();
        Self { pipeline, exempt }
    }

    /// A search forgives case, so a private name must not be sent or shown in another one either.
    pub(super) fn is_exempt_in_any_case(&self, path: &ModulePath) -> bool {
        let path = ModulePath::parse(&path.to_string().to_lowercase());
        // What cannot be compared is not shown.
        self.exempt.as_ref().zip(path.ok()).is_none_or(|(patterns, path)| patterns.exempts(&path))
    }

    /// Leaves out events of modules that are private by what is known now: the settings may have changed since an event was
    /// recorded, and a mirror that is offline may not have been told what is private.
    pub(super) async fn keep_public(&self, entries: &mut Vec<Arc<Entry>>) {
        let mut paths: HashMap<&str, Option<ModulePath>> = HashMap::new();
        for module in entries.iter().filter_map(|entry| entry.event.facts.module.as_deref()) {
            paths.entry(module).or_insert_with(|| ModulePath::parse(module).ok());
        }
        let asked = paths.into_values().flatten().filter(|path| !self.is_exempt_in_any_case(path)).collect();
        let shown: HashSet<String> =
            self.pipeline.may_show_which(asked).await.iter().map(ToString::to_string).collect();
        entries.retain(|entry| entry.event.facts.module.as_ref().is_none_or(|module| shown.contains(module)));
    }
}
