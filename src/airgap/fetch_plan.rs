//! The files to fetch or export: those that a go.sum needs, or all files of named module versions.
//!
//! A line `M V h1:…` needs the zip and its go.mod, `M V/go.mod h1:…` the go.mod (<https://go.dev/ref/mod#go-sum-files>).
//! Each version needs its `.info`: `go mod download` requests it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::Refusal;
use crate::base::fault::Fault;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::gosum::{AnyHash, SumContent, parse_go_sum};
use gomodule::module::{ModulePath, ModuleVersion, Patterns};

/// The h1 that lines of go.sum files claim for one file, each with the file and the line number.
pub(crate) type Claims = Vec<(Arc<str>, u32, H1)>;

/// The files to fetch or export of each module version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FetchPlan {
    pub(super) modules: BTreeMap<ModuleVersion, BTreeMap<Kind, Claims>>,
}

impl FetchPlan {
    pub(crate) fn add(&mut self, module: &ModuleVersion, kind: Kind) -> &mut Claims {
        self.modules.entry(module.clone()).or_default().entry(kind).or_default()
    }

    /// Adds the files of another plan.
    pub(crate) fn join(&mut self, other: &Self) {
        for (module, files) in &other.modules {
            for (kind, claims) in files {
                self.add(module, *kind).extend(claims.iter().cloned());
            }
        }
    }

    /// The files that are not in `other`.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for (module, files) in &other.modules {
            if let Some(left) = rest.modules.get_mut(module) {
                left.retain(|kind, claims| !files.contains_key(kind) || !claims.is_empty());
            }
        }
        rest.modules.retain(|_, files| !files.is_empty());
        rest
    }

    /// Removes the modules that match `patterns` and not `but`. Returns them.
    pub(crate) fn leave_out(&mut self, patterns: &Patterns, but: &Patterns) -> Vec<ModuleVersion> {
        let left_out = |module: &ModuleVersion| patterns.exempts(&module.path) && !but.exempts(&module.path);
        let all = std::mem::take(&mut self.modules).into_iter();
        let (out, rest): (BTreeMap<_, _>, _) = all.partition(|(module, _)| left_out(module));
        self.modules = rest;
        out.into_keys().collect()
    }

    pub(crate) fn modules(&self) -> Vec<ModuleVersion> {
        self.modules.keys().cloned().collect()
    }

    pub(crate) fn paths(&self) -> BTreeSet<ModulePath> {
        self.modules.keys().map(|module| module.path.clone()).collect()
    }

    pub(crate) fn files(&self) -> usize {
        self.modules.values().map(BTreeMap::len).sum()
    }
}

/// Private modules whose names are sent nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptBack {
    /// The modules of GONOPROXY and GONOSUMDB.
    pub(crate) private: Patterns,
    /// Those that flags name, and with that where they come from.
    pub(crate) named: Patterns,
}

impl KeptBack {
    /// Removes the modules from a plan. They are returned as refusals, so that the user learns that they are missing.
    pub(crate) fn leave_out(&self, plan: &mut FetchPlan) -> Vec<Refusal> {
        let why = "GONOPROXY or GONOSUMDB (by default GOPRIVATE) covers it, so no request was made: \
                   --private PATTERNS fetches it direct, --nosumdb PATTERNS from --upstream and unproved";
        let refusal = |module: ModuleVersion| Refusal::new(module.to_string(), why, Fault::Absent);
        plan.leave_out(&self.private, &self.named).into_iter().map(refusal).collect()
    }
}

/// The first claim that is not the proved `h1`.
pub(super) fn contradiction(claims: &Claims, artifact: &Artifact, h1: H1) -> Option<Refusal> {
    let (file, line, claimed) = claims.iter().find(|(_, _, claimed)| *claimed != h1)?;
    let why = format!("line {line} of {file} says {claimed}, but it is proved to be {h1}");
    Some(Refusal::new(artifact.to_string(), why, Fault::Refused))
}

/// The files that a go.sum needs, and its malformed lines.
pub(crate) fn of_go_sum(shown: &str, bytes: &[u8]) -> (FetchPlan, Vec<Refusal>) {
    let (mut wanted, mut refused, file) = (FetchPlan::default(), Vec::new(), Arc::<str>::from(shown));
    for line in parse_go_sum(bytes) {
        match line.content {
            SumContent::Hash(hash) => {
                for kind in [Kind::Info, Kind::Mod] {
                    wanted.add(&hash.module, kind);
                }
                let claims = wanted.add(&hash.module, hash.kind);
                if let AnyHash::H1(h1) = hash.hash {
                    claims.push((Arc::clone(&file), line.number, h1));
                }
            }
            SumContent::Malformed { why, .. } => {
                let what = format!("{shown}:{}", line.number);
                refused.push(Refusal::new(what, format!("not a hash line: {why}"), Fault::Refused));
            }
            // `go` ignores such a line.
            SumContent::Dropped(_) => {}
        }
    }
    (wanted, refused)
}

/// All files of these module versions.
pub(crate) fn of_names(modules: &[ModuleVersion]) -> FetchPlan {
    let mut wanted = FetchPlan::default();
    for module in modules {
        for kind in [Kind::Info, Kind::Mod, Kind::Zip] {
            wanted.add(module, kind);
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_zip_line_needs_all_files_and_a_go_mod_line_no_zip() {
        let h1 = "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=";
        let text = format!("a.com/b v1.0.0 {h1}\na.com/b v1.0.0/go.mod {h1}\na.com/c v1.0.0/go.mod {h1}\nrubbish\n");
        let (wanted, refused) = of_go_sum("go.sum", text.as_bytes());
        let kinds = |name: &str| -> Vec<Kind> {
            wanted.modules[&ModuleVersion::parse(name).unwrap()].keys().copied().collect()
        };
        assert_eq!(kinds("a.com/b@v1.0.0"), [Kind::Info, Kind::Mod, Kind::Zip]);
        assert_eq!(kinds("a.com/c@v1.0.0"), [Kind::Info, Kind::Mod]);
        assert_eq!((wanted.files(), refused.len(), refused[0].what.as_str()), (5, 1, "go.sum:4"));
    }
}
