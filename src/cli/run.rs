//! `sumgate run`: a command that gets Go modules only through a mirror of its own.

mod caches;
mod told;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use self::caches::Kept;
use super::args::{Cache, RunArgs};
use super::exit::{Exit, Failure};
use super::sources::Said;
use super::{config, out, sources};
use crate::fault::Fault;
use crate::finding::{Code, Finding, Severity};
use crate::gate::{self, Accepted, DatabaseState, Environment, Examination, Given, Outcome, Snapshot, code};
use crate::goenv::{GoEnv, go_on_path};
use crate::mirror::{BasePath, Mirror, Pipeline, Trail, Vouchers};
use crate::module::Patterns;
use crate::origin::{Chain, ChainError, HttpClient, Waits};
use crate::policy::Policy;
use crate::store::Store;
use crate::sumdb::{Client, Database};

/// Bytes of randomness in the path of the mirror: nobody guesses 128 bits.
const PATH_BYTES: usize = 16;

/// Runs the command. Every ending has a code of its own, so that none is taken for the command's.
pub(super) fn run(args: &RunArgs) -> Exit {
    match gated(args) {
        Ok(code) => Exit::Command(code),
        Err(failure) => {
            out::complain(&failure.to_string());
            Exit::Command(code::NOT_DONE)
        }
    }
}

/// What is known before anything is started.
struct Setting<'a> {
    args: &'a RunArgs,
    go: GoEnv,
    written: Vec<(String, String)>,
    said: Said,
    exempt: Patterns,
    policy: Option<(PathBuf, Policy)>,
    here: PathBuf,
    home: Option<PathBuf>,
    workspace: PathBuf,
}

fn gated(args: &RunArgs) -> Result<u8, Failure> {
    let setting = Setting::of(args)?;
    // Held to the end: whoever reads from a pipe must not see its end before.
    let _open = [create(args.report.as_deref())?, create(args.attest.as_deref())?];
    let http = if args.offline { HttpClient::offline() } else { config::http()? };
    let store = Arc::new(config::store(args.state.data.as_deref())?);
    let clients = config::clients(setting.databases()?, &args.state.anchor, &store, &http)?;
    // Stderr is the command's, too.
    out::start_log("off");
    let mut kept = Kept::open(args, &setting.go, &store)?;
    told::caches(&kept);
    let runtime = config::runtime()?;
    let outcome = runtime.block_on(async {
        kept.prove_inherited(&clients, &setting.exempt).await?;
        if kept.findings.iter().any(|finding| finding.severity() == Severity::Error) {
            told::findings(&kept.findings);
            let words = "the command was not started: the module cache that it would inherit is not right";
            out::complain(words);
            return Ok(Err(code::FINDINGS));
        }
        setting.behind_the_gate(&kept, &clients, &store, &http).await
    })?;
    match outcome {
        Ok(outcome) => finish(args, outcome, kept),
        Err(code) => Ok(code),
    }
}

impl<'a> Setting<'a> {
    fn of(args: &'a RunArgs) -> Result<Self, Failure> {
        let go = config::go_env()?;
        let written = go.written().map_err(|error| Failure::host("read the file of `go env -w` (GOENV)", &error))?;
        let mut direct = config::patterns("--private", &args.private)?;
        if args.gate_private {
            for name in ["GOPRIVATE", "GONOPROXY"] {
                direct = direct.with(Patterns::parse(go.get(name)).map_err(|error| Failure::usage(&error))?);
            }
        }
        let said = said(args, &go, direct)?;
        let exempt = config::surrounding_exempt(&args.surrounding.nosumdb, &go)?.with(said.private());
        let policy = config::policy(&args.policy)?;
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let here = here.map_err(|error| Failure::host("find the working folder", &error))?;
        let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
        let workspace = gate::workspace(&here, home.as_deref());
        Ok(Self { args, go, written, said, exempt, policy, here, home, workspace })
    }

    fn databases(&self) -> Result<Vec<Database>, Failure> {
        let databases = config::surrounding_databases(&self.args.surrounding, &self.go)?;
        // A database or an upstream that was named, and not found in the settings of `go`: then as `serve` has it.
        let is_named = self.args.upstream.is_some() || !self.args.surrounding.sumdb.is_empty();
        let reached = |database: Database| if is_named { database.or_through(&self.said.chain) } else { database };
        Ok(databases.into_iter().map(reached).collect())
    }

