//! `sumgate run`: runs a command that gets Go modules only through its own mirror.

mod caches;
mod go_command;
mod messages;
mod results;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::caches::RunCaches;
use self::go_command::refuse_go_of;
use self::results::Results;
use super::args::{Cache, RunArgs};
use super::bases::Bases;
use super::exit::{Exit, Failure};
use super::policies::Policies;
use super::random::random;
use super::runtime::Runtime;
use super::serve_file::ConfigFile;
use super::sources::SourceConfig;
use super::{ages, bases, config, out, progress, sources};
use crate::base::account::real_home;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::request_context::RequestIds;
use crate::finding::Code;
use crate::gate::{
    self, Accepted, CacheOrigin, DatabaseState, Ended, Environment, EnvironmentInputs, Examination, Examined, Outcome,
    Signals, Snapshot, code,
};
use crate::go::environment::{GoEnv, go_on_path};
use crate::mirror::{BasePath, Mirror, Pipeline};
use crate::policy::Accepting;
use crate::release::{EventLog, Events, Expectations};
use crate::settings::Settings;
use crate::store::{Access, Store};
use crate::sumdb::{Client, Database, DatabaseId, Databases};
use crate::upstream::{Credentials, HttpClient, ProxyList, ProxyListError, Ttls};
use gomodule::module::Patterns;

/// Random bytes in the path of the mirror: 128 bits cannot be guessed.
const PATH_BYTES: usize = 16;

/// Runs the command. The exit codes of sumgate differ from those of common commands.
pub(super) fn run(args: &RunArgs, file: Result<ConfigFile, Failure>) -> Exit {
    // First: the environment may have the key of a seal, which other processes of this user could read.
    let hidden = gate::hide().map_err(|error| Failure::host("hide this process from others", &error));
    match hidden.and_then(|()| gated(args, file)) {
        Ok(code) => Exit::Command(code),
        Err(failure) => {
            out::message(&failure.to_string());
            match failure.exit() {
                Exit::Misbehaviour => Exit::Command(code::MISBEHAVIOUR),
                _ => not_done(),
            }
        }
    }
}

/// The gate could not do its work. Prints whose exit code it is.
pub(super) fn not_done() -> Exit {
    out::message(&format!("exit code {} of sumgate: the gate could not do its work", code::NOT_DONE));
    Exit::Command(code::NOT_DONE)
}

/// The settings of a run.
struct RunContext<'a> {
    args: &'a RunArgs,
    go: GoEnv,
    login: Credentials,
    written: Vec<(String, String)>,
    source_config: SourceConfig,
    exempt: Patterns,
    policies: Policies,
    here: PathBuf,
    home: Option<PathBuf>,
    workspace: PathBuf,
}

fn gated(args: &RunArgs, file: Result<ConfigFile, Failure>) -> Result<u8, Failure> {
    bases::stay_inside(Path::new("."))?;
    // First: a report of an earlier run must not be mistaken for that of this one.
    let results = Results::open(args)?;
    let context = RunContext::of(args, file?.settings)?;
    let http = config::http(args.offline)?;
    let store = Arc::new(config::store(args.state.data.as_deref(), Access::Download)?.auditing(ages::trees_here()?));
    let policies = context.policies.all();
    let clients = config::clients(context.databases()?, &args.state.anchor, &store, &http, &policies)?;
    // The command uses stderr, too.
    out::start_log(out::QUIET);
    let mut kept = RunCaches::open(args, &context.go, &store)?;
    messages::caches(&kept);
    let mut accepting = context.policies.accepting();
    let outcome = Runtime::start()?.block_on(async {
        let (policies, accepting) = (&context.policies, &mut accepting);
        kept.findings = accepting.sort(std::mem::take(&mut kept.findings));
        let is_right = kept.judge_sealed(policies, accepting, args.deny);
        let inherited = kept.prove_inherited(&context.go, &clients, &context.exempt, policies, accepting, args.deny);
        if Box::pin(out::telling_whom(&clients, inherited)).await? && is_right {
            return context.behind_the_gate(&kept, &clients, &store, &http, accepting).await;
        }
        messages::findings(&kept.findings);
        out::message("the command was not started: its module cache has findings");
        let ended = Ended::NotStarted(code::FINDINGS);
        Ok(Outcome { ended, findings: kept.findings.clone(), ..context.outcome(&kept, &clients) })
    });
    finish(args, outcome?, kept, accepting, results)
}

