//! `sumgate run`: a command that gets Go modules only through a mirror of its own.

mod caches;
mod results;
mod told;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::caches::Kept;
use self::results::Results;
use super::args::{Cache, RunArgs};
use super::bases::Bases;
use super::exit::{Exit, Failure};
use super::policies::Policies;
use super::sources::SourceConfig;
use super::{ages, bases, config, out, sources};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::finding::{Code, Finding};
use crate::gate::{
    self, Accepted, CacheOrigin, DatabaseState, Ended, Environment, EnvironmentInputs, Examination, Examined, Outcome,
    Signals, Snapshot, code,
};
use crate::go::environment::{GoEnv, go_on_path};
use crate::mirror::{BasePath, Mirror, Pipeline};
use crate::release::{EventLog, Events, Expectations};
use crate::store::{Access, Store};
use crate::sumdb::{Client, Database, DatabaseId, Databases};
use crate::upstream::{HttpClient, ProxyList, ProxyListError, Ttls};
use gomodule::module::Patterns;

/// Bytes of randomness in the path of the mirror: nobody guesses 128 bits.
const PATH_BYTES: usize = 16;

/// How long work that is broken off by a signal may go on in other threads. They end with this process.
const BROKEN_OFF: Duration = Duration::from_secs(1);

/// Runs the command. Every ending has a code of its own, so that none is taken for the command's.
pub(super) fn run(args: &RunArgs) -> Exit {
    // First of all: the key of a seal may be in the environment, and others on this machine could read it there.
    let hidden = gate::hide().map_err(|error| Failure::host("hide this process from others", &error));
    match hidden.and_then(|()| gated(args)) {
        Ok(code) => Exit::Command(code),
        Err(failure) => {
            out::complain(&failure.to_string());
            match failure.exit() {
                Exit::Misbehaviour => Exit::Command(code::MISBEHAVIOUR),
                _ => not_done(),
            }
        }
    }
}

/// The gate did not do its work. Says whose code that is.
pub(super) fn not_done() -> Exit {
    out::complain(&format!("exit code {} of sumgate: the gate could not do its work", code::NOT_DONE));
    Exit::Command(code::NOT_DONE)
}

/// What is known before anything is started.
struct Setting<'a> {
    args: &'a RunArgs,
    go: GoEnv,
    written: Vec<(String, String)>,
    said: SourceConfig,
    exempt: Patterns,
    policies: Policies,
    here: PathBuf,
    home: Option<PathBuf>,
    workspace: PathBuf,
}

fn gated(args: &RunArgs) -> Result<u8, Failure> {
    bases::stay_inside(Path::new("."))?;
    // First of all: what an earlier run wrote must not be taken for this one's, however early this one ends.
    let results = Results::open(args)?;
    let setting = Setting::of(args)?;
    let http = if args.offline { HttpClient::offline() } else { config::http()? };
    let store = Arc::new(config::store(args.state.data.as_deref(), Access::Download)?.auditing(ages::trees_here()?));
    let policies = setting.policies.all();
    let clients = config::clients(setting.databases()?, &args.state.anchor, &store, &http, &policies)?;
    // Stderr is the command's, too.
    out::start_log(out::QUIET);
    let mut kept = Kept::open(args, &setting.go, &store)?;
    told::caches(&kept);
    let runtime = config::runtime()?;
    let outcome = runtime.block_on(async {
        let is_right = kept.judge_sealed(&setting.policies, args.deny);
        if kept.prove_inherited(&setting.go, &clients, &setting.exempt, &setting.policies, args.deny).await? && is_right
        {
            return setting.behind_the_gate(&kept, &clients, &store, &http).await;
        }
        told::findings(&kept.findings);
        out::complain("the command was not started: the module cache that it would use is not right");
        let ended = Ended::NotStarted(code::FINDINGS);
        Ok(Outcome { ended, findings: kept.findings.clone(), ..setting.outcome(&kept, &clients) })
    });
    runtime.shutdown_timeout(BROKEN_OFF);
    finish(args, outcome?, kept, results)
}

