//! Known hashes of module files: released in this run, proved before it, or covered by a seal.

use std::collections::BTreeMap;

use crate::finding::{Code, Finding};
use crate::release::Events;
use gomodule::artifact::Kind;
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

/// A known zip or go.mod file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Its h1.
    pub h1: H1,
    /// Whether a record of a database proves it. Otherwise it is pinned on first use.
    pub proved: bool,
}

/// The files that were released in this run, proved before it, or sealed.
pub type Known = BTreeMap<(ModuleVersion, Kind), KnownFile>;

/// The zips that were released, with their h1.
pub fn released_zips(events: &Events) -> BTreeMap<ModuleVersion, H1> {
    let zips = events.released.iter().filter(|((_, kind), _)| *kind == Kind::Zip);
    zips.map(|((module, _), file)| (module.clone(), file.basis.h1())).collect()
}

/// The known files at the end of a run: those known `before`, and the released ones.
pub fn known(before: &Known, events: &Events) -> Known {
    let released = events.released.iter().map(|(key, file)| {
        let proved = file.basis.record().is_some();
        (key.clone(), KnownFile { h1: file.basis.h1(), proved })
    });
    before.clone().into_iter().chain(released.filter(|((_, kind), _)| *kind != Kind::Info)).collect()
}

/// What rules of the policy that only warn say of released files.
pub fn policy_warnings(events: &Events) -> Vec<Finding> {
    let files = events.warned.iter().flat_map(|((module, _), warnings)| warnings.iter().map(move |one| (module, one)));
    files.map(|(module, one)| Finding::new(Code::PolicyWarning, format!("{module} {one}")).about(module)).collect()
}
