//! Checked settings: what the typed words mean, or which of them cannot be used.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::ages;
use super::args::{AddressArgs, AnchorArgs, DatabaseArgs, GoSettingsArgs};
use super::exit::Failure;
use crate::airgap::{self, FetchPlan, Refusal};
use crate::base::bounded::read_bounded;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::limits::MAX_SUM;
use crate::base::toml_file::{self, Diagnostic, Diagnostics, MAX_FILE};
use crate::base::tree::{Tree, TreeError, Unreadable, open_named, tree_by_words, work_tree};
use crate::go::environment::GoEnv;
use crate::mirror::BasePath;
use crate::policy::{self, Policy};
use crate::store::{Access, Modes, Store};
use crate::sumdb::{Anchor, Client, Database, DatabaseError, Databases};
use crate::upstream::{HttpClient, ProxyList, ProxyListError, Router, Ttls, UpstreamPool};
use gomodule::module::{ModuleVersion, Patterns};

/// The databases, in the order they were named. No two have one name: paths lead to them by name.
pub(super) fn databases(args: &DatabaseArgs) -> Result<Vec<Database>, Failure> {
    let mut databases: Vec<Database> = Vec::new();
    for text in &args.sumdb {
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
    GoEnv::read().map_err(|error| Failure::new(Fault::Host, error.to_string()))
}

/// The databases that are named, else the one that `go` would ask, reached as `go` would reach it.
pub(super) fn surrounding_databases(args: &GoSettingsArgs, go: &GoEnv) -> Result<Vec<Database>, Failure> {
    if !args.sumdb.is_empty() {
        return databases(&DatabaseArgs { sumdb: args.sumdb.clone() });
    }
    let found = Database::parse(go.get("GOSUMDB")).map_err(|error| match error {
        DatabaseError::Off(_) => Failure::new(
            Fault::Request,
            "GOSUMDB is off here, so there is nothing to check against: name a database, such as --sumdb sum.golang.org",
        ),
        error => Failure::usage(error),
    })?;
    // A GOPROXY that names no proxy (`direct`, `off`) passes nothing on.
    Ok(vec![match ProxyList::parse(go.get("GOPROXY")) {
        Ok(chain) => found.through_proxies(&chain),
        Err(ProxyListError::Empty(_)) => found,
        Err(error) => return Err(Failure::usage(error)),
    }])
}

/// The modules that `go` would not ask about, and those of `--nosumdb`.
pub(super) fn surrounding_exempt(nosumdb: &str, go: &GoEnv) -> Result<Patterns, Failure> {
    let parse = |text: &str| Patterns::parse(text).map_err(Failure::usage);
    Ok(parse(go.get("GONOSUMDB"))?.with(parse(nosumdb)?))
}

/// The data folder, opened for what a command does there.
pub(super) fn store(data: Option<&Path>, access: Access) -> Result<Store, Failure> {
    Ok(Store::open_for(&data_folder(data)?, access, Modes::Private, Clock::System)?)
}

/// The data folder: as named, or the one of this user.
pub(super) fn data_folder(data: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(dir) = data {
        return Ok(dir.to_owned());
    }
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        let words = format!("this machine has no data folder for this user ({error}): name one with --data DIR");
        Failure::new(Fault::Host, words)
    })?;
    Ok(strategy.data_dir().join("sumgate"))
}

/// The databases' clients, with their state in `store`. Says what of that state does not count under `policies`.
pub(super) fn clients(
    databases: Vec<Database>,
    anchor: &AnchorArgs,
    store: &Store,
    http: &HttpClient,
    policies: &[Policy],
) -> Result<Databases, Failure> {
    let anchor = anchors(anchor, &databases)?;
    let open = |database| Ok(Client::open(database, store, &anchor, http.clone(), Clock::System)?);
    let clients = databases.into_iter().map(open).collect::<Result<Vec<_>, Failure>>()?;
    let databases = Databases::new(clients).ok_or_else(|| Failure::new(Fault::Request, "no database is named"))?;
    ages::tell(&databases, policies);
    Ok(databases)
}

