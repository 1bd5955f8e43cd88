//! `sumgate cache export`: exports what a go.sum needs from the store.

use std::sync::Arc;

use super::args::ExportArgs;
use super::config::{self, Wanted};
use super::exit::{Exit, Failure};
use super::fetch::print_refusals;
use super::runtime::Runtime;
use super::{out, progress};
use crate::airgap::{ExportWriter, KeptBack, Missing, ModuleGraph, Refusal, export};
use crate::base::clock::Clock;
use crate::base::progress::Progress;
use crate::base::text::counted;
use crate::mirror::Prefetch;
use crate::policy::InForce;
use crate::release::Expectations;
use crate::store::Access;
use crate::upstream::{HttpClient, Ttls};

pub(super) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let (modules, out) = args.modules_and_out().map_err(Failure::usage)?;
    let databases = config::databases(&args.airgap.databases.sumdb)?;
    let exempt = config::exempt(&args.airgap.exempt)?;
    let mut wanted = if modules.is_empty() || !args.files.is_empty() {
        Wanted::of(&args.files, ": name another one with --for FILE, or module versions")?
    } else {
        Wanted::default()
    };
    let toolchains = config::toolchains(&args.toolchains)?;
    wanted.add_toolchains(&toolchains);
    let Wanted { plan: mut wanted, refused: mut before, .. } = wanted;
    let store = Arc::new(config::store(args.airgap.state.data.as_deref(), Access::Read)?);
    let clients = config::clients(databases, &args.airgap.state.anchor, &store, &HttpClient::offline(), &[])?;
    out::start_log(out::QUIET);

    let writer = ExportWriter::create(&out)?;
    let expectations = Expectations { databases: clients.clone(), exempt };
    let router = config::offline_router(&[], Ttls::default())?;
    let prefetch = Prefetch::new(store, router, expectations, InForce::default(), Clock::System);
    let progress = Progress::default();
    let line = progress::show_counted("exporting", &progress);
    let work = async {
        let kept_back = KeptBack::default();
        let mut graph = ModuleGraph::new(&prefetch, &kept_back, &toolchains, Missing::Refused, &progress);
        wanted.join(&graph.plan(&modules).await);
        before.extend(graph.filled.refused);
        export(&prefetch, &clients, &wanted, writer, &progress).await
    };
    let exported = Runtime::start()?.block_on(work)?;
    drop(line);
    let refused: Vec<Refusal> = before.into_iter().chain(exported.refused.iter().cloned()).collect();
    print_refusals(&refused);
    let missing = if refused.is_empty() { String::new() } else { format!(", {} MISSING OR REFUSED", refused.len()) };
    let (files, bytes, records) = (exported.files, exported.bytes, exported.records);
    out::print(&format!(
        "exported {} ({bytes} bytes) and {}{missing}\n",
        counted(files, "file"),
        counted(records, "record")
    ));
    Ok(Exit::worst(refused.iter().map(|refusal| refusal.fault)))
}
