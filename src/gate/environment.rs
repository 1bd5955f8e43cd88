//! The environment of the gated command: what is set, removed, and passed on, and what of it has to be told.
//!
//! `go` reads variables, the file of `go env -w` (GOENV), and its own go.env. The file is resolved here and GOENV is off,
//! so that everything the command sees was decided by `environment/table`.

mod flags;
mod inside;
mod table;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use self::inside::Inside;
use self::table::{Decision, decision};
use super::folder::Caches;
use crate::base::text::{safe, safe_path, safe_start};
use crate::finding::{Code, Finding};
use crate::go::environment::GoEnv;
use crate::policy::two_public;
use crate::sumdb::Database;
use gomodule::module::Patterns;

/// Matches no module: `go` takes an empty variable for one that is not set, and would use GOPRIVATE.
const NOTHING: &str = "none";
/// How much of a value is shown.
const MAX_SHOWN: usize = 200;
/// What `go` takes for the flags of C compilers where none are set.
const DEFAULT_C_FLAGS: &str = "-g -O2";

/// What the environment is made of.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The variables of this process.
    pub variables: &'a [(OsString, OsString)],
    /// What `go env -w` wrote down.
    pub written: &'a [(String, String)],
    /// The settings of `go`.
    pub go: &'a GoEnv,
    /// The folder of the repository, without links.
    pub workspace: &'a Path,
    /// The user's home, without links.
    pub home: Option<&'a Path>,
    /// The mirror.
    pub mirror: &'a str,
    /// The first database.
    pub database: &'a Database,
    /// The user named the database, so that no setting of `go` chose it.
    pub is_named: bool,
    /// What the mirror exempts.
    pub exempt: &'a Patterns,
    /// Private modules that come through the mirror.
    pub gated: &'a Patterns,
    /// The caches of the run.
    pub caches: &'a Caches,
}

/// The environment of the command.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// All its variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// What was removed, with why.
    pub removed: Vec<(String, &'static str)>,
    /// Settings of private and exempt modules that count.
    pub kept: Vec<(String, String)>,
    /// What of it has to be told.
    pub findings: Vec<Finding>,
    /// Builds take no vendor folder: GOFLAGS says so.
    pub ignores_vendor: bool,
}

/// Whether the table decides about a variable by its own name, rather than as an unknown one.
pub fn is_decided(name: &str) -> bool {
    table::entries().any(|(entry, ..)| entry != "GIT_*" && table::fits(entry, name))
}

impl Environment {
    /// Decides about each variable.
    pub fn of(given: &Given<'_>) -> Self {
        let mut all: BTreeMap<OsString, OsString> = BTreeMap::new();
        for (name, value) in given.written {
            all.insert(name.into(), value.into());
        }
        // An empty variable is one that is not set, for `go`.
        let is_set = |(name, value): &&(OsString, OsString)| !value.is_empty() || !all.contains_key(name);
        let set: Vec<_> = given.variables.iter().filter(is_set).cloned().collect();
        all.extend(set);
        let path = all.get(OsStr::new("PATH")).map(OsString::as_os_str);
        let inside = Inside::new(given.workspace, given.home, path, given.go.installed());
        let mut this = Self::default();
        for (name, value) in all {
            this.decide(given, &inside, name, value);
        }
        this.set(given);
        this.path(given, &inside);
        this.wide(given);
        this.database(given);
        this
    }

    /// Whether the command may fetch private modules past the gate.
    pub fn fetches(&self) -> bool {
        self.kept.iter().any(|(name, _)| name == "GONOPROXY")
    }

