//! `sumgate cache fetch`: the store, filled ahead of time.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::args::FetchArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::{out, sources};
use crate::airgap::{Filled, Refusal, fill, fill_newest, of_names};
use crate::base::clock::Clock;
use crate::mirror::Prefetch;
use crate::release::Expectations;
use crate::store::Access;
use crate::upstream::Ttls;
use gomodule::module::ModuleVersion;

const OTHERWISE: &str = ": name another one with -m FILE, or module versions";

pub(super) fn run(args: &FetchArgs) -> Result<Exit, Failure> {
    let modules: Result<Vec<_>, _> = args.modules.iter().map(|name| ModuleVersion::parse(name)).collect();
    let modules = modules.map_err(Failure::usage)?;
    let direct = config::patterns("--private", &args.closed.private)?;
    let said = sources::said(args.config.as_deref(), &args.upstream, direct)?;
    let databases = config::databases(&args.closed.databases)?;
    let databases = databases.into_iter().map(|database| database.with_fallbacks(&said.chain)).collect();
    let exempt = config::exempt(&args.closed.nosumdb, &args.closed.private)?.with(said.private());
    let policy = args.policy.as_deref().map(config::read_policy).transpose()?;
    let (mut wanted, malformed) = if modules.is_empty() {
        config::wanted_of(args.go_sum.as_deref(), OTHERWISE)?
    } else {
        (of_names(&modules), Vec::new())
    };
    let private = config::unnamed_private(&mut wanted, &exempt)?;
    let http = config::http()?;
    let store = Arc::new(config::store(args.closed.state.data.as_deref(), Access::Download)?);
    let clients = config::clients(databases, &args.closed.state.anchor, &store, &http, policy.as_slice())?;
    out::start_log(out::QUIET);

    let expectations = Expectations { databases: clients, exempt };
    // What is not in the database yet is told at once.
    let waits = Ttls { hold: Some(Duration::ZERO), ..Ttls::default() };
    let sources = said.sources(waits, &http, &store)?;
    let prefetch = Prefetch::new(store, sources, expectations, policy.into(), Clock::System);
    let done = AtomicUsize::new(0);
    let work = async { fill(&prefetch, &wanted, &done).await.and(fill_newest(&prefetch, &wanted).await) };
    let filled = config::runtime()?.block_on(out::with_progress("fetching", wanted.files(), &done, work));
    let refused: Vec<Refusal> = malformed.into_iter().chain(private).chain(filled.refused.iter().cloned()).collect();
    complain(&refused);
    out::print(&verdict("fetched", &filled, refused.len()));
    Ok(Exit::worst(refused.iter().map(|refusal| refusal.fault)))
}

/// One line for each thing that was refused.
pub(super) fn complain(refused: &[Refusal]) {
    for Refusal { what, why, .. } in refused {
        // Most refusals begin with what they refuse.
        out::complain(&if why.starts_with(what) { why.clone() } else { format!("{what}: {why}") });
    }
}

/// How it went, in a line.
pub(super) fn verdict(done: &str, filled: &Filled, refused: usize) -> String {
    let Filled { came, bytes, were_here, .. } = filled;
    let all_here = if *were_here > 0 { format!(", {were_here} were here") } else { String::new() };
    let verdict = if refused == 0 { String::new() } else { format!(", {refused} REFUSED OR ABSENT") };
    format!("{done} {came} files ({bytes} bytes){all_here}{verdict}\n")
}
