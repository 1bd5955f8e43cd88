//! `sumgate cache import`: verifies an export or a module cache, and adds it to the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::ImportArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::fetch::{print_refusals, summary};
use super::runtime::Runtime;
use super::{out, progress};
use crate::airgap::{Contents, Imported, fill, import, module_cache_files, unpack};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::progress::Progress;
use crate::base::text::counted;
use crate::mirror::Prefetch;
use crate::policy::InForce;
use crate::release::Expectations;
use crate::store::{Access, Store};
use crate::sumdb::{Database, Databases, HeadImport};
use crate::upstream::{HttpClient, Source, Ttls, UpstreamConfig};
use gomodule::module::Patterns;

pub(super) fn run(args: &ImportArgs) -> Result<Exit, Failure> {
    let databases = config::databases(&args.airgap.databases.sumdb)?;
    let exempt = config::exempt(&args.airgap.exempt)?;
    let store = Arc::new(config::store(args.airgap.state.data.as_deref(), Access::Download)?);
    out::start_log(out::QUIET);
    match &args.input {
        Some(input) => exported(args, input, databases, exempt, &store),
        None => module_cache(args, databases, exempt, &store),
    }
}

fn exported(
    args: &ImportArgs,
    input: &Path,
    databases: Vec<Database>,
    exempt: Patterns,
    store: &Arc<Store>,
) -> Result<Exit, Failure> {
    let names: Vec<String> = databases.iter().map(|database| database.name().to_owned()).collect();
    // Deleted at the end.
    let staging = store.stage_folder()?;
    let folder = if input.is_dir() {
        input.to_owned()
    } else {
        let _line = progress::show(&format!("unpacking {}", input.display()));
        unpack(input, staging.path(), &names)?;
        staging.path().to_owned()
    };
    let contents = Contents::read(&folder, &names)?;
    if contents.is_empty() {
        // Often a disk that is not mounted: a script must not consider this a success.
        return Err(Failure::new(Fault::Request, format!("{} is empty: expected an export", input.display())));
    }
    let line = progress::show(&format!("comparing the files of {} with its list", input.display()));
    let contents = contents.checked(&folder)?;
    drop(line);
    let in_folder = |name: &String| folder.join("sumdb").join(name);
    let databases = databases.into_iter().zip(&names).map(|(database, name)| database.from_export(in_folder(name)));
    let clients = config::clients(databases.collect(), &args.airgap.state.anchor, store, &HttpClient::offline(), &[])?;
    let prefetch = prefetch(store, folder, clients.clone(), exempt)?;
    let progress = Progress::default();
    let line = progress::show_counted("importing", &progress);
    let imported = Runtime::start()?.block_on(import(&prefetch, &clients, &contents, &progress))?;
    drop(line);
    Ok(print_result(&imported))
}

fn print_result(imported: &Imported) -> Exit {
    let refused = &imported.filled.refused;
    print_refusals(refused);
    let mut line = summary("imported", &imported.filled, refused);
    line.insert_str(line.len() - 1, &format!(", {} proved", counted(imported.records, "record")));
    for (name, head) in &imported.heads {
        let text = match head {
            HeadImport::Trusted(size) => format!(", {name} trusted at {size} records"),
            HeadImport::Older(size, trusted) => {
                format!(", the head of {name} ({size} records) ignored: the trusted one is newer ({trusted} records)")
            }
            HeadImport::Unproved(_) => continue,
        };
        line.insert_str(line.len() - 1, &text);
    }
    out::print(&line);
    // No request is made, so a missing file is a fault of the export.
    Exit::worst(refused.iter().map(|refusal| match refusal.fault {
        Fault::Host | Fault::Misbehaviour => refusal.fault,
        _ => Fault::Refused,
    }))
}

fn module_cache(
    args: &ImportArgs,
    databases: Vec<Database>,
    exempt: Patterns,
    store: &Arc<Store>,
) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let cache = match args.modcache.as_ref().filter(|cache| !cache.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => go.module_cache().ok_or_else(|| {
            Failure::new(Fault::Request, "no module cache found: set GOMODCACHE, or name it with --modcache DIR")
        })?,
    };
    let download = Some(cache.join("cache/download")).filter(|download| download.is_dir()).unwrap_or(cache);
    let mut wanted = module_cache_files(&download)?;
    if wanted.files() == 0 {
        let message = format!("{} is not a module cache: it has no files of a module version", download.display());
        return Err(Failure::new(Fault::Request, message));
    }
    let private = config::go_patterns(&go, "GONOSUMDB");
    let left_out = wanted.leave_out(&private, &exempt).len();
    let http = config::http(args.offline)?;
    let clients = config::clients(databases, &args.airgap.state.anchor, store, &http, &[])?;
    let prefetch = prefetch(store, download, clients, exempt)?;
    let progress = Progress::default();
    let line = progress::show_counted("importing", &progress);
    let work = out::telling_whom(prefetch.databases(), fill(&prefetch, &wanted, &progress));
    let filled = Runtime::start()?.block_on(work);
    drop(line);
    print_refusals(&filled.refused);
    let mut line = summary("imported", &filled, &filled.refused);
    if left_out > 0 {
        line.insert_str(line.len() - 1, &format!(", {left_out} private versions skipped"));
    }
    out::print(&line);
    Ok(Exit::worst(filled.refused.iter().map(|refusal| refusal.fault)))
}

/// A prefetch whose only upstream is this folder.
fn prefetch(store: &Arc<Store>, folder: PathBuf, databases: Databases, exempt: Patterns) -> Result<Prefetch, Failure> {
    let router = config::offline_router(&[UpstreamConfig::plain(Source::Dir(folder), false)], Ttls::default())?;
    let expectations = Expectations { databases, exempt };
    Ok(Prefetch::new(Arc::clone(store), router, expectations, InForce::default(), Clock::System))
}
