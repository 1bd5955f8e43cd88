//! Checked settings: turns arguments into values, or says which are invalid.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::ages;
use super::args::{AddressArgs, CaseArgs, ExemptArgs, GoSettingsArgs, ToolchainArgs};
use super::exit::Failure;
use super::out;
use crate::airgap::{self, FetchPlan, KeptBack, Refusal, Toolchains};
use crate::base::bounded::read_bounded;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::limits::MAX_SUM;
use crate::base::text::safe_start_of_line;
use crate::base::toml_file::{self, Diagnostic, Diagnostics, MAX_FILE};
use crate::base::tree::{Tree, TreeError, Unreadable, open_named, tree_by_words, work_tree};
use crate::go::environment::GoEnv;
use crate::mirror::BasePath;
use crate::policy::{self, Policy};
use crate::store::{Access, Modes, Store, unwritable};
use crate::sumdb::{Anchor, Client, Database, DatabaseError, Databases};
use crate::upstream::{Credentials, HttpClient, ProxyList, ProxyListError, Router, Ttls, UpstreamConfig, UpstreamPool};
use gomodule::gomod::{GoMod, MAX_GO_MOD, Replaced, Replacements, Require};
use gomodule::goversion::GoVersion;
use gomodule::module::Patterns;

/// The databases, in the given order. Names must be unique, because paths contain them.
pub(super) fn databases(texts: &[String]) -> Result<Vec<Database>, Failure> {
    let mut databases: Vec<Database> = Vec::new();
    for text in texts {
        let database = Database::parse(text).map_err(Failure::usage)?;
        if databases.iter().any(|other| other.name() == database.name()) {
            return Err(Failure::new(Fault::Request, format!("the database {} is named twice", database.name())));
        }
        databases.push(database);
    }
    Ok(databases)
}

/// The settings of `go`.
pub(super) fn go_env() -> Result<GoEnv, Failure> {
    let _line = super::progress::show("waiting for `go env`");
    GoEnv::read().map_err(|error| Failure::new(Fault::Host, error.to_string()))
}

/// The login that `go` sends to proxies and databases, by its GOAUTH.
pub(super) fn go_login(go: &GoEnv) -> Credentials {
    Credentials::of_go(go.get("GOAUTH"))
}

/// The databases with that login.
pub(super) fn as_go(databases: Vec<Database>, login: &Credentials) -> Vec<Database> {
    databases.into_iter().map(|database| database.as_go(login)).collect()
}

/// The given databases, or else the one of GOSUMDB, through the proxies of GOPROXY; each with the login of `go`.
pub(super) fn go_databases(args: &GoSettingsArgs, go: &GoEnv, login: &Credentials) -> Result<Vec<Database>, Failure> {
    if !args.sumdb.is_empty() {
        return Ok(as_go(databases(&args.sumdb)?, login));
    }
    let found = Database::parse(go.get("GOSUMDB")).map_err(|error| match error {
        DatabaseError::Off(_) => {
            Failure::new(Fault::Request, "GOSUMDB is off: name a database, such as --sumdb sum.golang.org")
        }
        error => Failure::usage(error),
    })?;
    // A GOPROXY without a proxy (`direct`, `off`) is not an endpoint.
    Ok(vec![match ProxyList::parse(go.get("GOPROXY")) {
        Ok(chain) => found.through_proxies(&chain).as_go(login),
        Err(ProxyListError::Empty(_)) => found.as_go(login),
        Err(error) => return Err(Failure::usage(error)),
    }])
}

/// The modules of GONOSUMDB and `--nosumdb`.
pub(super) fn go_exempt(args: &GoSettingsArgs, go: &GoEnv) -> Result<Patterns, Failure> {
    Ok(go_patterns(go, "GONOSUMDB").with(Patterns::parse(&args.nosumdb).map_err(Failure::usage)?))
}

/// The patterns in a variable of `go`, as `go` reads them. Prints which of them match nothing.
pub(super) fn go_patterns(go: &GoEnv, name: &str) -> Patterns {
    let value = go.get(name);
    // The default of GONOSUMDB and GONOPROXY.
    let set = if !go.is_variable(name) && value == go.get("GOPRIVATE") { "GOPRIVATE" } else { name };
    for glob in Patterns::useless_for_go(value) {
        let why = if glob.contains(char::is_whitespace) {
            "`go` does not remove the white space in it: separate patterns by commas alone"
        } else {
            "it is malformed, and `go` does not say so: write globs such as *.example.com/private"
        };
        out::message(&format!("warning: the pattern {glob:?} of {set} matches no module: {why}"));
    }
    Patterns::of_go(value)
}

/// Opens the data folder.
pub(super) fn store(data: Option<&Path>, access: Access) -> Result<Store, Failure> {
    Ok(Store::open_for(&data_folder(data)?, access, Modes::Private, Clock::System)?)
}

