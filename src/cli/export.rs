//! `sumgate cache export`: exports what a go.sum needs from the store.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::args::ExportArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::fetch::print_refusals;
use super::out;
use super::runtime::Runtime;
use crate::airgap::{ExportWriter, Refusal, export};
use crate::base::clock::Clock;
use crate::mirror::Prefetch;
use crate::policy::InForce;
use crate::release::Expectations;
use crate::store::Access;
use crate::upstream::{HttpClient, Ttls};

pub(super) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let databases = config::databases(&args.airgap.databases.sumdb)?;
    let exempt = config::exempt(&args.airgap.exempt)?;
    let (wanted, malformed) = config::wanted_of(args.go_sum.as_deref(), ": name another one with --for FILE")?;
    let store = Arc::new(config::store(args.airgap.state.data.as_deref(), Access::Read)?);
    let clients = config::clients(databases, &args.airgap.state.anchor, &store, &HttpClient::offline(), &[])?;
    out::start_log(out::QUIET);

    let writer = ExportWriter::create(&args.out)?;
    let expectations = Expectations { databases: clients.clone(), exempt };
    let router = config::offline_router(&[], Ttls::default())?;
    let prefetch = Prefetch::new(store, router, expectations, InForce::default(), Clock::System);
    let done = AtomicUsize::new(0);
    let work = export(&prefetch, &clients, &wanted, writer, &done);
    let exported = Runtime::start()?.block_on(out::with_progress("exporting", wanted.files(), &done, work))?;
    let refused: Vec<Refusal> = malformed.into_iter().chain(exported.refused.iter().cloned()).collect();
    print_refusals(&refused);
    let missing = if refused.is_empty() { String::new() } else { format!(", {} MISSING OR REFUSED", refused.len()) };
    let (files, bytes, records) = (exported.files, exported.bytes, exported.records);
    out::print(&format!("exported {files} files ({bytes} bytes) and {records} records{missing}\n"));
    Ok(Exit::worst(refused.iter().map(|refusal| refusal.fault)))
}