    /// GOWORK as it is set, and not as `go` would find it; empty if it is not.
    pub fn work_file(&self) -> String {
        self.variables.get(OsStr::new("GOWORK")).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn decide(&mut self, given: &Given<'_>, inside: &Inside, name: OsString, value: OsString) {
        let Some((text, (decision, why))) = name.to_str().and_then(|text| Some((text.to_owned(), decision(text)?)))
        else {
            self.variables.insert(name, value);
            return;
        };
        let shown = value.to_string_lossy().into_owned();
        let replaces_the_cache = text == "GOCACHEPROG" && given.caches.build.is_none();
        match decision {
            Decision::Set => return,
            Decision::Cleared if !replaces_the_cache => {
                if !value.is_empty() && !text.starts_with("SUMGATE_") {
                    self.removed.push((text, why));
                }
                return;
            }
            Decision::Override if !shown.is_empty() => self.tell(Code::BuildOverride, &text, &shown, why),
            Decision::Note if !is_usual(&text, &shown) => self.tell(Code::BuildEnvironment, &text, &shown, why),
            Decision::Path if inside.has(&value) => self.tell(Code::BuildOverride, &text, &shown, why),
            Decision::Output if !is_switch(&shown) => self.tell(Code::BuildEnvironment, &text, &shown, why),
            Decision::Home => {
                if let Some(settings) = inside.settings_in(&value) {
                    let why = format!("it lies in the repository, and {} has {why}", safe_path(&settings));
                    self.tell(Code::BuildOverride, &text, &shown, &why);
                }
            }
            Decision::Program | Decision::Helper => match inside.program(&shown) {
                inside::Program::Inside => self.tell(Code::BuildOverride, &text, &shown, why),
                inside::Program::Elsewhere if decision == Decision::Program => {
                    self.tell(Code::BuildEnvironment, &text, &shown, why);
                }
                inside::Program::Elsewhere | inside::Program::OnPath => {}
            },
            Decision::WorkFile if !matches!(shown.as_str(), "" | "off" | "auto") && !inside.has(&value) => {
                self.tell(Code::BuildOverride, &text, &shown, why);
            }
            Decision::Flags => {
                self.ignores_vendor = matches!(flags::last(&shown, "mod").as_deref(), Some("mod" | "readonly"));
                for (flag, decision) in flags::reported(&shown) {
                    let code =
                        if decision == Decision::Override { Code::BuildOverride } else { Code::BuildEnvironment };
                    self.tell(code, &text, &flag, "a flag for every `go` command");
                }
            }
            _ => {}
        }
        self.variables.insert(name, value);
    }

    fn tell(&mut self, code: Code, name: &str, value: &str, why: &str) {
        let value = safe_start(value, MAX_SHOWN);
        self.findings.push(Finding::new(code, format!("{name} is {value:?}: {why}")));
    }

    /// What leads to the mirror and to the caches.
    fn set(&mut self, given: &Given<'_>) {
        let (go, mirror) = (given.go, given.mirror);
        let no_proxy = left(go.get("GONOPROXY"), given.gated);
        let or_nothing = |text: String| if text.is_empty() { NOTHING.to_owned() } else { text };
        let mut set = vec![
            ("GOPROXY", OsString::from(mirror)),
            ("GOSUMDB", format!("{} {mirror}", given.database.for_go()).into()),
            ("GOINSECURE", NOTHING.into()),
            ("GOENV", "off".into()),
            ("GO111MODULE", "on".into()),
            ("GIT_OPTIONAL_LOCKS", "0".into()),
            ("GONOPROXY", or_nothing(no_proxy.clone()).into()),
            ("GONOSUMDB", or_nothing(given.exempt.to_string()).into()),
            ("GOPATH", given.caches.gopath.clone().into()),
        ];
        set.push(("GOMODCACHE", given.caches.modules.path().into()));
        set.extend(given.caches.build.iter().map(|path| ("GOCACHE", path.into())));
        let private = go.get("GOPRIVATE");
        if !private.is_empty() {
            set.push(("GOPRIVATE", private.into()));
        }
        if given.caches.build.is_none() && !go.get("GOCACHE").is_empty() {
            set.push(("GOCACHE", go.get("GOCACHE").into()));
        }
        self.variables.extend(set.into_iter().map(|(name, value)| (OsString::from(name), value)));
        let kept =
            [("GOPRIVATE", private.to_owned()), ("GONOPROXY", no_proxy), ("GONOSUMDB", given.exempt.to_string())];
        let kept = kept.into_iter().filter(|(_, value)| !matches!(value.as_str(), "" | NOTHING));
        self.kept = kept.map(|(name, value)| (name.to_owned(), value)).collect();
    }

    /// PATH without folders that depend on the working folder, and with what this run installs before what was installed
    /// earlier.
    fn path(&mut self, given: &Given<'_>, inside: &Inside) {
        let installed = given.go.gopath().map(|path| path.join("bin"));
        let mut folders = Vec::new();
        for folder in &inside.folders {
            if Some(folder) == installed.as_ref() {
                folders.push(given.caches.gopath.join("bin"));
            }
            folders.push(folder.clone());
        }
        if inside.has_relative {
            let why = "whoever made the folder would choose the program";
            self.removed.push(("a relative folder of PATH".to_owned(), why));
        }
        if let Ok(path) = std::env::join_paths(folders) {
            self.variables.insert("PATH".into(), path);
        }
        self.findings.extend(inside.findings());
    }

    /// Whoever sets GOSUMDB, or restores the file of `go env -w`, would say who vouches for all modules.
    fn database(&mut self, given: &Given<'_>) {
        if given.is_named || given.database.is_public() {
            return;
        }
        let (name, key) = (safe(given.database.name()), safe(&given.database.key().to_string()));
        let origin = if given.go.is_variable("GOSUMDB") { "the variable GOSUMDB" } else { "`go env -w` (GOENV)" };
        let message = format!("{origin} chose {name} to vouch for modules: if you trust it, name it with --sumdb");
        self.findings.push(Finding::new(Code::OtherDatabase, message).fact("database", &name).fact("key", &key));
    }

    fn wide(&mut self, given: &Given<'_>) {
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
            // GONOPROXY and GONOSUMDB are GOPRIVATE, unless they are set.
            let told_before = named[..nth].iter().any(|(_, _, other)| other == patterns);
            if let Some([one, other]) = two_public(patterns).filter(|_| !told_before) {
                let message = format!("{name} is {patterns}, which covers {one} and {other}");
                self.findings.push(Finding::new(*code, message));
            }
        }
    }
}

fn left(list: &str, others: &Patterns) -> String {
    let others = others.to_string();
    let others: Vec<&str> = others.split(',').collect();
    let left = list.split(',').map(str::trim).filter(|glob| !glob.is_empty() && !others.contains(glob));
    left.collect::<Vec<_>>().join(",")
}

/// Whether a value says yes, no, or the number of an open file: git writes it to no file by name.
fn is_switch(value: &str) -> bool {
    ["", "true", "false", "yes", "no", "on", "off"].contains(&value.to_lowercase().as_str())
        || value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a variable says what is so without it.
fn is_usual(name: &str, value: &str) -> bool {
    let value = value.trim();
    let usual = match name {
        "GOAUTH" => matches!(value, "netrc" | "off"),
        "GODEBUG" => !value.split(',').any(|setting| setting.trim() == "allowmultiplevcs=1"),
        _ => name.starts_with("CGO_") && value == DEFAULT_C_FLAGS,
    };
    value.is_empty() || usual
}