impl<'a> Setting<'a> {
    fn of(args: &'a RunArgs) -> Result<Self, Failure> {
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let here = here.map_err(|error| Failure::host("find the working folder", &error))?;
        let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
        // Not the variable HOME: whoever sets it would make the repository smaller.
        let account = gate::account_home().and_then(|home| home.canonicalize().ok());
        let workspace = gate::workspace(&here, account.as_deref());
        if let Some(distrusted) = gate::distrusted(&workspace, home.as_deref()) {
            refuse_go_of(distrusted)?;
            crate::base::process::distrust(distrusted);
        }
        let go = config::go_env()?;
        let written = go.written().map_err(|error| Failure::host("read the file of `go env -w` (GOENV)", &error))?;
        let mut direct = config::patterns("--private", &args.private)?;
        if args.gate_private {
            for name in ["GOPRIVATE", "GONOPROXY"] {
                direct = direct.with(Patterns::parse(go.get(name)).map_err(Failure::usage)?);
            }
        }
        let said = said(args, &go, direct)?;
        let exempt = config::surrounding_exempt(&args.surrounding.nosumdb, &go)?.with(said.private());
        let mut bases = args.base.as_deref().map(Bases::of);
        // A base that cannot be asked is no base that says nothing.
        bases.as_mut().map(|bases| bases.at(&here).map(|_| ())).transpose()?;
        let policies = Policies::of(&args.policy, bases.as_mut(), &[".".into()])?;
        Ok(Self { args, go, written, said, exempt, policies, here, home, workspace })
    }

    fn databases(&self) -> Result<Vec<Database>, Failure> {
        let databases = config::surrounding_databases(&self.args.surrounding, &self.go)?;
        // A database or an upstream that was named, and not found in the settings of `go`: then as `serve` has it.
        let is_named = self.args.upstream.is_some() || !self.args.surrounding.sumdb.is_empty();
        let reached = |database: Database| if is_named { database.with_fallbacks(&self.said.chain) } else { database };
        Ok(databases.into_iter().map(reached).collect())
    }

    /// Runs the command between a mirror of its own and an examination of what it leaves.
    async fn behind_the_gate(
        &self,
        kept: &Kept,
        clients: &Databases,
        store: &Arc<Store>,
        http: &HttpClient,
    ) -> Result<Outcome, Failure> {
        let (pipeline, events) = self.pipeline(clients, store, http)?;
        let gatekeeper = pipeline.clone();
        let mirror = Mirror::start_alone(pipeline, secret_path()?).await?;
        let environment = self.environment(kept, mirror.url(), clients.at(DatabaseId::FIRST).database());
        let before = self.snapshot(store).await?;
        let mut findings =
            [self.policies.findings.clone(), kept.findings.clone(), environment.findings.clone()].concat();
        let modules = gate::ModuleFiles::read(&self.here, &self.workspace, &environment.work_file(), &before);
        findings.extend(modules.findings.clone());
        let (variables, fetches) = (&environment.variables, environment.fetches());
        let distrusted = gate::distrusted(&self.workspace, self.home.as_deref());
        let git = gate::Git { variables, fetches, distrusted };
        findings.extend(git.programs(&self.workspace, before.repositories()).await);
        if kept.usage.modules == CacheOrigin::Inherited {
            findings.extend(gate::examine_clones(&git, &kept.caches.modules).await);
        }
        told::removed(&environment.removed);
        told::findings(&findings);
        let examination = self.examination(kept, &environment, before);

        let mut signals = Signals::new().map_err(|error| Failure::host("listen to signals", &error))?;
        let start = Instant::now();
        let ended = gate::run(&self.args.command, &environment, &mut signals).await;
        let ended = ended.or_else(|error| told::not_started(&error))?;
        // Signals were the command's while it ran. Now they are ours.
        let examined = tokio::select! {
            examined = self.afterwards(mirror, examination, kept, &environment, &events) => examined?,
            (_, signal) = signals.next() => {
                let words = format!("{signal} came before it was known what the command left: nothing is proved");
                return Err(Failure::new(Fault::Host, words));
            }
        };
        // A build that writes no program, such as `go vet`.
        let is_told = examined.findings.iter().any(|finding| finding.code == Code::ReplacedUnproved);
        let replaced = modules.replaced().filter(|_| !is_told);
        let after: Vec<Finding> = examined.findings.into_iter().chain(replaced).collect();
        told::findings(&after);
        findings.extend(after);
        Ok(Outcome {
            ended,
            took: start.elapsed(),
            events: events.snapshot(),
            kept: environment.kept,
            removed: environment.removed,
            programs: examined.programs,
            installed: examined.installed,
            findings,
            unused: gatekeeper.unused_exceptions(),
            ..self.outcome(kept, clients)
        })
    }

