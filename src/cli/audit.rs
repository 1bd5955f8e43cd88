//! `sumgate audit`: verifies go.sum files and the module cache against the database.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::ages;
use super::args::{AuditArgs, OutputArgs};
use super::bases::Bases;
use super::changes::find_retracted;
use super::config;
use super::exit::{Exit, Failure};
use super::policies::Policies;
use super::runtime::Runtime;
use super::{out, progress};
use crate::audit::{
    Audit, Entry, LeftOut, LocalGo, ReadError, Reader, all_changes, find, read_module_cache, why_unread,
};
use crate::base::fault::{Fault, in_full};
use crate::base::progress::Progress;
use crate::base::tree::{Tree, folder_of, repository_by_words, working_folder};
use crate::finding::{Change, Code, Ending, Finding, Format, Place, RenderOptions, Report, Root, Unaudited, render};
use crate::go::environment::GoEnv;
use crate::policy::two_public;
use crate::release::Expectations;
use crate::repository::tracks;
use crate::store::Store;
use crate::upstream::HttpClient;
use gomodule::module::Patterns;

pub(super) fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let databases = args.timeout.limit(config::go_databases(&args.go_settings, &go, &config::go_login(&go))?);
    let exempt = config::go_exempt(&args.go_settings, &go)?;
    let mut bases = args.base.as_deref().map(Bases::of);
    let policies = Policies::of(&args.policy, bases.as_mut(), &args.paths)?;
    let given = if args.modcache { module_cache(&go)? } else { go_sums(args, &go, bases.as_mut())? };

    let http = config::http_when_needed(args.offline)?;
    let data = args.state.data.as_deref();
    let access = config::access_to_prove(data, args.offline)?;
    let store = Arc::new(config::store(data, access)?.auditing(ages::trees_of(&args.paths)?));
    let databases = config::clients(databases, &args.state.anchor, &store, &http, &policies.all())?;
    out::start_log(out::QUIET);
    let at_once = usize::from(args.concurrency);
    let (in_force, mut accepting) = (policies.in_force(), policies.accepting());
    let is_whole = is_whole(args, &policies);
    let Policies { now: policy, base, findings, .. } = policies;
    let base_policy = base.map(|(_, policy)| policy);
    let audit = Audit { databases, exempt, at_once, policy, base_policy, now: SystemTime::now() };
    let progress = Progress::default();
    progress.expect(audit.wanted(&given.entries).len());
    let line = progress::show_counted("looking up", &progress);
    let work = out::telling_whom(&audit.databases, audit.run(&given.entries, progress.counter()));
    let runtime = Runtime::start()?;
    let mut report = runtime.part(async {
        let mut report = Box::pin(work).await;
        drop(line);
        if args.base.is_some() && args.output.format == Format::Markdown {
            report.changes = all_changes(given.changes, &given.entries);
            describe(&mut report, &audit, args, &go, store, &http).await?;
        }
        Ok::<_, Failure>(report)
    })?;
    report.policies = Some(in_force);
    let judged = std::mem::replace(&mut report.findings, given.findings);
    report.findings.extend(judged.into_iter().chain(findings).chain(wide(&audit.exempt)));
    report.base = bases.iter().flat_map(Bases::compared_with).collect();
    report.files = given.files;
    report.excluded = given.excluded;
    report.unchecked.splice(..0, given.unchecked);
    let apart = given.apart.into_iter().filter_map(|(file, why)| Some((file, why?)));
    report.put_apart(&apart.collect());
    if args.base.is_some() {
        // Old lines, which are not audited, may need the exception.
        report.findings.retain(|finding| finding.code != Code::UnusedException);
    }
    report.findings = accepting.sort(report.findings);
    if args.base.is_none() {
        let is_whole = is_whole && report.unchecked.is_empty();
        report.findings.extend(accepting.unused(|code| is_whole && code.is_of_the_repository()));
    }
    report.accepted = accepting.into_accepted();
    let paths = if args.modcache { &[][..] } else { &args.paths };
    let shown = show(report, &args.output, paths);
    // The proofs are written to the disk meanwhile.
    let line = progress::show("writing the proofs to the disk");
    runtime.block_on(audit.databases.written());
    drop(line);
    shown
}

/// Whether all that the policy is for is audited: its folder and all below.
fn is_whole(args: &AuditArgs, policies: &Policies) -> bool {
    let Some((policy, _)) = &policies.now else { return false };
    let Ok(folder) = folder_of(policy).canonicalize() else { return false };
    let covers = |path: &PathBuf| path.is_dir() && path.canonicalize().is_ok_and(|path| folder.starts_with(path));
    !args.modcache && args.exclude.is_empty() && args.paths.iter().any(covers)
}