/// The anchors, each of which has to be for one of the databases.
pub(super) fn anchors(args: &AnchorArgs, databases: &[Database]) -> Result<Anchor, Failure> {
    let anchor = Anchor::read(&args.anchor).map_err(Failure::usage)?;
    anchor.check(databases.iter().map(Database::key)).map_err(Failure::usage)?;
    Ok(anchor)
}

/// The HTTP client.
pub(super) fn http() -> Result<HttpClient, Failure> {
    HttpClient::new().map_err(|error| Failure::host("set up the HTTP client", &error))
}

/// What a go.sum needs, and its lines that say nothing. One that nobody named lies in the tree around the working folder.
/// `otherwise` says how to name another one.
pub(super) fn wanted_of(named: Option<&Path>, otherwise: &str) -> Result<(FetchPlan, Vec<Refusal>), Failure> {
    let (go_sum, how) = named.map_or((Path::new("go.sum"), Come::Found), |path| (path, Come::Named));
    let shown = go_sum.display().to_string();
    let file = open(go_sum, how).map_err(|error| {
        let is_absent =
            matches!(&error, TreeError::Unreadable(Unreadable { cause, .. }) if cause.kind() == io::ErrorKind::NotFound);
        Failure::new(Fault::Host, format!("{error}{}", if is_absent { otherwise } else { "" }))
    })?;
    let bytes = read_bounded(file, MAX_SUM).map_err(|error| Failure::host(&format!("read {shown}"), &error))?;
    let bytes = bytes.ok_or_else(|| Failure::new(Fault::Request, format!("{shown} has more than {MAX_SUM} bytes")))?;
    Ok(airgap::of_go_sum(&shown, &bytes))
}

/// The modules that no database is asked about.
pub(super) fn exempt(nosumdb: &str, private: &str) -> Result<Patterns, Failure> {
    Ok(patterns("--nosumdb", nosumdb)?.with(patterns("--private", private)?))
}

/// Leaves out of `wanted` what `go` here would name to no proxy or no database, unless it is among those that were `named`
/// on the command line: a go.sum has private modules in it, too. That they are missing has to be told.
pub(super) fn unnamed_private(wanted: &mut FetchPlan, named: &Patterns) -> Result<Vec<Refusal>, Failure> {
    let go = go_env()?;
    let patterns = |setting| Patterns::parse(go.get(setting)).map_err(Failure::usage);
    let left_out = wanted.leave_out(&patterns("GONOPROXY")?.with(patterns("GONOSUMDB")?), named);
    let why = "GONOPROXY or GONOSUMDB of `go` here (by default GOPRIVATE) covers it, so nobody was asked: \
               --private PATTERNS fetches it direct, --nosumdb PATTERNS from --upstream and unproved";
    let refusal = |module: ModuleVersion| Refusal { what: module.to_string(), why: why.into(), fault: Fault::Absent };
    Ok(left_out.into_iter().map(refusal).collect())
}

/// No source at all: what is not in the store is then asked of nobody.
pub(super) fn nowhere(waits: Ttls) -> Result<Router, Failure> {
    let pool = UpstreamPool::new(&[], &HttpClient::offline(), waits, Clock::System);
    Ok(Router::new(pool.map_err(|error| Failure::host("set up no upstream", &error))?, Vec::new()))
}

/// The base path and the exempt modules.
pub(super) fn address(args: &AddressArgs) -> Result<(BasePath, Patterns), Failure> {
    let base = BasePath::parse(&args.base_path).map_err(Failure::usage)?;
    Ok((base, exempt(&args.nosumdb, &args.private)?))
}

/// Patterns that can match, or none at all. A typed one that cannot would name private modules to everybody.
pub(super) fn patterns(flag: &str, text: &str) -> Result<Patterns, Failure> {
    if text.split(',').all(|glob| glob.trim().is_empty()) {
        return Ok(Patterns::default());
    }
    toml_file::patterns(text).map_err(|why| Failure::new(Fault::Request, format!("{flag} {text:?}: {why}")))
}