    /// Runs the command; or says with which code the gate ends without it.
    async fn behind_the_gate(
        &self,
        kept: &Kept,
        clients: &[Client],
        store: &Arc<Store>,
        http: &HttpClient,
    ) -> Result<Result<Outcome, u8>, Failure> {
        let waits = Waits { hold: Some(self.args.hold.hold), ..Waits::default() };
        let sources = if self.args.offline {
            config::nowhere(waits)?.into()
        } else {
            sources::troubles(self.said.chain.links()).for_each(|why| out::complain(&why));
            self.said.sources(waits, http, store)?
        };
        let trail = Trail::kept(told::refusal);
        let vouchers = Vouchers { databases: clients.to_vec(), exempt: self.exempt.clone() };
        let (policy_file, policy) = self.policy.clone().unzip();
        let pipeline = Pipeline::new(Arc::clone(store), sources, vouchers, policy, trail.clone());
        let gatekeeper = pipeline.clone();
        let mirror = Mirror::start_alone(pipeline, secret_path()?).await?;
        let environment = self.environment(kept, mirror.url(), clients[0].database());
        let before = self.snapshot(store);
        let modules = gate::Modules::read(&self.here, &self.workspace, &environment.work_file(), &before);
        let mut findings = [kept.findings.clone(), environment.findings.clone(), modules.findings.clone()].concat();
        let git = gate::Git { variables: &environment.variables, fetches: environment.fetches() };
        findings.extend(git.programs(&self.workspace, before.repositories()).await);
        told::removed(&environment.removed);
        told::findings(&findings);
        let told_before = findings.len();
        let go = go_on_path();

        let start = Instant::now();
        let ended = gate::run(&self.args.command, &environment).await;
        findings.extend(gate::left_running().await);
        mirror.stop().await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => return told::not_started(&error).map(Err),
        };
        let trails = trail.so_far();
        let mut hashes = kept.accepted.clone();
        hashes.extend(gate::released_zips(&trails));
        let examined = Examination {
            go: go.as_deref(),
            goroot: self.go.goroot(),
            modules: kept.caches.modules.path(),
            before: &before,
            gopath: &kept.caches.gopath,
            subjects: &self.args.subject,
            ignores_vendor: environment.ignores_vendor && !self.names_vendor(),
        };
        let examined = examined.run(Accepted { hashes, private: self.private(kept, &environment) }).await;
        findings.extend(examined.findings);
        // A build that writes no program, such as `go vet`.
        let is_told = findings.iter().any(|finding| finding.code == Code::ReplacedUnproved);
        findings.extend(modules.replaced().filter(|_| !is_told));
        told::findings(&findings[told_before..]);
        Ok(Ok(Outcome {
            command: self.args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            ended,
            took: start.elapsed(),
            trails,
            databases: clients.iter().map(state).collect(),
            upstream: if self.args.offline { "none: offline".to_owned() } else { self.said.chain.to_string() },
            kept: environment.kept,
            removed: environment.removed,
            caches: kept.usage.clone(),
            programs: examined.programs,
            installed: examined.installed,
            findings,
            policy: policy_file,
            unused: gatekeeper.unused_exceptions(),
        }))
    }

    /// Whether the command itself may say -mod=vendor, which counts more than GOFLAGS.
    fn names_vendor(&self) -> bool {
        self.args.command.iter().any(|word| word.to_string_lossy().contains("vendor"))
    }

    fn environment(&self, kept: &Kept, mirror: &str, database: &Database) -> Environment {
        let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        Environment::of(&Given {
            variables: &variables,
            written: &self.written,
            go: &self.go,
            workspace: &self.workspace,
            home: self.home.as_deref(),
            mirror,
            database,
            is_named: !self.args.surrounding.sumdb.is_empty(),
            exempt: &self.exempt,
            gated: &self.said.private(),
            caches: &kept.caches,
        })
    }

    /// The files of the repository and of GOBIN before the command.
    fn snapshot(&self, store: &Store) -> Snapshot {
        let gobin = Some(PathBuf::from(self.go.get("GOBIN"))).filter(|path| path.is_absolute());
        let folders: Vec<PathBuf> = std::iter::once(self.workspace.clone()).chain(gobin).collect();
        Snapshot::take(&folders, &[store.root().to_owned()])
    }

    /// Modules that the command may fetch past the gate, or that lay in its cache unproved.
    fn private(&self, kept: &Kept, environment: &Environment) -> Patterns {
        let past = environment.kept.iter().find(|(name, _)| name == "GONOPROXY").map_or("", |(_, value)| value);
        let past = Patterns::parse(past).unwrap_or_default();
        if kept.usage.modules == "inherited" { past.with(self.exempt.clone()) } else { past }
    }
}

