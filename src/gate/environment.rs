//! The environment of the gated command: which variables are set, removed and passed on, with findings about them.
//!
//! `go` reads variables, the file of `go env -w` (GOENV), and its own go.env. The file is resolved here and GOENV is off, so
//! that `environment/table` decides about every setting of the command.

mod flags;
mod table;
mod workspace;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use self::table::{Decision, decision};
use self::workspace::{Program, Workspace};
use super::folder::Caches;
use crate::base::text::{safe, safe_path, safe_start};
use crate::finding::{Code, Finding};
use crate::go::environment::GoEnv;
use crate::policy::two_public;
use crate::sumdb::Database;
use gomodule::module::Patterns;

/// Matches no module. `go` treats an empty variable as unset, and would use GOPRIVATE.
const NOTHING: &str = "none";
/// Characters of a value that are shown.
const MAX_SHOWN: usize = 200;
/// The default flags of `go` for C compilers.
const DEFAULT_C_FLAGS: &str = "-g -O2";

/// The inputs of the environment.
#[derive(Clone, Copy, Debug)]
pub struct EnvironmentInputs<'a> {
    /// The variables of this process.
    pub variables: &'a [(OsString, OsString)],
    /// The settings in the file of `go env -w`.
    pub written: &'a [(String, String)],
    /// The settings of `go`.
    pub go: &'a GoEnv,
    /// The folder of the repository, without links.
    pub workspace: &'a Path,
    /// The home of the account, not of the variable HOME; without links.
    pub home: Option<&'a Path>,
    /// The URL of the mirror.
    pub mirror: &'a str,
    /// The first database.
    pub database: &'a Database,
    /// The user named the database with --sumdb.
    pub is_named: bool,
    /// Modules that the mirror exempts.
    pub exempt: &'a Patterns,
    /// Private modules that come through the mirror.
    pub gated: &'a Patterns,
    /// The caches of the run.
    pub caches: &'a Caches,
}

/// The environment of the command.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// All variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// Removed variables, and why.
    pub removed: Vec<(String, &'static str)>,
    /// Settings of private and exempt modules that apply.
    pub kept: Vec<(String, String)>,
    /// Findings about variables.
    pub findings: Vec<Finding>,
    /// GOFLAGS disables vendor folders.
    pub ignores_vendor: bool,
}

/// Whether the table has an entry for a variable, other than the one for unknown variables of git.
pub fn is_decided(name: &str) -> bool {
    table::entries().any(|(entry, ..)| entry != "GIT_*" && table::fits(entry, name))
}

impl Environment {
    /// Decides about each variable.
    pub fn of(given: &EnvironmentInputs<'_>) -> Self {
        let written = given.written.iter().map(|(name, value)| (name.into(), value.into()));
        let mut all: BTreeMap<OsString, OsString> = written.collect();
        // `go` treats an empty variable as unset.
        let is_set = |(name, value): &&(OsString, OsString)| !value.is_empty() || !all.contains_key(name);
        let set: Vec<_> = given.variables.iter().filter(is_set).cloned().collect();
        all.extend(set);
        let path = all.get(OsStr::new("PATH")).map(OsString::as_os_str);
        let workspace = Workspace::new(given.workspace, given.home, path, given.go.installed());
        let mut this = Self::default();
        for (name, value) in all {
            this.decide(given, &workspace, name, value);
        }
        this.set(given);
        this.path(given, &workspace);
        this.wide(given);
        this.database(given);
        this
    }

    /// Whether the command may fetch private modules without the gate.
    pub fn fetches(&self) -> bool {
        self.kept.iter().any(|(name, _)| name == "GONOPROXY")
    }

