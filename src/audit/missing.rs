//! The requirements of a go.mod without a hash line (`cmd/go/internal/modload`, keepSums).

use std::collections::{HashMap, HashSet};

use super::sums::Sums;
use gomodule::artifact::Kind;
use gomodule::gomod::{GoMod, GoModError, Replaced, Replacements};
use gomodule::module::{ModuleVersion, Version};

/// What decides, beside a go.mod, where its requirements are taken from.
pub(super) struct Around<'a> {
    /// Replacements; the first that has one for a module counts.
    pub(super) replacements: Vec<&'a Replacements>,
    pub(super) sums: &'a Sums,
    /// In a workspace.
    pub(super) workspace: Option<&'a Members>,
}

/// What the modules of a workspace say together.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Their paths.
    pub(super) own: HashSet<String>,
    /// The highest version that one of them requires of each module.
    pub(super) highest: HashMap<String, Version>,
}

/// A requirement without a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The line of go.mod.
    pub(super) line: u32,
    /// The required module path.
    pub(super) required: String,
    /// The required version.
    pub(super) version: String,
    pub(super) what: Lacks,
}

/// What a requirement does not have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lacks {
    /// The line of the module version after replacements: of its go.mod, or else of its zip, which `go` needs if packages of it
    /// are imported.
    Line(ModuleVersion, Kind),
    /// A place from which `go` can take it, for this reason.
    Source(String),
}

impl Missing {
    /// What distinguishes it from other missing lines.
    pub(super) fn key(self) -> Lacks {
        self.what
    }

    pub(super) fn is_zip(&self) -> bool {
        matches!(self.what, Lacks::Line(_, Kind::Zip))
    }

    pub(super) fn is_line(&self) -> bool {
        matches!(self.what, Lacks::Line(..))
    }
}

impl Members {
    pub(super) fn add(&mut self, go_mod: &GoMod) {
        self.own.extend(go_mod.module.clone());
        for require in &go_mod.requires {
            let Ok(version) = Version::parse(&require.version) else { continue };
            let highest = self.highest.entry(require.path.clone()).or_insert_with(|| version.clone());
            if *highest < version {
                *highest = version;
            }
        }
    }
}

/// The requirements without a line or a source, and the excluded ones. Whether packages of a module are imported is not checked
/// here.
pub(super) fn missing(go_mod: &GoMod, around: &Around) -> (Vec<Missing>, Vec<GoModError>) {
    let (mut missing, mut errors) = (Vec::new(), Vec::new());
    for require in &go_mod.requires {
        let (path, version) = (require.path.as_str(), require.version.as_str());
        if around.workspace.is_some_and(|members| members.own.contains(path)) {
            continue;
        }
        if go_mod.excludes(require) {
            // A workspace ignores the requirement; a module alone would need a change of go.mod.
            errors.extend(around.workspace.is_none().then(|| require.excluded()));
            continue;
        }
        let replace = around.replacements.iter().find_map(|replacements| replacements.find(path, version));
        let lacks = |what| {
            let (required, version) = (require.path.clone(), require.version.clone());
            Missing { line: require.line, required, version, what }
        };
        let module = match require.source(replace) {
            Ok(Replaced::Module(module)) => module,
            Ok(Replaced::Folder(_)) => continue,
            Err(error) => {
                missing.push(lacks(Lacks::Source(error.to_string())));
                continue;
            }
        };
        let is_selected = || {
            let highest = around.workspace.and_then(|members| members.highest.get(path));
            highest.is_none_or(|highest| highest.as_ref() == version)
        };
        let kind = if !around.sums.has(&module, Kind::Mod) {
            Kind::Mod
        } else if !require.is_indirect && !around.sums.has(&module, Kind::Zip) && is_selected() {
            Kind::Zip
        } else {
            continue;
        };
        missing.push(lacks(Lacks::Line(module, kind)));
    }
    (missing, errors)
}
