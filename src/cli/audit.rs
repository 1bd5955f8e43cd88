//! `sumgate audit`: go.sum files and the module cache, held against the database.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use super::ages;
use super::args::{AuditArgs, OutputArgs};
use super::bases::Bases;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use super::policies::Policies;
use crate::audit::{Audit, Entry, find, read, read_module_cache};
use crate::fault::Fault;
use crate::finding::{Code, Ending, RenderOptions, Report, render};
use crate::goenv::GoEnv;
use crate::origin::HttpClient;

pub(super) fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let databases = config::surrounding_databases(&args.surrounding, &go)?;
    let exempt = config::surrounding_exempt(&args.surrounding.nosumdb, &go)?;
    let mut bases = args.base.as_deref().map(Bases::of);
    let policies = Policies::of(&args.policy, bases.as_mut(), &args.paths)?;
    let (files, entries) = if args.modcache { module_cache(&go)? } else { go_sums(args, bases.as_mut())? };

    let http = if args.offline { HttpClient::offline() } else { config::http()? };
    let store = config::store(args.state.data.as_deref())?.auditing(ages::trees_of(&args.paths)?);
    let clients = config::clients(databases, &args.state.anchor, &store, &http, &policies.all())?;
    let at_once = usize::from(args.concurrency);
    let in_force = policies.in_force();
    let Policies { now: policy, base, findings } = policies;
    let base_policy = base.map(|(_, policy)| policy);
    let audit = Audit { clients, exempt, at_once, policy, base_policy, now: SystemTime::now() };
    let answered = AtomicUsize::new(0);
    let total = audit.wanted(&entries).len();
    let work = audit.run(&entries, &answered);
    let mut report = config::runtime()?.block_on(out::with_progress("looking up", total, &answered, work));
    report.files = files;
    report.policies = Some(in_force);
    report.findings.splice(..0, findings);
    report.base = bases.iter().flat_map(Bases::compared_with).collect();
    if args.base.is_some() {
        // What only old lines need is needed all the same.
        report.findings.retain(|finding| finding.code != Code::UnusedException);
    }
    show(&report, &args.output)
}

/// Prints a report and says how it ends.
pub(super) fn show(report: &Report, output: &OutputArgs) -> Result<Exit, Failure> {
    let options = RenderOptions { colour: out::colour(output.color), verbose: output.verbose, deny: output.deny };
    out::deliver(&render(report, output.format, options))?;
    Ok(ending(report, output))
}

/// The exit code of a report.
pub(super) fn ending(report: &Report, output: &OutputArgs) -> Exit {
    match report.ending(output.deny) {
        Ending::Misbehaviour => Exit::Misbehaviour,
        Ending::NotFinished => Exit::NotFinished,
        Ending::Findings => Exit::Findings,
        Ending::Clean => Exit::Fine,
    }
}

fn go_sums(args: &AuditArgs, mut bases: Option<&mut Bases>) -> Result<(Vec<PathBuf>, Vec<Entry>), Failure> {
    let (mut seen, mut files, mut entries) = (HashSet::new(), Vec::new(), Vec::new());
    for path in &args.paths {
        let targets = find(path).map_err(|error| Failure::usage(&error))?;
        let base = bases.as_mut().map(|bases| bases.at(path)).transpose()?;
        for target in targets {
            // A path may be named twice, and lie below another.
            if seen.insert(target.sum.clone()) {
                entries.extend(read(&target, base).map_err(|error| Failure::usage(&error))?);
                files.push(target.sum);
            }
        }
    }
    Ok((files, entries))
}

fn module_cache(go: &GoEnv) -> Result<(Vec<PathBuf>, Vec<Entry>), Failure> {
    let nowhere = || Failure::new(Fault::Request, "there is no module cache: set GOMODCACHE to where it is");
    let cache = go.module_cache().ok_or_else(nowhere)?;
    let entries = read_module_cache(&cache, &AtomicUsize::new(0)).map_err(|error| Failure::usage(&error))?;
    if entries.is_empty() {
        let words = format!("there is nothing in the module cache {}: run `go mod download` first", cache.display());
        return Err(Failure::new(Fault::Request, words));
    }
    Ok((vec![cache], entries))
}