/// Where bytes come from: as named, else the job's own GOPROXY, whose `direct` and `off` fall away.
fn said(args: &RunArgs, go: &GoEnv, direct: Patterns) -> Result<Said, Failure> {
    let text = args.upstream.as_deref().unwrap_or_else(|| go.get("GOPROXY"));
    let names_none = matches!(Chain::parse(text), Err(ChainError::Empty(_)));
    // Offline nobody is asked.
    let text = if args.offline && names_none { super::args::DEFAULT_UPSTREAM } else { text };
    sources::said(args.config.as_deref(), text, direct).map_err(|failure| {
        if !names_none || args.offline {
            return failure;
        }
        let words =
            format!("GOPROXY is {text:?}, which names no proxy to fetch from: add --upstream https://proxy.golang.org");
        Failure::new(Fault::Request, words)
    })
}

fn secret_path() -> Result<BasePath, Failure> {
    let mut bytes = [0; PATH_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Failure::host("get random bytes", &error))?;
    BasePath::parse(&hex::encode(bytes)).map_err(|error| Failure::usage(&error))
}

fn state(client: &Client) -> DatabaseState {
    DatabaseState {
        name: client.database().name().to_owned(),
        key: client.database().key().to_string(),
        head: client.trusted().map(|head| head.note().to_owned()),
        fork: client.fork(),
    }
}

/// Installs, seals, and writes what there is to say.
fn finish(args: &RunArgs, mut outcome: Outcome, mut kept: Kept) -> Result<u8, Failure> {
    let is_wrong = |findings: &[Finding]| findings.iter().any(|finding| finding.severity() == Severity::Error);
    let wrong = is_wrong(&outcome.findings) || outcome.forked();
    let installed = kept.install(&outcome, wrong);
    let sealed = if wrong { Ok(None) } else { kept.seal() };
    if let Ok(files) = &installed {
        outcome.installed.clone_from(files);
    }
    told::summary(&outcome);
    let report = write(args.report.as_deref(), Some(&gate::report(&outcome)));
    let statement = (!outcome.trails.released.is_empty()).then(|| gate::attestation(&outcome));
    if args.attest.is_some() && statement.is_none() {
        out::complain("no attestation was written: nothing was released");
    }
    let attestation = write(args.attest.as_deref(), statement.as_ref());
    drop(kept);
    let code = outcome.exit_code(args.deny);
    match installed.map(|_| ()).and(sealed.map(|_| ())).and(report).and(attestation) {
        Err(failure) if outcome.forked() => out::complain(&failure.to_string()),
        done => done?,
    }
    told::code(&outcome, code);
    Ok(code)
}

/// Opened before the command runs: a long build must not end in a mistyped path, and what an earlier run wrote must not
/// be taken for this one's.
fn create(path: Option<&Path>) -> Result<Option<File>, Failure> {
    let Some(path) = path else { return Ok(None) };
    File::create(path).map(Some).map_err(|error| Failure::host(&format!("write {}", path.display()), &error))
}

/// Writes the value; without one the file that was opened for it goes.
fn write(path: Option<&Path>, value: Option<&serde_json::Value>) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let written = match value {
        Some(value) => fs::write(path, format!("{value:#}\n")),
        None if path.is_file() => fs::remove_file(path),
        None => Ok(()),
    };
    written.map_err(|error| Failure::host(&format!("write {}", path.display()), &error))
}