impl<'a> RunContext<'a> {
    fn of(args: &'a RunArgs, settings: Settings) -> Result<Self, Failure> {
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let here = here.map_err(|error| Failure::host("find the working folder", &error))?;
        // Not the variable HOME, with which an attacker could make the repository smaller, or its programs trusted.
        let home = real_home();
        let workspace = gate::workspace(&here, home.as_deref());
        if let Some(distrusted) = gate::distrusted(&workspace, home.as_deref()) {
            refuse_go_of(distrusted)?;
            crate::base::process::distrust(distrusted);
        }
        let go = config::go_env()?;
        let written = go.written().map_err(|error| Failure::host("read the file of `go env -w` (GOENV)", &error))?;
        let mut direct = config::private(&args.private, &args.case)?;
        if args.gate_private {
            for name in ["GOPRIVATE", "GONOPROXY"] {
                direct = direct.with(config::go_patterns(&go, name));
            }
        }
        let login = config::go_login(&go);
        let source_config = source_config(args, settings, &go, direct, &login)?;
        let exempt = config::go_exempt(&args.go_settings, &go)?.with(source_config.private());
        let mut bases = args.base.as_deref().map(Bases::of);
        // An unusable base is an error, not a base without a policy.
        bases.as_mut().map(|bases| bases.at(&here).map(|_| ())).transpose()?;
        let policies = Policies::of(&args.policy, bases.as_mut(), &[".".into()])?;
        Ok(Self { args, go, login, written, source_config, exempt, policies, here, home, workspace })
    }

    fn databases(&self) -> Result<Vec<Database>, Failure> {
        let databases = config::go_databases(&self.args.go_settings, &self.go, &self.login)?;
        // A database or an upstream of a flag, not of the settings of `go`: as for `serve`.
        let is_named = self.args.upstream.is_some() || !self.args.go_settings.sumdb.is_empty();
        let databases = if is_named { self.source_config.reach(databases) } else { databases };
        Ok(self.args.timeout.limit(databases))
    }