    fn pipeline(
        &self,
        clients: &Databases,
        store: &Arc<Store>,
        http: &HttpClient,
    ) -> Result<(Pipeline, EventLog), Failure> {
        let waits = Ttls { hold: Some(self.args.hold.hold), ..Ttls::default() };
        let sources = if self.args.offline {
            config::nowhere(waits)?
        } else {
            sources::troubles(self.said.chain.upstreams()).for_each(|why| out::complain(&why));
            self.said.sources(waits, http, store)?
        };
        let events = EventLog::with_list(told::refusal);
        let expectations = Expectations { databases: clients.clone(), exempt: self.exempt.clone() };
        let policies = self.policies.deciding();
        let pipeline = Pipeline::new(Arc::clone(store), sources, expectations, policies, events.clone(), Clock::System);
        Ok((pipeline, events))
    }

    /// What is looked at afterwards, as it is named before the command can change what the names mean.
    fn examination(&self, kept: &Kept, environment: &Environment, before: Snapshot) -> Examination {
        let modules = &kept.caches.modules;
        Examination {
            go: go_on_path(),
            goroot: self.go.goroot().map(Path::to_owned),
            modules: modules.canonicalize().unwrap_or_else(|_| modules.clone()),
            before: Arc::new(before),
            gopath: kept.caches.gopath.clone(),
            subjects: self.args.subject.clone(),
            ignores_vendor: environment.ignores_vendor && !self.names_vendor(),
        }
    }

    /// Stops the mirror, and examines what the command left. What it left running comes first.
    async fn afterwards(
        &self,
        mirror: Mirror,
        examination: Examination,
        kept: &Kept,
        environment: &Environment,
        events: &EventLog,
    ) -> Result<Examined, Failure> {
        let failed = |error| Failure::host("examine what the command left", &error);
        mirror.stop().await;
        let mut findings = gate::left_running().await.map_err(failed)?;
        let mut hashes = kept.accepted.clone();
        hashes.extend(gate::released_zips(&events.snapshot()));
        let accepted = Accepted { hashes, private: self.private(kept, environment) };
        let examined = examination.run(accepted).await.map_err(failed)?;
        findings.extend(examined.findings);
        Ok(Examined { findings, ..examined })
    }

    /// What is known without the command.
    fn outcome(&self, kept: &Kept, clients: &Databases) -> Outcome {
        Outcome {
            command: self.args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            databases: clients.iter().map(state).collect(),
            upstream: if self.args.offline { "none: offline".to_owned() } else { self.said.chain.to_string() },
            caches: kept.usage.clone(),
            policies: self.policies.in_force(),
            ended: Ended::NotStarted(code::NOT_DONE),
            took: Duration::ZERO,
            events: Events::default(),
            kept: Vec::new(),
            removed: Vec::new(),
            programs: Vec::new(),
            installed: Vec::new(),
            findings: Vec::new(),
            unused: Vec::new(),
        }
    }