    /// The variable GOWORK; empty if it is unset.
    pub fn work_file(&self) -> String {
        self.variables.get(OsStr::new("GOWORK")).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn decide(&mut self, given: &EnvironmentInputs<'_>, workspace: &Workspace, name: OsString, value: OsString) {
        let Some((text, (decision, why))) = name.to_str().and_then(|text| Some((text.to_owned(), decision(text)?)))
        else {
            self.variables.insert(name, value);
            return;
        };
        let shown = value.to_string_lossy().into_owned();
        let replaces_the_cache = text == "GOCACHEPROG" && given.caches.build.is_none();
        let code = match decision {
            Decision::Set => return,
            Decision::Cleared if !replaces_the_cache => {
                if !value.is_empty() && !text.starts_with("SUMGATE_") {
                    self.removed.push((text, why));
                }
                return;
            }
            Decision::Override => (!shown.is_empty()).then_some(Code::BuildOverride),
            Decision::Path => workspace.has_any_of(&value).then_some(Code::BuildOverride),
            Decision::WorkFile => {
                let is_outside = !matches!(shown.as_str(), "" | "off" | "auto") && !workspace.has_any_of(&value);
                is_outside.then_some(Code::BuildOverride)
            }
            Decision::Note => (!is_usual(&text, &shown)).then_some(Code::BuildEnvironment),
            Decision::Output => (!is_switch(&shown)).then_some(Code::BuildEnvironment),
            Decision::Program | Decision::Helper => match workspace.program(&shown) {
                Program::Inside => Some(Code::BuildOverride),
                Program::Elsewhere => (decision == Decision::Program).then_some(Code::BuildEnvironment),
                Program::OnPath => None,
            },
            Decision::Home => {
                if let Some(settings) = workspace.settings_in(&value) {
                    let why = format!("it lies in the repository, and {} has {why}", safe_path(&settings));
                    self.report(Code::BuildOverride, &text, &shown, &why);
                }
                None
            }
            Decision::Flags => {
                self.ignores_vendor = matches!(flags::last(&shown, "mod").as_deref(), Some("mod" | "readonly"));
                for (flag, code) in flags::reported(&shown) {
                    self.report(code, &text, &flag, "a flag for every `go` command");
                }
                None
            }
            Decision::Cleared | Decision::Kept | Decision::Computed => None,
        };
        if let Some(code) = code {
            self.report(code, &text, &shown, why);
        }
        self.variables.insert(name, value);
    }

    fn report(&mut self, code: Code, name: &str, value: &str, why: &str) {
        let value = safe_start(value, MAX_SHOWN);
        self.findings.push(Finding::new(code, format!("{name} is {value:?}: {why}")));
    }

    /// Sets the variables that lead to the mirror and to the caches.
    fn set(&mut self, given: &EnvironmentInputs<'_>) {
        let (go, mirror, caches) = (given.go, given.mirror, given.caches);
        let private = go.get("GOPRIVATE");
        let no_proxy = Patterns::of_go(go.get("GONOPROXY")).without(given.gated).to_string();
        let exempt = given.exempt.to_string();
        let or_nothing = |text: &str| if text.is_empty() { NOTHING.into() } else { text.into() };
        let mut set = vec![
            ("GOPROXY", OsString::from(mirror)),
            ("GOSUMDB", format!("{} {mirror}", given.database.for_go()).into()),
            ("GOINSECURE", NOTHING.into()),
            ("GOENV", "off".into()),
            ("GO111MODULE", "on".into()),
            ("GIT_OPTIONAL_LOCKS", "0".into()),
            ("GONOPROXY", or_nothing(&no_proxy)),
            ("GONOSUMDB", or_nothing(&exempt)),
            ("GOPATH", caches.gopath.clone().into()),
            ("GOMODCACHE", caches.modules.clone().into()),
        ];
        let build = caches.build.as_ref().map_or_else(|| go.get("GOCACHE").into(), OsString::from);
        let optional = [("GOCACHE", build), ("GOPRIVATE", private.into())];
        set.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        self.variables.extend(set.into_iter().map(|(name, value)| (OsString::from(name), value)));
        let kept = [("GOPRIVATE", private.to_owned()), ("GONOPROXY", no_proxy), ("GONOSUMDB", exempt)];
        let kept = kept.into_iter().filter(|(_, value)| !matches!(value.as_str(), "" | NOTHING));
        self.kept = kept.map(|(name, value)| (name.to_owned(), value)).collect();
    }

    /// Sets PATH: without folders that depend on the working folder, and with programs that this run installs before those
    /// that were installed earlier.
    fn path(&mut self, given: &EnvironmentInputs<'_>, workspace: &Workspace) {
        let installed = given.go.gopath().map(|path| path.join("bin"));
        let mut folders = Vec::new();
        for folder in &workspace.folders {
            if Some(folder) == installed.as_ref() {
                folders.push(given.caches.gopath.join("bin"));
            }
            folders.push(folder.clone());
        }
        if workspace.has_relative {
            let why = "the content of the working folder would choose the program";
            self.removed.push(("a relative folder of PATH".to_owned(), why));
        }
        if let Ok(path) = std::env::join_paths(folders) {
            self.variables.insert("PATH".into(), path);
        }
        self.findings.extend(workspace.findings());
    }

    /// Reports a database that only GOSUMDB or the file of `go env -w` chose: an attacker may control both.
    fn database(&mut self, given: &EnvironmentInputs<'_>) {
        if given.is_named || given.database.is_public() {
            return;
        }
        let (name, key) = (safe(given.database.name()), safe(&given.database.key().to_string()));
        let origin = if given.go.is_variable("GOSUMDB") { "the variable GOSUMDB" } else { "`go env -w` (GOENV)" };
        let message = format!("{origin} chose {name} as the checksum database: if you trust it, name it with --sumdb");
        self.findings.push(Finding::new(Code::OtherDatabase, message).fact("database", &name).fact("key", &key));
    }

    /// Reports patterns of private and exempt modules that cover public ones.
    fn wide(&mut self, given: &EnvironmentInputs<'_>) {
        let exempt = given.exempt.to_string();
        let private = given.go.get("GOPRIVATE");
        let gated = given.gated.to_string();
        let named = [
            (Code::WidePrivate, "GOPRIVATE", private),
            (Code::WidePrivate, "GONOPROXY", given.go.get("GONOPROXY")),
            (Code::WidePrivate, "--private", gated.as_str()),
            (Code::WideNosumdb, "GONOSUMDB", exempt.as_str()),
        ];
        for (nth, (code, name, patterns)) in named.iter().enumerate() {
            // The default of GONOPROXY and GONOSUMDB is GOPRIVATE.
            let is_reported = named[..nth].iter().any(|(_, _, other)| other == patterns);
            if let Some([one, other]) = two_public(patterns).filter(|_| !is_reported) {
                let message = format!("{name} is {patterns}, which covers {one} and {other}");
                self.findings.push(Finding::new(*code, message));
            }
        }
    }
}

/// Whether a value is a boolean or a file descriptor, so that git opens no file.
fn is_switch(value: &str) -> bool {
    ["", "true", "false", "yes", "no", "on", "off"].contains(&value.to_lowercase().as_str())
        || value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a variable has its default value, or one without effect.
fn is_usual(name: &str, value: &str) -> bool {
    let value = value.trim();
    let usual = match name {
        "GOAUTH" => matches!(value, "netrc" | "off"),
        "GODEBUG" => !value.split(',').any(|setting| setting.trim() == "allowmultiplevcs=1"),
        _ => name.starts_with("CGO_") && value == DEFAULT_C_FLAGS,
    };
    value.is_empty() || usual
}
