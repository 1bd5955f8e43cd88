//! `sumgate run`: a command behind a mirror of its own.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::RunArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::{out, sources};
use crate::fault::Fault;
use crate::finding::safe;
use crate::gate::{self, DatabaseState, Environment, Outcome};
use crate::goenv::GoEnv;
use crate::mirror::{BasePath, Mirror, Pipeline, Trail, Vouchers};
use crate::origin::{Chain, ChainError, Origin, Waits};
use crate::store::Store;
use crate::sumdb::{Client, Database};

pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let chain = upstream(args, &go)?;
    let databases = config::surrounding_databases(&args.surrounding, &go)?;
    // A database or an upstream that was named, and not found in the settings of `go`: then as `serve` has it.
    let is_named = args.upstream.is_some() || !args.surrounding.sumdb.is_empty();
    let reached = |database: Database| if is_named { database.or_through(&chain) } else { database };
    let databases = databases.into_iter().map(reached).collect();
    let exempt = config::surrounding_exempt(&args.surrounding.nosumdb, &go)?;
    let (policy_file, policy) = config::policy(&args.policy)?.unzip();
    let http = config::http()?;
    // Held to the end: whoever reads from a pipe must not see its end before.
    let _open = [create(args.report.as_deref())?, create(args.attest.as_deref())?];
    // Gone at the end, unless it holds evidence.
    let scratch = tempfile::tempdir().map_err(|error| Failure::host("make a temporary folder", &error))?;
    let store = Arc::new(Store::open(args.cache.as_deref().unwrap_or(scratch.path()))?);
    let clients = config::clients(databases, &args.anchor, &store, &http)?;
    for why in sources::troubles(chain.links()) {
        out::complain(&why);
    }
    // Stderr is the command's, too.
    out::start_log("off");

    let trail = Trail::kept();
    let vouchers = Vouchers { databases: clients.clone(), exempt: exempt.clone() };
    let waits = Waits { hold: Some(args.hold.hold), ..Waits::default() };
    let origin = Origin::new(&chain, &http, waits).map_err(|error| Failure::host("set up the upstreams", &error))?;
    let pipeline = Pipeline::new(store, origin.into(), vouchers, policy, trail.clone());
    let gatekeeper = pipeline.clone();
    let start = Instant::now();
    let (ended, environment) = config::runtime()?.block_on(async {
        let mirror = Mirror::start(pipeline, ([127, 0, 0, 1], 0).into(), BasePath::default()).await?;
        let environment = Environment::behind(mirror.url(), clients[0].database(), &exempt, &go);
        let ended = gate::run(&args.command, &environment).await;
        mirror.stop().await;
        let ended = ended.map_err(|error| Failure::new(error.fault(), crate::fault::in_full(&error)))?;
        Ok::<_, Failure>((ended, environment))
    })?;
    let outcome = Outcome {
        command: args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        ended,
        took: start.elapsed(),
        trails: trail.so_far(),
        databases: clients.iter().map(state).collect(),
        upstream: chain.to_string(),
        kept: environment.kept,
        policy: policy_file,
        unused: gatekeeper.unused_exceptions(),
    };
    if args.cache.is_none() && outcome.forked() {
        let _kept = scratch.keep();
    }
    summary(&outcome);
    let report = write(args.report.as_deref(), &gate::report(&outcome));
    let attestation = write(args.attest.as_deref(), &gate::attestation(&outcome));
    finish(&outcome, report.and(attestation))
}

/// 3 before 2 before 1 before the command's own.
fn finish(outcome: &Outcome, written: Result<(), Failure>) -> Result<Exit, Failure> {
    match written {
        Err(failure) if outcome.forked() => out::complain(&failure.to_string()),
        written => written?,
    }
    Ok(exit(outcome))
}

/// Where bytes come from: as named, else the job's own GOPROXY, whose `direct` and `off` fall away.
fn upstream(args: &RunArgs, go: &GoEnv) -> Result<Chain, Failure> {
    let text = args.upstream.as_deref().unwrap_or_else(|| go.get("GOPROXY"));
    Chain::parse(text).map_err(|error| match error {
        ChainError::Empty(_) => Failure::new(
            Fault::Request,
            format!("GOPROXY is {text:?}, which names no proxy to fetch from: add --upstream https://proxy.golang.org"),
        ),
        error => Failure::usage(&error),
    })
}

fn state(client: &Client) -> DatabaseState {
    DatabaseState {
        name: client.database().name().to_owned(),
        key: client.database().key().to_string(),
        head: client.trusted().map(|head| head.note().to_owned()),
        fork: client.fork(),
    }
}

/// What the gate has to say, on stderr: the output is the command's.
fn summary(outcome: &Outcome) {
    for reason in outcome.trails.refused.values() {
        let lines: Vec<String> = reason.lines().map(safe).collect();
        out::complain(&lines.join("\n"));
    }
    for fork in outcome.databases.iter().filter_map(|database| database.fork.as_ref()) {
        out::complain(&format!("THE DATABASE MISBEHAVED, evidence in {}", fork.display()));
    }
    for exception in &outcome.unused {
        let (line, modules) = (exception.line(), exception.modules());
        out::complain(&format!("the exception in line {line} of the policy ({modules}) lifted nothing"));
    }
    let (released, refused) = (&outcome.trails.released, outcome.trails.refused.len());
    let bytes: u64 = released.values().map(|file| file.bytes).sum();
    let unproved = outcome.unproved();
    let mut line = format!("{} files proved and released", released.len() - unproved);
    if unproved > 0 {
        line.push_str(&format!(", {unproved} exempt ones released UNPROVED"));
    }
    line.push_str(&format!(" ({bytes} bytes), {refused} refused"));
    if outcome.trails.dropped > 0 {
        line.push_str(&format!(", {} not listed", outcome.trails.dropped));
    }
    if let Some(policy) = &outcome.policy {
        line.push_str(&format!(", policy {}", policy.display()));
    }
    for (name, value) in &outcome.kept {
        line.push_str(&format!(", {name}={value} kept"));
    }
    out::complain(&format!("{line}, {} ms", Duration::as_millis(&outcome.took)));
}

/// Opened before the command runs: a long build must not end in a mistyped path, and what an earlier run wrote must not
/// be taken for this one's.
fn create(path: Option<&Path>) -> Result<Option<File>, Failure> {
    let Some(path) = path else { return Ok(None) };
    File::create(path).map(Some).map_err(|error| Failure::host(&format!("write {}", path.display()), &error))
}

fn write(path: Option<&Path>, value: &serde_json::Value) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, format!("{value:#}\n")).map_err(|error| Failure::host(&format!("write {}", path.display()), &error))
}

fn exit(outcome: &Outcome) -> Exit {
    if outcome.forked() {
        Exit::Misbehaviour
    } else if !outcome.trails.refused.is_empty() {
        Exit::Findings
    } else {
        Exit::Command(outcome.ended.code())
    }
}