/// Reports exempt modules that cover public ones: nobody else verifies their lines, and an audit that skips them would pass.
fn wide(exempt: &Patterns) -> Option<Finding> {
    let [one, other] = two_public(&exempt.to_string())?;
    let message = format!("{exempt} (GONOSUMDB, GOPRIVATE, --nosumdb) is exempt, which covers {one} and {other}");
    Some(Finding::new(Code::WideNosumdb, message))
}

/// Finds out what is known about the new versions. If the database did not answer, or must not be believed, nothing.
async fn describe(
    report: &mut Report,
    audit: &Audit,
    args: &AuditArgs,
    go: &GoEnv,
    store: Arc<Store>,
    http: &HttpClient,
) -> Result<(), Failure> {
    if !report.unchecked.is_empty() || report.misbehaviour.is_some() {
        return Ok(());
    }
    let _line = progress::show("asking about the new versions");
    audit.look_up_changes(&mut report.changes).await;
    if args.offline {
        return Ok(());
    }
    let expectations = Expectations { databases: audit.databases.clone(), exempt: audit.exempt.clone() };
    find_retracted(&mut report.changes, go, store, http, expectations).await
}

/// Prints a report and returns its exit code.
pub(super) fn show(mut report: Report, output: &OutputArgs, paths: &[PathBuf]) -> Result<Exit, Failure> {
    report.put_worst_first();
    let options = RenderOptions {
        root: root_of(paths).map_err(|error| Failure::host("find the working folder", &error))?,
        width: out::width(),
        colour: out::colour(output.color),
        verbose: output.verbose,
        deny: output.deny,
    };
    out::stream(|out| render(&report, output.format, &options, out))?;
    Ok(ending(&report, output))
}

/// The repository of the working folder; without one, that of the first path.
fn root_of(paths: &[PathBuf]) -> io::Result<Root> {
    let here = Path::new(".").canonicalize()?;
    let trees = std::iter::once(Path::new(".")).chain(paths.iter().map(|path| folder_at(path)));
    let mut trees = trees.filter_map(|folder| Tree::around(folder).ok()).filter(Tree::is_repository);
    let top = trees.next().map_or_else(|| here.clone(), |tree| tree.root().to_owned());
    // As typed: an absolute path may lead through links.
    let typed = working_folder()?;
    let typed_paths = std::iter::once(typed.clone()).chain(paths.iter().map(|path| typed.join(path)));
    let names = typed_paths.filter_map(|path| repository_by_words(&path));
    let names = names.filter(|name| name.canonicalize().is_ok_and(|real| real == top));
    let module = here.ancestors().take_while(|folder| folder.starts_with(&top)).map(|folder| folder.join("go.mod"));
    let module = module.into_iter().find(|file| file.is_file());
    let module = module.and_then(|file| Some(file.strip_prefix(&top).ok()?.to_owned()));
    let tops = std::iter::once(top.clone()).chain(names).collect();
    Ok(Root::new(here, tops, module.unwrap_or_else(|| "go.mod".into())))
}

/// The folder that a path names, or that of the file.
fn folder_at(path: &Path) -> &Path {
    if path.is_dir() { path } else { folder_of(path) }
}

/// The exit code of a report.
pub(super) fn ending(report: &Report, output: &OutputArgs) -> Exit {
    match report.ending(output.deny) {
        Ending::Misbehaviour => Exit::Misbehaviour,
        Ending::NotFinished => Exit::NotFinished,
        Ending::Findings if !output.exit_zero => Exit::Findings,
        Ending::Findings | Ending::Clean | Ending::Nothing => Exit::Success,
    }
}

/// The input of an audit.
#[derive(Default)]
struct Input {
    files: Vec<PathBuf>,
    /// What needs a lookup.
    entries: Vec<Entry>,
    /// What needs none. There may be 200,000 of them, so they are not copied.
    findings: Vec<Finding>,
    excluded: Vec<(PathBuf, String)>,
    /// Files, and why `go` does not read them for this repository; none if it does.
    apart: HashMap<PathBuf, Option<&'static str>>,
    unchecked: Vec<Unaudited>,
    changes: Vec<Change>,
}

