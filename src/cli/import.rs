//! `sumgate cache import`: what was carried here, or a module cache, proved and taken up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::args::ImportArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::fetch::{complain, verdict};
use super::out;
use crate::airgap::{Contents, Imported, Refusal, fill, import, module_cache_files, unpack};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::mirror::Prefetch;
use crate::policy::InForce;
use crate::release::Expectations;
use crate::store::{Access, Store};
use crate::sumdb::{Database, HeadImport};
use crate::upstream::{HttpClient, Router, Source, Ttls, UpstreamConfig, UpstreamPool};
use gomodule::module::Patterns;

pub(super) fn run(args: &ImportArgs) -> Result<Exit, Failure> {
    let databases = config::databases(&args.closed.databases)?;
    let exempt = config::exempt(&args.closed.nosumdb, &args.closed.private)?;
    let store = Arc::new(config::store(args.closed.state.data.as_deref(), Access::Download)?);
    out::start_log(out::QUIET);
    match &args.input {
        Some(input) => carried(args, input, databases, exempt, &store),
        None => module_cache(args, databases, exempt, &store),
    }
}

fn carried(
    args: &ImportArgs,
    input: &Path,
    databases: Vec<Database>,
    exempt: Patterns,
    store: &Arc<Store>,
) -> Result<Exit, Failure> {
    let names: Vec<String> = databases.iter().map(|database| database.name().to_owned()).collect();
    // Gone at the end.
    let own = store.stage_folder()?;
    let folder = if input.is_dir() {
        input.to_owned()
    } else {
        unpack(input, own.path(), &names)?;
        own.path().to_owned()
    };
    let contents = Contents::read(&folder, &names)?;
    if contents.is_empty() {
        // A disk that is not mounted, mostly: whoever scripts this must not take it for done.
        return Err(Failure::new(Fault::Request, format!("there is nothing in {}", input.display())));
    }
    let in_folder = |database: Database| {
        let place = folder.join("sumdb").join(database.name());
        database.from_export(place)
    };
    let databases = databases.into_iter().map(in_folder).collect();
    let clients = config::clients(databases, &args.closed.state.anchor, store, &HttpClient::offline(), &[])?;
    let expectations = Expectations { databases: clients.clone(), exempt };
    let sources = of_folder(folder)?;
    let prefetch = Prefetch::new(Arc::clone(store), sources, expectations, InForce::default(), Clock::System);
    let done = AtomicUsize::new(0);
    let work = import(&prefetch, &clients, &contents, &done);
    let total = contents.files.files();
    let imported = config::runtime()?.block_on(out::with_progress("importing", total, &done, work))?;
    Ok(tell(&imported))
}

fn tell(imported: &Imported) -> Exit {
    let refused = &imported.filled.refused;
    complain(refused);
    let mut line = verdict("imported", &imported.filled, refused.len());
    line.insert_str(line.len() - 1, &format!(", {} records proved", imported.records));
    for (name, taken) in &imported.heads {
        let said = match taken {
            HeadImport::Trusted(size) => format!(", {name} trusted at {size} records"),
            HeadImport::Older(size, trusted) => {
                format!(", the head of {name} ({size} records) not taken: the trusted one is newer ({trusted} records)")
            }
            HeadImport::Unproved(_) => continue,
        };
        line.insert_str(line.len() - 1, &said);
    }
    out::print(&line);
    Exit::worst(refused.iter().map(blamed))
}

/// Nobody else can be asked, so what is wrong or absent is what was carried.
fn blamed(refusal: &Refusal) -> Fault {
    match refusal.fault {
        Fault::Host | Fault::Misbehaviour => refusal.fault,
        _ => Fault::Refused,
    }
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
            Failure::new(
                Fault::Request,
                "there is no module cache: set GOMODCACHE to where it is, or give --modcache DIR",
            )
        })?,
    };
    let download = Some(cache.join("cache/download")).filter(|download| download.is_dir()).unwrap_or(cache);
    let mut wanted = module_cache_files(&download)?;
    if wanted.files() == 0 {
        let words = format!("{} is no module cache: it has no file of a module version", download.display());
        return Err(Failure::new(Fault::Request, words));
    }
    let private = Patterns::parse(go.get("GONOSUMDB")).map_err(Failure::usage)?;
    let left_out = wanted.leave_out(&private, &exempt).len();
    let http = if args.offline { HttpClient::offline() } else { config::http()? };
    let clients = config::clients(databases, &args.closed.state.anchor, store, &http, &[])?;
    let expectations = Expectations { databases: clients, exempt };
    let sources = of_folder(download)?;
    let prefetch = Prefetch::new(Arc::clone(store), sources, expectations, InForce::default(), Clock::System);
    let done = AtomicUsize::new(0);
    let work = fill(&prefetch, &wanted, &done);
    let filled = config::runtime()?.block_on(out::with_progress("importing", wanted.files(), &done, work));
    complain(&filled.refused);
    let mut line = verdict("imported", &filled, filled.refused.len());
    if left_out > 0 {
        line.insert_str(line.len() - 1, &format!(", {left_out} private versions passed over"));
    }
    out::print(&line);
    Ok(Exit::worst(filled.refused.iter().map(|refusal| refusal.fault)))
}

/// The folder as the one source.
fn of_folder(folder: PathBuf) -> Result<Router, Failure> {
    let link = UpstreamConfig::plain(Source::Dir(folder), false);
    let origin = UpstreamPool::new(&[link], &HttpClient::offline(), Ttls::default(), Clock::System);
    let origin = origin.map_err(|error| Failure::host("set up the folder as a source", &error))?;
    Ok(Router::new(origin, Vec::new()))
}
