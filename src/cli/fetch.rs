//! `sumgate cache fetch`: fills the store in advance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::args::{ExemptArgs, FetchArgs};
use super::config::{self, PathSource, Wanted};
use super::exit::{Exit, Failure};
use super::runtime::Runtime;
use super::serve_file::ConfigFile;
use super::{out, progress, sources};
use crate::airgap::{Filled, Missing, ModuleGraph, Refusal, fill, fill_newest};
use crate::base::clock::Clock;
use crate::base::progress::Progress;
use crate::base::text::counted;
use crate::mirror::Prefetch;
use crate::release::Expectations;
use crate::store::Access;
use crate::upstream::Ttls;

pub(super) fn run(args: &FetchArgs, file: Result<ConfigFile, Failure>) -> Result<Exit, Failure> {
    let ExemptArgs { private, case, .. } = &args.airgap.exempt;
    let direct = config::private(private, case)?;
    let go = config::go_env()?;
    let login = config::go_login(&go);
    let source_config = sources::of(file?.settings, &args.upstreams.upstream, direct, case, Some(&login))?;
    let databases = config::as_go(config::databases(&args.airgap.databases.sumdb)?, &login);
    let databases = args.timeout.limit(source_config.reach(databases));
    let exempt = config::exempt(&args.airgap.exempt)?.with(source_config.private());
    let policy = args.policy.as_deref().map(|path| config::read_policy(path, PathSource::Named)).transpose()?;
    let policy = policy.map(|policy| args.warn.applied_to(policy));
    let mut wanted = if args.modules.is_empty() || !args.files.is_empty() {
        Wanted::of(&args.files, ": name another one with -m FILE, or module versions")?
    } else {
        Wanted::default()
    };
    let toolchains = config::toolchains(&args.toolchains)?;
    wanted.add_toolchains(&toolchains);
    let Wanted { plan: mut wanted, refused: mut before, .. } = wanted;
    let kept_back = config::kept_back(&exempt, &go);
    before.extend(kept_back.leave_out(&mut wanted));
    let http = config::http(false)?;
    let store = Arc::new(config::store(args.airgap.state.data.as_deref(), Access::Download)?);
    let clients = config::clients(databases, &args.airgap.state.anchor, &store, &http, policy.as_slice())?;
    out::start_log(out::QUIET);

    let expectations = Expectations { databases: clients, exempt };
    // Does not wait for records that are not in the log yet.
    let ttls = Ttls { hold: Some(Duration::ZERO), ..Ttls::default() };
    let router = source_config.router(ttls, &http, &store)?;
    let prefetch = Prefetch::new(store, router, expectations, policy.into(), Clock::System);
    let progress = Progress::default();
    let work = async {
        let mut filled = fill(&prefetch, &wanted, &progress).await;
        let mut graph = ModuleGraph::new(&prefetch, &kept_back, &toolchains, Missing::Fetched, &progress);
        if !args.modules.is_empty() {
            let mut named = graph.plan(&args.modules).await;
            let mut rest = graph.rest_of(&named);
            // Those were reported.
            kept_back.leave_out(&mut rest);
            kept_back.leave_out(&mut named);
            filled = filled.and(graph.filled).and(fill(&prefetch, &rest, &progress).await);
            wanted.join(&named);
        }
        // Which version is the newest cannot be proved either.
        if filled.is_lost() { filled } else { filled.and(fill_newest(&prefetch, &wanted, &progress).await) }
    };
    let line = progress::show_counted("fetching", &progress);
    let filled = Runtime::start()?.block_on(out::telling_whom(prefetch.databases(), work));
    drop(line);
    let refused: Vec<Refusal> = before.into_iter().chain(filled.refused.iter().cloned()).collect();
    print_refusals(&refused);
    filled.warnings.iter().for_each(|warning| out::message(&format!("warning: {warning}")));
    out::print(&summary("fetched", &filled, &refused));
    Ok(Exit::worst(refused.iter().map(|refusal| refusal.fault)))
}

/// Prints each refusal; those of one cause as one.
pub(super) fn print_refusals(refused: &[Refusal]) {
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    for Refusal { what, why, cause, .. } in refused {
        match cause {
            Some(cause) => *causes.entry(cause).or_default() += 1,
            // Most reasons begin with the name of what is refused.
            None => out::message(&if why.starts_with(what) { why.clone() } else { format!("{what}: {why}") }),
        }
    }
    for (cause, count) in causes {
        out::message(&format!("{} not checked: {cause}", counted(count, "module version")));
    }
}

/// One line with the result; `done` is a verb.
pub(super) fn summary(done: &str, filled: &Filled, refused: &[Refusal]) -> String {
    let Filled { came, bytes, were_here, .. } = filled;
    let stored = if *were_here > 0 { format!(", {were_here} were in the store") } else { String::new() };
    format!("{done} {} ({bytes} bytes){stored}{}\n", counted(*came, "file"), verdict(refused))
}

/// What is missing. A module whose database cannot be reached is neither missing nor refused.
fn verdict(refused: &[Refusal]) -> String {
    let unchecked = refused.iter().filter(|refusal| refusal.cause.is_some()).count();
    let counts = [(refused.len() - unchecked, "MISSING OR REFUSED"), (unchecked, "NOT CHECKED")];
    counts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!(", {count} {words}")).collect()
}
