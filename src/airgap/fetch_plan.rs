//! Which files are wanted: what the lines of a go.sum need, or everything of module versions that are named.
//!
//! A line `M V h1:…` needs the zip, `M V/go.mod h1:…` the go.mod (<https://go.dev/ref/mod#go-sum-files>); a zip is of no
//! use without its go.mod. The `.info` is wanted of each version: `go mod download` asks for it.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Refusal;
use crate::base::fault::Fault;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::gosum::{AnyHash, SumContent, parse_go_sum};
use gomodule::module::{ModulePath, ModuleVersion, Patterns};

/// What is wanted of each module version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FetchPlan {
    pub(super) modules: BTreeMap<ModuleVersion, BTreeMap<Kind, WantedFile>>,
}

/// What is known of a wanted file beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WantedFile {
    /// The h1 that lines say it has, and the lines' numbers.
    pub(crate) claims: Vec<(u32, H1)>,
}

impl FetchPlan {
    pub(crate) fn add(&mut self, module: &ModuleVersion, kind: Kind) -> &mut WantedFile {
        self.modules.entry(module.clone()).or_default().entry(kind).or_default()
    }

    /// Leaves out the modules of `patterns`, unless they are in `but`. Returns what was left out.
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

impl WantedFile {
    /// What a line says that is not so, if the h1 is `h1`.
    pub(super) fn contradicts(&self, artifact: &Artifact, h1: H1) -> Option<Refusal> {
        let (line, claimed) = self.claims.iter().find(|(_, claimed)| *claimed != h1)?;
        let why = format!("line {line} of go.sum says {claimed}, but it is proved to be {h1}");
        Some(Refusal { what: artifact.to_string(), why, fault: Fault::Refused })
    }
}

/// What the lines of a go.sum need, and the lines that say nothing.
pub(crate) fn of_go_sum(shown: &str, bytes: &[u8]) -> (FetchPlan, Vec<Refusal>) {
    let (mut wanted, mut refused) = (FetchPlan::default(), Vec::new());
    for line in parse_go_sum(bytes) {
        match line.content {
            SumContent::Hash(hash) => {
                for kind in [Kind::Info, Kind::Mod] {
                    wanted.add(&hash.module, kind);
                }
                let file = wanted.add(&hash.module, hash.kind);
                if let AnyHash::H1(h1) = hash.hash {
                    file.claims.push((line.number, h1));
                }
            }
            SumContent::Malformed { why, .. } => {
                let what = format!("{shown}:{}", line.number);
                refused.push(Refusal { what, why: format!("not a hash line: {why}"), fault: Fault::Refused });
            }
            // `go` itself reads past such a line.
            SumContent::Dropped(_) => {}
        }
    }
    (wanted, refused)
}

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
    fn a_zip_line_wants_all_files_and_a_go_mod_line_no_zip() {
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