/// The access of a command that proves something, and only stores the proofs to have them next time: a data folder that this user
/// cannot write to is read.
pub(super) fn access_to_prove(data: Option<&Path>, offline: bool) -> Result<Access, Failure> {
    let folder = data_folder(data)?;
    let is_read = offline || (folder.is_dir() && unwritable(&folder).is_some());
    Ok(if is_read { Access::Read } else { Access::Write })
}

/// The data folder: the given one, or the default of this user.
pub(super) fn data_folder(data: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(dir) = data {
        return Ok(dir.to_owned());
    }
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        let message = format!("this user has no default data folder ({error}): name one with --data DIR");
        Failure::new(Fault::Host, message)
    })?;
    Ok(strategy.data_dir().join("sumgate"))
}

/// The clients of the databases, with their state in `store`. Prints which part of that state does not count for `policies`.
pub(super) fn clients(
    databases: Vec<Database>,
    anchor: &[PathBuf],
    store: &Store,
    http: &HttpClient,
    policies: &[Policy],
) -> Result<Databases, Failure> {
    let anchor = anchors(anchor, &databases)?;
    let open = |database| Ok(Client::open(database, store, &anchor, http, Clock::System)?);
    let clients = databases.into_iter().map(open).collect::<Result<Vec<_>, Failure>>()?;
    let databases = Databases::new(clients).ok_or_else(|| Failure::new(Fault::Request, "no database is named"))?;
    ages::tell(&databases, policies);
    Ok(databases)
}

/// The anchors. Each must be signed by one of the databases.
pub(super) fn anchors(files: &[PathBuf], databases: &[Database]) -> Result<Anchor, Failure> {
    let anchor = Anchor::read(files).map_err(Failure::usage)?;
    anchor.check(databases.iter().map(Database::key)).map_err(Failure::usage)?;
    Ok(anchor)
}

/// The HTTP client; an offline one makes no requests.
pub(super) fn http(offline: bool) -> Result<HttpClient, Failure> {
    if offline {
        return Ok(HttpClient::offline());
    }
    HttpClient::new().map_err(|error| Failure::new(Fault::Host, format!("cannot set up the {error}")))
}

/// The client of a command that may make no request at all.
pub(super) fn http_when_needed(offline: bool) -> Result<HttpClient, Failure> {
    if offline {
        return Ok(HttpClient::offline());
    }
    HttpClient::when_needed().map_err(|error| Failure::new(Fault::Host, format!("cannot set up the {error}")))
}

/// What go.sum and go.mod files of main modules need.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) plan: FetchPlan,
    /// Malformed lines.
    pub(super) refused: Vec<Refusal>,
    /// The text of each go.mod, and its name in messages.
    go_mods: Vec<(String, String)>,
}

impl Wanted {
    /// Reads the named files, each a go.sum or a go.mod. The other one is read, too, if it lies beside it. The default is the go.sum
    /// of the working folder; `otherwise` says how to name another one.
    pub(super) fn of(named: &[PathBuf], otherwise: &str) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        if named.is_empty() {
            wanted.add(Path::new("go.sum"), PathSource::Found, otherwise)?;
        }
        named.iter().try_for_each(|path| wanted.add(path, PathSource::Named, otherwise))?;
        Ok(wanted)
    }

    fn add(&mut self, path: &Path, how: PathSource, otherwise: &str) -> Result<(), Failure> {
        let is = |end: &str| path.extension().is_some_and(|extension| extension == end);
        let is_go_mod = is("mod");
        if !is_go_mod && !is("sum") {
            let found = path.display();
            let message = format!(
                "expected a go.sum or a go.mod, found {found}: for a workspace name go.work.sum, and the go.mod of each module"
            );
            return Err(Failure::new(Fault::Request, message));
        }
        let (go_mod, go_sum) = (path.with_extension("mod"), path.with_extension("sum"));
        if let Some(text) = read_go_file(&go_mod, how, MAX_GO_MOD, otherwise, is_go_mod)? {
            let text = String::from_utf8_lossy(&text).into_owned();
            let needs_sums = is_go_mod && needs_sums(&text);
            self.go_mods.push((text, go_mod.display().to_string()));
            self.add_sums(&go_sum, how, otherwise, needs_sums)
        } else {
            self.add_sums(&go_sum, how, otherwise, true)
        }
    }

    fn add_sums(&mut self, go_sum: &Path, how: PathSource, otherwise: &str, must: bool) -> Result<(), Failure> {
        if let Some(bytes) = read_go_file(go_sum, how, MAX_SUM, otherwise, must)? {
            let (plan, refused) = airgap::of_go_sum(&go_sum.display().to_string(), &bytes);
            self.plan.join(&plan);
            self.refused.extend(refused);
        }
        Ok(())
    }

    /// Adds the toolchains that the go.mod files name.
    pub(super) fn add_toolchains(&mut self, toolchains: &Toolchains) {
        for (text, shown) in &self.go_mods {
            self.refused.extend(toolchains.add_for_main(text, shown, &mut self.plan).err());
        }
    }
}