fn go_sums(args: &AuditArgs, go: &GoEnv, mut bases: Option<&mut Bases>) -> Result<Input, Failure> {
    let left_out = left_out(go, &args.exclude, args.state.data.as_deref())?;
    let _line = progress::show("reading the go.sum files");
    let (mut seen, mut given, local) = (HashSet::new(), Input::default(), LocalGo::of(go));
    let workspace = go.workspace().map_err(Failure::usage)?;
    workspace.check().map_err(Failure::usage)?;
    for path in &args.paths {
        let found = find(path, &left_out).map_err(Failure::usage)?;
        let unread = found.unread.iter().filter(|(folder, _)| seen.insert(folder.clone()));
        let reason = |file: &Path, why: &dyn Display| not_read(file, &why_unread(path, file, &why));
        given.unchecked.extend(unread.map(|(folder, error)| reason(folder, &format_args!("cannot read it: {error}"))));
        let base = bases.as_mut().map(|bases| bases.at(path)).transpose()?;
        let reader = Reader::new(&found.tree, base, &local, &workspace);
        for target in found.targets {
            let files = [&target.sum, &target.go_mod, &target.go_work].into_iter().flatten().cloned();
            // Paths may overlap. A file that is not apart for one of them is not apart.
            for file in files {
                let apart = given.apart.entry(file).or_insert(target.apart);
                *apart = apart.and(target.apart);
            }
            if !seen.insert(target.file()) {
                continue;
            }
            match reader.read(&target) {
                Ok(entries) => given.add(entries),
                Err(error @ ReadError::Base(_)) => return Err(Failure::usage(error)),
                Err(error) => given.unchecked.push(reason(&target.file(), &error)),
            }
            given.files.push(target.file());
        }
        let filled = found.filled.iter().filter(|folder| !seen.contains(*folder));
        filled.for_each(|folder| given.filled(folder));
        given.excluded.extend(found.excluded.into_iter().filter(|(path, _)| seen.insert(path.clone())));
        let vendored = found.vendored.into_iter().filter(|path| seen.insert(path.clone()));
        let message = "the files of this vendor folder were not checked: no hash covers them";
        given.findings.extend(vendored.map(|path| Finding::new(Code::VendorUnproved, message).at(&*path)));
    }
    Ok(given)
}

impl Input {
    fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match entry {
                Entry::Finding(finding) => self.findings.push(finding),
                Entry::Unchecked(unchecked) => self.unchecked.push(unchecked),
                Entry::Change(change) => self.changes.push(change),
                entry => self.entries.push(entry),
            }
        }
    }

    /// A cache or data folder in the tree is skipped. If git tracks files in it, a pull request can write them.
    fn filled(&mut self, folder: &Path) {
        let place = Place::from(folder);
        let asked = folder.canonicalize().map_err(|error| error.to_string());
        match asked.and_then(|real| tracks(&real).map_err(|error| in_full(&error))) {
            Ok(false) => {}
            Ok(true) => {
                let message = "git tracks files in this folder, which was not audited";
                let finding = Finding::new(Code::TrackedCache, message).at(place);
                self.findings.push(finding);
            }
            Err(why) => {
                let reason = format!("it is unknown whether git tracks files in it: {why}");
                self.unchecked.push(Unaudited { place, module: "this folder".to_owned(), reason, cause: None });
            }
        }
    }
}

pub(super) fn not_read(file: &Path, why: &impl Display) -> Unaudited {
    let (place, module) = (Place::from(file), "all of it".to_owned());
    Unaudited { place, module, reason: why.to_string(), cause: None }
}

/// What a search skips: paths of `exclude`, and the caches of `go` and the data folder of this program.
pub(super) fn left_out(go: &GoEnv, exclude: &[String], data: Option<&Path>) -> Result<LeftOut, Failure> {
    let build = Some(PathBuf::from(go.get("GOCACHE"))).filter(|path| path.is_absolute());
    let folders = [
        (go.module_cache(), "the module cache"),
        (build, "the build cache"),
        (config::data_folder(data).ok(), "the data folder of sumgate"),
    ];
    let folders: Vec<_> = folders.into_iter().filter_map(|(folder, what)| Some((folder?, what))).collect();
    LeftOut::new(exclude, &folders).map_err(Failure::usage)
}

fn module_cache(go: &GoEnv) -> Result<Input, Failure> {
    let missing = || Failure::new(Fault::Request, "no module cache found: set GOMODCACHE");
    let cache = go.module_cache().ok_or_else(missing)?;
    let progress = Progress::default();
    let line = progress::show_counted("hashing the module cache", &progress);
    let entries = read_module_cache(&cache, go.goroot(), &progress).map_err(Failure::usage)?;
    drop(line);
    if entries.is_empty() {
        let message = format!("the module cache {} is empty: run `go mod download` first", cache.display());
        return Err(Failure::new(Fault::Request, message));
    }
    let mut given = Input { files: vec![cache], ..Input::default() };
    given.add(entries);
    Ok(given)
}