    /// Whether the command itself may say -mod=vendor, which counts more than GOFLAGS.
    fn names_vendor(&self) -> bool {
        self.args.command.iter().any(|word| word.to_string_lossy().contains("vendor"))
    }

    fn environment(&self, kept: &Kept, mirror: &str, database: &Database) -> Environment {
        let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        Environment::of(&EnvironmentInputs {
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
    async fn snapshot(&self, store: &Store) -> Result<Snapshot, Failure> {
        let gobin = Some(PathBuf::from(self.go.get("GOBIN"))).filter(|path| path.is_absolute());
        let folders: Vec<PathBuf> = std::iter::once(self.workspace.clone()).chain(gobin).collect();
        let data = store.root().to_owned();
        let taken = tokio::task::spawn_blocking(move || Snapshot::take(&folders, &[data])).await;
        taken.map_err(|error| Failure::host("look at the files of the repository", &error))
    }

    /// Modules that the command may fetch past the gate, or that lay in its cache unproved.
    fn private(&self, kept: &Kept, environment: &Environment) -> Patterns {
        let past = environment.kept.iter().find(|(name, _)| name == "GONOPROXY").map_or("", |(_, value)| value);
        let past = Patterns::parse(past).unwrap_or_default();
        if kept.usage.modules == CacheOrigin::Inherited { past.with(self.exempt.clone()) } else { past }
    }
}

/// Where bytes come from: as named, else the job's own GOPROXY, whose `direct` and `off` fall away.
fn said(args: &RunArgs, go: &GoEnv, direct: Patterns) -> Result<SourceConfig, Failure> {
    let text = args.upstream.as_deref().unwrap_or_else(|| go.get("GOPROXY"));
    let names_none = matches!(ProxyList::parse(text), Err(ProxyListError::Empty(_)));
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

/// A `go` that lies in the repository answers as whoever wrote the repository likes, also when it is asked for its settings.
fn refuse_go_of(workspace: &Path) -> Result<(), Failure> {
    let Some(go) = go_on_path() else { return Ok(()) };
    let folder = go.parent().and_then(|folder| folder.canonicalize().ok());
    let is_inside = |path: PathBuf| path.starts_with(workspace);
    if !folder.is_some_and(is_inside) && !go.canonicalize().is_ok_and(is_inside) {
        return Ok(());
    }
    let words = format!(
        "expected a `go` command outside of the repository, found {} on the PATH, in {}: it was not asked for its settings. \
         Take that folder off the PATH, or keep the toolchain elsewhere",
        go.display(),
        workspace.display()
    );
    Err(Failure::new(Fault::Request, words))
}

fn secret_path() -> Result<BasePath, Failure> {
    let mut bytes = [0; PATH_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Failure::host("get random bytes", &error))?;
    BasePath::parse(&hex::encode(bytes)).map_err(Failure::usage)
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
fn finish(args: &RunArgs, mut outcome: Outcome, mut kept: Kept, mut results: Results) -> Result<u8, Failure> {
    let found = if outcome.ended.has_run() { kept.findings_after(&outcome) } else { Vec::new() };
    told::findings(&found);
    outcome.findings.extend(found);
    // What counts is the code that the run ends with: a refusal is no finding, and --deny decides about the others.
    let installed = kept.install(&outcome, outcome.verdict(args.deny).is_some());
    let sealed = kept.seal(&outcome, args.deny);
    if let Ok(files) = &installed {
        outcome.installed.clone_from(files);
    }
    told::summary(&outcome);
    let written = results.write(&outcome);
    drop(kept);
    match installed.map(|_| ()).and(sealed).and(written) {
        Err(failure) if outcome.forked() => out::complain(&failure.to_string()),
        done => done?,
    }
    Ok(told::code(&outcome, args.deny))
}
