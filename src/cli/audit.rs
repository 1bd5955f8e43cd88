//! `sumgate audit`: go.sum files and the module cache, held against the database.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use super::args::{AuditArgs, OutputArgs};
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::audit::{Audit, Base, Entry, Target, find, read, read_module_cache};
use crate::fault::Fault;
use crate::finding::{Code, Ending, RenderOptions, Report, render};
use crate::goenv::GoEnv;
use crate::origin::HttpClient;

pub(super) fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let databases = config::surrounding_databases(&args.surrounding, &go)?;
    let exempt = config::surrounding_exempt(&args.surrounding, &go)?;
    let policy = config::policy(&args.policy)?;
    let (files, entries) = if args.modcache { module_cache(&go)? } else { go_sums(args)? };

    let http = if args.offline { HttpClient::offline() } else { config::http()? };
    let store = config::store(args.state.data.as_deref())?;
    let clients = config::clients(databases, &args.state.anchor, &store, &http)?;
    let at_once = usize::from(args.concurrency);
    let audit = Audit { clients, exempt, at_once, policy, now: SystemTime::now() };
    let answered = AtomicUsize::new(0);
    let total = audit.wanted(&entries).len();
    let work = audit.run(&entries, &answered);
    let mut report = config::runtime()?.block_on(out::with_progress("looking up", total, &answered, work));
    report.files = files;
    if args.base.is_some() {
        // What only old lines need is needed all the same.
        report.findings.retain(|finding| finding.code != Code::UnusedException);
    }
    Ok(show(&report, &args.output))
}

/// Prints a report and says how it ends.
pub(super) fn show(report: &Report, output: &OutputArgs) -> Exit {
    let options = RenderOptions { colour: out::colour(output.color), verbose: output.verbose, deny: output.deny };
    out::print(&render(report, output.format, options));
    match report.ending(output.deny) {
        Ending::Misbehaviour => Exit::Misbehaviour,
        Ending::NotFinished => Exit::NotFinished,
        Ending::Findings => Exit::Findings,
        Ending::Clean => Exit::Fine,
    }
}

fn go_sums(args: &AuditArgs) -> Result<(Vec<PathBuf>, Vec<Entry>), Failure> {
    let base = args.base.as_deref().map(Base::new);
    let mut targets: Vec<Target> = Vec::new();
    for path in &args.paths {
        targets.extend(find(path).map_err(|error| Failure::usage(&error))?);
    }
    targets.dedup();
    let mut entries = Vec::new();
    for target in &targets {
        entries.extend(read(target, base.as_ref()).map_err(|error| Failure::usage(&error))?);
    }
    Ok((targets.into_iter().map(|target| target.sum).collect(), entries))
}

fn module_cache(go: &GoEnv) -> Result<(Vec<PathBuf>, Vec<Entry>), Failure> {
    let nowhere = || Failure::new(Fault::Request, "there is no module cache: set GOMODCACHE to where it is");
    let cache = go.module_cache().ok_or_else(nowhere)?;
    let entries = read_module_cache(&cache, &AtomicUsize::new(0)).map_err(|error| Failure::usage(&error))?;
    Ok((vec![cache], entries))
}
