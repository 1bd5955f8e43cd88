//! The paths that a source was asked about a moment ago. `go get` asks for every prefix of a path at the same time, and reports
//! the failure of one prefix rather than that the module does not have the version.

use std::time::Duration;

use super::scope::Scope;
use crate::base::clock::Clock;
use crate::base::recent::Recent;
use gomodule::module::ModulePath;

/// `go get` asks for all prefixes of a path at the same time; the longer ones come within this time.
pub(super) const PREFIXES_WITHIN: Duration = Duration::from_millis(200);
/// The answers to all prefixes come within a few runs of `go`.
const ASKED_FOR: Duration = Duration::from_secs(10);
/// Prefixes that are remembered: about 200 bytes each.
const MAX_PREFIXES: usize = 1000;

pub(super) struct Prefixes {
    scope: Scope,
    /// For each path, the longest one below it that was asked for.
    longer: Recent<ModulePath, ModulePath>,
}

impl std::fmt::Debug for Prefixes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prefixes")
    }
}

impl Prefixes {
    pub(super) fn new(scope: Scope, clock: Clock) -> Self {
        Self { scope, longer: Recent::new(MAX_PREFIXES, ASKED_FOR, clock) }
    }

    pub(super) fn asked(&self, module: &ModulePath) {
        let length = |path: &ModulePath| path.as_ref().len();
        for above in self.scope.above(module) {
            if self.longer.get(&above).is_none_or(|known| length(&known) <= length(module)) {
                self.longer.insert(above, module.clone());
            }
        }
    }

    /// The longest path below `module` that was asked for, and the paths between them.
    pub(super) fn below(&self, module: &ModulePath) -> Vec<ModulePath> {
        let Some(longer) = self.longer.get(module) else { return Vec::new() };
        let between = self.scope.above(&longer).take_while(|above| above != module).collect::<Vec<_>>();
        std::iter::once(longer).chain(between).collect()
    }
}
