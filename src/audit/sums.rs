//! The files of module versions that have a hash line.

use std::collections::HashSet;

use gomodule::artifact::Kind;
use gomodule::gosum::{AnyHash, SumContent, go_sum_lines};
use gomodule::module::ModuleVersion;

/// What the hash lines of one or more files are about. As for `go`, lines of unknown algorithms do not count.
#[derive(Debug, Default)]
pub(super) struct Sums(HashSet<(ModuleVersion, Kind)>);

impl Sums {
    /// Adds the lines of a file.
    pub(super) fn add(&mut self, file: &[u8]) {
        self.0.extend(go_sum_lines(file).filter_map(|(_, line)| match line.content {
            SumContent::Hash(hash) if matches!(hash.hash, AnyHash::H1(_)) => Some((hash.module, hash.kind)),
            _ => None,
        }));
    }

    pub(super) fn has(&self, module: &ModuleVersion, kind: Kind) -> bool {
        self.0.contains(&(module.clone(), kind))
    }
}
