//! `sumgate audit`: go.sum files and the module cache, held against the database.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use super::ages;
use super::args::{AuditArgs, OutputArgs};
use super::bases::Bases;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use super::policies::Policies;
use crate::audit::{Audit, Entry, GoHere, LeftOut, Reader, find, read_module_cache};
use crate::fault::Fault;
use crate::finding::{Code, Ending, Finding, Place, RenderOptions, Report, render};
use crate::goenv::GoEnv;
use crate::origin::HttpClient;
use crate::store::Access;

pub(super) fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let databases = config::surrounding_databases(&args.surrounding, &go)?;
    let exempt = config::surrounding_exempt(&args.surrounding.nosumdb, &go)?;
    let mut bases = args.base.as_deref().map(Bases::of);
    let policies = Policies::of(&args.policy, bases.as_mut(), &args.paths)?;
    let given = if args.modcache { module_cache(&go)? } else { go_sums(args, &go, bases.as_mut())? };

    let http = if args.offline { HttpClient::offline() } else { config::http()? };
    let access = if args.offline { Access::Read } else { Access::Write };
    let store = config::store(args.state.data.as_deref(), access)?.auditing(ages::trees_of(&args.paths)?);
    let clients = config::clients(databases, &args.state.anchor, &store, &http, &policies.all())?;
    out::start_log(out::QUIET);
    let at_once = usize::from(args.concurrency);
    let in_force = policies.in_force();
    let Policies { now: policy, base, findings } = policies;
    let base_policy = base.map(|(_, policy)| policy);
    let audit = Audit { clients, exempt, at_once, policy, base_policy, now: SystemTime::now() };
    let answered = AtomicUsize::new(0);
    let total = audit.wanted(&given.entries).len();
    let work = audit.run(&given.entries, &answered);
    let mut report = config::runtime()?.block_on(out::with_progress("looking up", total, &answered, work));
    report.policies = Some(in_force);
    report.findings.splice(..0, findings);
    report.base = bases.iter().flat_map(Bases::compared_with).collect();
    report.files = given.files;
    report.excluded = given.excluded;
    report.put_apart(&given.apart);
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
        Ending::Clean | Ending::Nothing => Exit::Fine,
    }
}

/// What there is to audit.
#[derive(Default)]
struct Given {
    files: Vec<PathBuf>,
    entries: Vec<Entry>,
    excluded: Vec<(PathBuf, String)>,
    /// Files that `go` does not read for this repository.
    apart: HashMap<PathBuf, &'static str>,
}

fn go_sums(args: &AuditArgs, go: &GoEnv, mut bases: Option<&mut Bases>) -> Result<Given, Failure> {
    let left_out = left_out(go, &args.exclude, args.state.data.as_deref())?;
    let (mut seen, mut given, go) = (HashSet::new(), Given::default(), GoHere::of(go));
    for path in &args.paths {
        let found = find(path, &left_out).map_err(|error| Failure::usage(&error))?;
        let base = bases.as_mut().map(|bases| bases.at(path)).transpose()?;
        let reader = Reader { tree: &found.tree, base, go: &go };
        for target in found.targets {
            // A path may be named twice, and lie below another.
            if !seen.insert(target.file()) {
                continue;
            }
            given.entries.extend(reader.read(&target).map_err(|error| Failure::usage(&error))?);
            given.files.push(target.file());
            if let Some(why) = target.apart {
                let files = [&target.sum, &target.go_mod, &target.go_work];
                given.apart.extend(files.into_iter().flatten().map(|file| (file.clone(), why)));
            }
        }
        given.excluded.extend(found.excluded.into_iter().filter(|(path, _)| seen.insert(path.clone())));
        let vendored = found.vendored.into_iter().filter(|path| seen.insert(path.clone()));
        given.entries.extend(vendored.map(|path| Entry::Finding(vendor(path))));
    }
    Ok(given)
}

/// What no search looks into: what is excluded by name, and the folders that `go` and this program fill themselves.
pub(super) fn left_out(go: &GoEnv, exclude: &[String], data: Option<&Path>) -> Result<LeftOut, Failure> {
    let build = Some(PathBuf::from(go.get("GOCACHE"))).filter(|path| path.is_absolute());
    let folders = [
        (go.module_cache(), "the module cache"),
        (build, "the build cache"),
        (config::data_folder(data).ok(), "the data folder of sumgate"),
    ];
    let folders: Vec<_> = folders.into_iter().filter_map(|(folder, what)| Some((folder?, what))).collect();
    LeftOut::new(exclude, &folders).map_err(|error| Failure::usage(&error))
}

fn vendor(list: PathBuf) -> Finding {
    let message = "nobody checked the files of this vendor folder: no hash covers them".to_owned();
    let place = Some(Place { file: list, line: None });
    Finding { place, message, ..Finding::of(Code::VendorUnproved) }
}

fn module_cache(go: &GoEnv) -> Result<Given, Failure> {
    let nowhere = || Failure::new(Fault::Request, "there is no module cache: set GOMODCACHE to where it is");
    let cache = go.module_cache().ok_or_else(nowhere)?;
    let entries =
        read_module_cache(&cache, go.goroot(), &AtomicUsize::new(0)).map_err(|error| Failure::usage(&error))?;
    if entries.is_empty() {
        let words = format!("there is nothing in the module cache {}: run `go mod download` first", cache.display());
        return Err(Failure::new(Fault::Request, words));
    }
    Ok(Given { files: vec![cache], entries, ..Given::default() })
}
