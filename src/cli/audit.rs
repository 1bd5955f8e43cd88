//! `sumgate audit`: go.sum files and the module cache, held against the database.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use super::ages;
use super::args::{AuditArgs, OutputArgs};
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use super::policies::Policies;
use crate::audit::{Audit, Entry, find, read, read_module_cache};
use crate::fault::Fault;
use crate::finding::{Code, ComparedWith, Ending, RenderOptions, Report, render};
use crate::goenv::GoEnv;
use crate::origin::HttpClient;
use crate::repository::Base;

pub(super) fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let databases = config::surrounding_databases(&args.surrounding, &go)?;
    let exempt = config::surrounding_exempt(&args.surrounding.nosumdb, &go)?;
    let policies = Policies::of(&args.policy, args.base.as_deref())?;
    let mut bases = Vec::new();
    let (files, entries) = if args.modcache { module_cache(&go)? } else { go_sums(args, &mut bases)? };

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
    report.base = bases.iter().map(compared_with).collect();
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

fn go_sums(args: &AuditArgs, bases: &mut Vec<Base>) -> Result<(Vec<PathBuf>, Vec<Entry>), Failure> {
    let (mut seen, mut files, mut entries) = (HashSet::new(), Vec::new(), Vec::new());
    for path in &args.paths {
        let targets = find(path).map_err(|error| Failure::usage(&error))?;
        let base = match &args.base {
            Some(revision) => Some(base(revision, path, bases)?),
            None => None,
        };
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

/// The base of a path: each repository has one, however many paths lie in it.
fn base<'b>(revision: &str, path: &Path, bases: &'b mut Vec<Base>) -> Result<&'b Base, Failure> {
    let work_tree = Base::work_tree_of(path).map_err(|error| Failure::usage(&error))?;
    let known = bases.iter().position(|base| base.work_tree() == work_tree);
    if let Some(at) = known {
        return Ok(&bases[at]);
    }
    let base = Base::open(revision, path).map_err(|error| Failure::usage(&error))?;
    if base.is_head() {
        let words = "is the commit that is checked out: only changes that are not committed are audited";
        out::complain(&format!("--base {revision:?} {words} ({})", base.commit()));
    }
    bases.push(base);
    Ok(&bases[bases.len() - 1])
}

fn compared_with(base: &Base) -> ComparedWith {
    ComparedWith { work_tree: base.work_tree().to_owned(), commit: base.commit().to_owned() }
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