/// The nearest `sumgate.toml` at or above the working folder.
pub(super) fn find_policy() -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    // Whatever has the name counts: a link that leads nowhere is a policy that was lost, not one that nobody wrote.
    let exists = |file: &PathBuf| file.symlink_metadata().is_ok();
    let found = folder.ancestors().map(|folder| folder.join("sumgate.toml")).find(exists)?;
    // One in the working folder is shown by its name alone.
    Some(found.strip_prefix(&folder).map(Path::to_owned).unwrap_or(found))
}

/// Reads a policy that was named and has to be right.
pub(super) fn read_policy(path: &Path) -> Result<Policy, Failure> {
    check_policy(path, Come::Named)?.map_err(|complaints| Failure::new(Fault::Request, complaints.join("\n")))
}

/// Reads a policy. Diagnostics have the file before line and column, as compilers have it.
pub(super) fn check_policy(path: &Path, how: Come) -> Result<Result<Policy, Vec<String>>, Failure> {
    Ok(policy_in(path, &text_of("policy", path, how)?))
}

/// The policy in a text that came from this file.
pub(super) fn policy_in(path: &Path, text: &str) -> Result<Policy, Vec<String>> {
    policy::parse(text).map_err(|complaints| complaints_of(path, complaints))
}

/// Reads a file of settings, which is called `what` and was named by a person.
pub(super) fn read_file(what: &str, path: &Path) -> Result<String, Failure> {
    text_of(what, path, Come::Named)
}

/// The text of a file of settings. One byte more than it may have is read, so that too large is told from cut off.
fn text_of(what: &str, path: &Path, how: Come) -> Result<String, Failure> {
    let file = format!("the {what} {}", path.display());
    let unreadable = |cause: &io::Error| Failure::host(&format!("read {file}"), cause);
    let opened = open(path, how).map_err(|error| match error {
        TreeError::NotRegular { found, .. } => {
            let words = format!("cannot read {file} [not-a-regular-file]: expected a regular file, found {found}");
            Failure::new(Fault::Request, words)
        }
        TreeError::Unreadable(Unreadable { cause, .. }) => unreadable(&cause),
    })?;
    let mut text = String::new();
    opened.take(MAX_FILE as u64 + 1).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    Ok(text)
}

/// How a file came to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Come {
    /// A person named it: it may lie anywhere. Where the words lead into a repository, it must not lead out of it.
    Named,
    /// It was found at or above the working folder. Where others wrote the tree, it must not lead out of it.
    Found,
}

fn open(path: &Path, how: Come) -> Result<File, TreeError> {
    let unreadable = Unreadable::at(path);
    if how == Come::Named {
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
    // The repository around a submodule was written by others, too.
    match at.parent().filter(|folder| work_tree(folder).is_some()) {
        Some(folder) => Tree::around(folder).map_err(unreadable)?.open(path),
        None => open_named(path),
    }
}

/// What is wrong with a file, each with the file before line and column.
pub(super) fn complaints_of(path: &Path, complaints: Diagnostics) -> Vec<String> {
    let shown = path.display();
    let line = |c: Diagnostic| format!("{shown}:{}:{}: {}", c.line, c.column, c.words);
    complaints.0.into_iter().map(line).collect()
}

/// An async runtime for a command.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new().map_err(|error| Failure::host("start the async runtime", &error))
}

/// The line that points `go` at the mirror at `url`.
pub(super) fn go_env_line(url: &str, database: &Database, exempt: &Patterns) -> String {
    let mut line = format!("go env -w GOPROXY={url} GOSUMDB=\"{} {url}\"", database.for_go());
    if !exempt.is_empty() {
        line.push_str(&format!(" GONOSUMDB=\"{exempt}\""));
    }
    line
}
