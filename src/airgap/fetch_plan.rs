//! The files to fetch or export: those that a go.sum needs, or all files of named module versions.
//!
//! A line `M V h1:…` needs the zip and its go.mod, `M V/go.mod h1:…` the go.mod (<https://go.dev/ref/mod#go-sum-files>).
//! Each version needs its `.info`: `go mod download` requests it.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Refusal;
use crate::base::fault::Fault;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::gosum::{AnyHash, SumContent, parse_go_sum};
use gomodule::module::{ModulePath, ModuleVersion, Patterns};

/// The h1 that lines of go.sum claim for one file, with their line numbers.
pub(crate) type Claims = Vec<(u32, H1)>;

/// The files to fetch or export of each module version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FetchPlan {
    pub(super) modules: BTreeMap<ModuleVersion, BTreeMap<Kind, Claims>>,
}

impl FetchPlan {
    pub(crate) fn add(&mut self, module: &ModuleVersion, kind: Kind) -> &mut Claims {
        self.modules.entry(module.clone()).or_default().entry(kind).or_default()
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

/// The first claim that is not the proved `h1`.
pub(super) fn contradiction(claims: &Claims, artifact: &Artifact, h1: H1) -> Option<Refusal> {
    let (line, claimed) = claims.iter().find(|(_, claimed)| *claimed != h1)?;
    let why = format!("line {line} of go.sum says {claimed}, but it is proved to be {h1}");
    Some(Refusal::new(artifact.to_string(), why, Fault::Refused))
}

/// The files that a go.sum needs, and its malformed lines.
pub(crate) fn of_go_sum(shown: &str, bytes: &[u8]) -> (FetchPlan, Vec<Refusal>) {
    let (mut wanted, mut refused) = (FetchPlan::default(), Vec::new());
    for line in parse_go_sum(bytes) {
        match line.content {
            SumContent::Hash(hash) => {
                for kind in [Kind::Info, Kind::Mod] {
                    wanted.add(&hash.module, kind);
                }
                let claims = wanted.add(&hash.module, hash.kind);
                if let AnyHash::H1(h1) = hash.hash {
                    claims.push((line.number, h1));
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