/// Whether a module must have a go.sum: `go` writes none if there are no requirements, or if folders replace all of them.
fn needs_sums(go_mod: &str) -> bool {
    let (go_mod, _) = GoMod::read(go_mod.as_bytes());
    let replacements = Replacements::of(&go_mod.replaces);
    let source = |require: &Require| require.source(replacements.find(&require.path, &require.version));
    !go_mod.requires.iter().all(|require| matches!(source(require), Ok(Replaced::Folder(_))))
}

/// The bytes of a go.mod or go.sum; `None` if it is missing, and may be.
fn read_go_file(
    path: &Path,
    how: PathSource,
    max: u64,
    otherwise: &str,
    must: bool,
) -> Result<Option<Vec<u8>>, Failure> {
    let shown = path.display();
    let file = match open(path, how) {
        Ok(file) => file,
        Err(error) => {
            let is_absent = matches!(&error, TreeError::Unreadable(Unreadable { cause, .. }) if cause.kind() == io::ErrorKind::NotFound);
            if is_absent && !must {
                return Ok(None);
            }
            return Err(Failure::new(Fault::Host, format!("{error}{}", if is_absent { otherwise } else { "" })));
        }
    };
    let bytes = read_bounded(file, max).map_err(|error| Failure::host(&format!("read {shown}"), &error))?;
    bytes.map(Some).ok_or_else(|| Failure::new(Fault::Request, format!("{shown} has more than {max} bytes")))
}

/// The toolchains that a closed network needs, which has the `go` of this machine unless another one is named.
pub(super) fn toolchains(args: &ToolchainArgs) -> Result<Toolchains, Failure> {
    let here = || Ok::<_, Failure>(GoVersion::parse(go_env()?.get("GOVERSION")));
    let target = args.target_go.clone().map_or_else(here, |target| Ok(Some(target)))?;
    let platforms = args.platform.iter().map(|platform| platform.0.clone()).collect();
    Ok(Toolchains { target, platforms })
}

/// The modules of `--private`.
pub(super) fn private(text: &str, case: &CaseArgs) -> Result<Patterns, Failure> {
    Ok(patterns("--private", text)?.ignoring_case_on(&case.ignore_case_on))
}

/// The modules that are exempt from the databases.
pub(super) fn exempt(args: &ExemptArgs) -> Result<Patterns, Failure> {
    Ok(patterns("--nosumdb", &args.nosumdb)?.with(private(&args.private, &args.case)?))
}

/// The modules of GONOPROXY and GONOSUMDB that flags have not `named`: a go.sum lists private modules, too.
pub(super) fn kept_back(named: &Patterns, go: &GoEnv) -> KeptBack {
    let mut private = go_patterns(go, "GONOSUMDB");
    if go.get("GONOPROXY") != go.get("GONOSUMDB") {
        private = private.with(go_patterns(go, "GONOPROXY"));
    }
    KeptBack { private, named: named.clone() }
}

/// A router that never makes a request: `upstreams` has folders, or nothing.
pub(super) fn offline_router(upstreams: &[UpstreamConfig], ttls: Ttls) -> Result<Router, Failure> {
    let pool = UpstreamPool::new(upstreams, &HttpClient::offline(), ttls, Clock::System);
    Ok(Router::new(pool.map_err(|error| Failure::host("set up the upstreams", &error))?, Vec::new()))
}

/// The base path and the exempt modules.
pub(super) fn address(args: &AddressArgs) -> Result<(BasePath, Patterns), Failure> {
    let base = BasePath::parse(&args.at.base_path).map_err(Failure::usage)?;
    Ok((base, exempt(&args.exempt)?))
}

/// The URL of a mirror, without a trailing `/`.
pub(super) fn mirror_url(url: &str) -> Result<String, Failure> {
    let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let message = || Failure::new(Fault::Request, format!("--url {url:?}: expected an http or https URL"));
    parsed.map(|_| url.trim_end_matches('/').to_owned()).ok_or_else(message)
}

/// The patterns of a flag. A pattern that cannot match is an error: it would leave private modules unprotected.
pub(super) fn patterns(flag: &str, text: &str) -> Result<Patterns, Failure> {
    if text.split(',').all(|glob| glob.trim().is_empty()) {
        return Ok(Patterns::default());
    }
    toml_file::patterns(text).map_err(|why| Failure::new(Fault::Request, format!("{flag} {text:?}: {why}")))
}