    /// Starts the mirror, runs the command, and examines the result.
    async fn behind_the_gate(
        &self,
        kept: &RunCaches,
        clients: &Databases,
        store: &Arc<Store>,
        http: &HttpClient,
        accepting: &mut Accepting,
    ) -> Result<Outcome, Failure> {
        let (pipeline, events) = self.pipeline(clients, store, http)?;
        let gatekeeper = pipeline.clone();
        let mirror = Mirror::start_alone(pipeline, secret_path()?, RequestIds::from_seed(random()?)).await?;
        let environment = self.environment(kept, mirror.url(), clients.at(DatabaseId::FIRST).database());
        let line = progress::show("reading the files of the repository");
        let before = self.snapshot(store).await?;
        let modules = gate::ModuleFiles::read(&self.here, &self.workspace, &environment.work_file(), &before);
        let mut findings =
            [&self.policies.findings, &environment.findings, &modules.findings].map(Clone::clone).concat();
        let (variables, fetches) = (&environment.variables, environment.fetches());
        let distrusted = gate::distrusted(&self.workspace, self.home.as_deref());
        let git = gate::Git { variables, fetches, distrusted };
        findings.extend(git.programs(&self.workspace, before.repositories()).await);
        if kept.usage.modules == CacheOrigin::Inherited {
            findings.extend(gate::examine_clones(&git, &kept.caches.modules).await);
        }
        drop(line);
        // Those of the kept caches are sorted already.
        let mut findings = [kept.findings.clone(), accepting.sort(findings)].concat();
        if self.args.base.is_none() {
            // A command does not make all findings, so an [[accept]] that accepts nothing may be for another one.
            findings.extend(accepting.unused(|_| false));
        }
        messages::removed(&environment.removed);
        messages::findings(&findings);
        let examination = self.examination(kept, &environment, before);

        let mut signals = Signals::new().map_err(|error| Failure::host("listen to signals", &error))?;
        let start = Instant::now();
        let command = gate::run(&self.args.command, &environment, &mut signals);
        let ended = out::telling_whom(clients, command).await;
        let ended = ended.or_else(|error| messages::not_started(&error))?;
        // While the command ran, signals were passed on to it; from here on they end the examination.
        let examined = tokio::select! {
            examined = self.afterwards(mirror, examination, kept, &environment, &events) => examined?,
            (_, signal) = signals.next() => {
                let message = format!("{signal} ended the examination of the command's files: nothing is proved");
                return Err(Failure::new(Fault::Host, message));
            }
        };
        // A build that writes no program, such as `go vet`.
        let is_told = examined.findings.iter().any(|finding| finding.code == Code::ReplacedUnproved);
        let replaced = modules.replaced().filter(|_| !is_told);
        let events = events.snapshot();
        let after = examined.findings.into_iter().chain(replaced).chain(gate::policy_warnings(&events));
        let after = accepting.sort(after.collect());
        messages::findings(&after);
        findings.extend(after);
        Ok(Outcome {
            ended,
            took: start.elapsed(),
            events,
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
        let ttls = Ttls { hold: Some(self.args.hold.hold), ..Ttls::default() };
        let router = if self.args.offline {
            config::offline_router(&[], ttls)?
        } else {
            self.source_config.problems().iter().for_each(|problem| out::message(problem));
            self.source_config.router(ttls, http, store)?
        };
        let events = EventLog::with_list(messages::refusal);
        let expectations = Expectations { databases: clients.clone(), exempt: self.exempt.clone() };
        let policies = self.policies.deciding();
        let pipeline = Pipeline::new(Arc::clone(store), router, expectations, policies, events.clone(), Clock::System);
        Ok((pipeline, events))
    }

    /// What is examined after the command. Paths are resolved before the command can change them.
    fn examination(&self, kept: &RunCaches, environment: &Environment, before: Snapshot) -> Examination {
        let modules = &kept.caches.modules;
        // The command itself may have -mod=vendor, which overrides GOFLAGS.
        let names_vendor = self.args.command.iter().any(|word| word.to_string_lossy().contains("vendor"));
        Examination {
            go: go_on_path(),
            goroot: self.go.goroot().map(Path::to_owned),
            modules: modules.canonicalize().unwrap_or_else(|_| modules.clone()),
            before: Arc::new(before),
            gopath: kept.caches.gopath.clone(),
            subjects: self.args.subject.clone(),
            ignores_vendor: environment.ignores_vendor && !names_vendor,
        }
    }

    /// Stops the mirror, finds processes that are still running, and examines the files of the command.
    async fn afterwards(
        &self,
        mirror: Mirror,
        examination: Examination,
        kept: &RunCaches,
        environment: &Environment,
        events: &EventLog,
    ) -> Result<Examined, Failure> {
        let _line = progress::show("examining what the command left");
        let failed = |error| Failure::host("examine what the command left", &error);
        mirror.stop().await;
        let mut findings = gate::left_running().await.map_err(failed)?;
        let mut hashes = kept.accepted.clone();
        hashes.extend(gate::released_zips(&events.snapshot()));
        let accepted = Accepted { hashes, private: kept.unproved(&environment.kept) };
        let examined = examination.run(accepted).await.map_err(failed)?;
        findings.extend(examined.findings);
        Ok(Examined { findings, ..examined })
    }

    /// The outcome before the command has run.
    fn outcome(&self, kept: &RunCaches, clients: &Databases) -> Outcome {
        Outcome {
            command: self.args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            databases: clients.iter().map(state).collect(),
            upstream: if self.args.offline {
                "none: offline".to_owned()
            } else {
                self.source_config.upstreams.to_string()
            },
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
            accepted: Vec::new(),
            unused: Vec::new(),
        }
    }

    fn environment(&self, kept: &RunCaches, mirror: &str, database: &Database) -> Environment {
        let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        Environment::of(&EnvironmentInputs {
            variables: &variables,
            written: &self.written,
            go: &self.go,
            workspace: &self.workspace,
            home: self.home.as_deref(),
            mirror,
            database,
            is_named: !self.args.go_settings.sumdb.is_empty(),
            exempt: &self.exempt,
            gated: &self.source_config.private(),
            caches: &kept.caches,
        })
    }

    /// The files of the repository and of GOBIN before the command.
    async fn snapshot(&self, store: &Store) -> Result<Snapshot, Failure> {
        let gobin = Some(PathBuf::from(self.go.get("GOBIN"))).filter(|path| path.is_absolute());
        let folders: Vec<PathBuf> = std::iter::once(self.workspace.clone()).chain(gobin).collect();
        let data = store.root().to_owned();
        let taken = tokio::task::spawn_blocking(move || Snapshot::take(&folders, &[data])).await;
        taken.map_err(|error| Failure::host("read the files of the repository", &error))
    }
}

/// The upstreams: those of the flags, or else GOPROXY without `direct` and `off`.
fn source_config(
    args: &RunArgs,
    settings: Settings,
    go: &GoEnv,
    direct: Patterns,
    login: &Credentials,
) -> Result<SourceConfig, Failure> {
    let text = args.upstream.as_deref().unwrap_or_else(|| go.get("GOPROXY"));
    let names_none = matches!(ProxyList::parse(text), Err(ProxyListError::Empty(_)));
    // Offline, no upstream is asked.
    let text = if args.offline && names_none { super::args::DEFAULT_UPSTREAM } else { text };
    sources::of(settings, text, direct, &args.case, Some(login)).map_err(|failure| {
        if !names_none || args.offline {
            return failure;
        }
        let message =
            format!("GOPROXY is {text:?}, which names no proxy to fetch from: add --upstream https://proxy.golang.org");
        Failure::new(Fault::Request, message)
    })
}

fn secret_path() -> Result<BasePath, Failure> {
    BasePath::parse(&hex::encode(random::<PATH_BYTES>()?)).map_err(Failure::usage)
}

fn state(client: &Client) -> DatabaseState {
    DatabaseState {
        name: client.database().name().to_owned(),
        key: client.database().key().to_string(),
        head: client.trusted().map(|head| head.note().to_owned()),
        fork: client.fork(),
    }
}

/// Installs programs, seals the caches, and writes the reports.
fn finish(
    args: &RunArgs,
    mut outcome: Outcome,
    mut kept: RunCaches,
    mut accepting: Accepting,
    mut results: Results,
) -> Result<u8, Failure> {
    let found = if outcome.ended.has_run() { kept.findings_after(&outcome) } else { Vec::new() };
    let found = accepting.sort(found);
    messages::findings(&found);
    outcome.findings.extend(found);
    outcome.accepted = accepting.into_accepted();
    // Depends on the exit code of the run: it includes refusals, which are not findings, and respects --deny.
    let installed = kept.install(&outcome, outcome.verdict(args.deny).is_some());
    let sealed = kept.seal(&outcome, args.deny);
    if let Ok(files) = &installed {
        outcome.installed.clone_from(files);
    }
    messages::summary(&outcome);
    let written = results.write(&outcome);
    drop(kept);
    match installed.map(|_| ()).and(sealed).and(written) {
        Err(failure) if outcome.forked() => out::message(&failure.to_string()),
        done => done?,
    }
    Ok(messages::code(&outcome, args.deny))
}