/// The nearest `sumgate.toml` at or above the working folder.
pub(super) fn find_policy() -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    // A dangling link counts, too: it is an unreadable policy, not a missing one.
    let exists = |file: &PathBuf| file.symlink_metadata().is_ok();
    let found = folder.ancestors().map(|folder| folder.join("sumgate.toml")).find(exists)?;
    // Relative if it is in the working folder.
    Some(found.strip_prefix(&folder).map(Path::to_owned).unwrap_or(found))
}

/// Reads a policy that must be valid. Says what it does not mean, but seems to say.
pub(super) fn read_policy(path: &Path, how: PathSource) -> Result<Policy, Failure> {
    let read = check_policy(path, how)?;
    let policy = read.map_err(|diagnostics| Failure::new(Fault::Request, diagnostics.join("\n")))?;
    for doubt in policy::misleading(&policy) {
        out::message(&format!("{}:{doubt}", path.display()));
    }
    Ok(policy)
}

/// Reads a policy. Each diagnostic begins with file, line and column.
pub(super) fn check_policy(path: &Path, how: PathSource) -> Result<Result<Policy, Vec<String>>, Failure> {
    Ok(policy_in(path, &read_file("policy", path, how)?))
}

/// Parses the policy in a text of this file.
pub(super) fn policy_in(path: &Path, text: &str) -> Result<Policy, Vec<String>> {
    policy::parse(text).map_err(|diagnostics| diagnostics_of(path, diagnostics))
}

/// Reads a file of settings; `what` is its name in messages. One byte more than the limit is read, so that the parser detects a file
/// that is too large.
pub(super) fn read_file(what: &str, path: &Path, how: PathSource) -> Result<String, Failure> {
    let file = format!("the {what} {}", path.display());
    let unreadable = |cause: &io::Error| Failure::host(&format!("read {file}"), cause);
    let opened = open(path, how).map_err(|error| match error {
        TreeError::NotRegular { found, .. } => {
            let message = format!("cannot read {file} [not-a-regular-file]: expected a regular file, found {found}");
            Failure::new(Fault::Request, message)
        }
        TreeError::Unreadable(Unreadable { cause, .. }) => unreadable(&cause),
    })?;
    let mut text = String::new();
    opened.take(MAX_FILE as u64 + 1).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    Ok(text)
}

/// Where the path of a file is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathSource {
    /// Named by the user: it can be anywhere. If the path enters a repository, it must not leave it through a link.
    Named,
    /// Found at or above the working folder. If others can write the tree, it must not leave it through a link.
    Found,
}

fn open(path: &Path, how: PathSource) -> Result<File, TreeError> {
    let unreadable = Unreadable::at(path);
    if how == PathSource::Named {
        return match tree_by_words(path).map_err(unreadable)? {
            Some(tree) => tree.open(path),
            None => open_named(path),
        };
    }
    let at = Path::new(".").canonicalize().map_err(unreadable)?.join(path);
    let tree = Tree::around(Path::new(".")).map_err(unreadable)?;
    if at.starts_with(tree.root()) {
        return tree.open(path);
    }
    // Others can write the repository around a submodule, too.
    match at.parent().filter(|folder| work_tree(folder).is_some()) {
        Some(folder) => Tree::around(folder).map_err(unreadable)?.open(path),
        None => open_named(path),
    }
}

/// The diagnostics of a file; each begins with file, line and column.
pub(super) fn diagnostics_of(path: &Path, diagnostics: Diagnostics) -> Vec<String> {
    let shown = safe_start_of_line(&path.to_string_lossy());
    let line = |c: Diagnostic| format!("{shown}:{}:{}: {}", c.line, c.column, c.words);
    diagnostics.0.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use super::*;

    fn wanted(name: &str, text: &str) -> Result<Wanted, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Wanted::of(&[path], "")
    }

    #[test]
    fn a_go_sum_is_needed_if_a_requirement_is_not_replaced_by_a_folder() {
        let replaced = "module a.com/a\n\nrequire b.com/b v1.0.0\n\nreplace b.com/b => ./b\n";
        assert_eq!(wanted("go.mod", replaced).unwrap().plan.files(), 0);
        assert_eq!(wanted("go.mod", "module a.com/a\n").unwrap().plan.files(), 0);
        for remains in ["require c.com/c v1.0.0\n", "replace b.com/b v1.0.0 => d.com/d v1.2.0\n"] {
            assert!(wanted("go.mod", &format!("{replaced}{remains}")).is_err(), "{remains}");
        }
    }

    #[test]
    fn a_file_that_is_no_go_mod_and_no_go_sum_is_refused() {
        for name in ["go.work", "go", "vendor.txt"] {
            let Err(failure) = wanted(name, "go 1.27\nuse ./a\n") else { panic!("{name}") };
            assert!(failure.to_string().contains("expected a go.sum or a go.mod, found "), "{failure}");
        }
    }
}
