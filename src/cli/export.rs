//! `sumgate cache export`: what a go.sum needs, from the store, to be carried elsewhere.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::args::ExportArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::fetch::complain;
use super::out;
use crate::airgap::{ExportWriter, Refusal, export};
use crate::base::clock::Clock;
use crate::mirror::Prefetch;
use crate::policy::InForce;
use crate::release::Expectations;
use crate::store::Access;
use crate::upstream::{HttpClient, Ttls};

pub(super) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let databases = config::databases(&args.closed.databases)?;
    let exempt = config::exempt(&args.closed.nosumdb, &args.closed.private)?;
    let (wanted, malformed) = config::wanted_of(args.go_sum.as_deref(), ": name another one with --for FILE")?;
    let store = Arc::new(config::store(args.closed.state.data.as_deref(), Access::Read)?);
    let clients = config::clients(databases, &args.closed.state.anchor, &store, &HttpClient::offline(), &[])?;
    out::start_log(out::QUIET);

    let pack = ExportWriter::create(&args.out)?;
    let expectations = Expectations { databases: clients.clone(), exempt };
    let sources = config::nowhere(Ttls::default())?;
    let prefetch = Prefetch::new(store, sources, expectations, InForce::default(), Clock::System);
    let done = AtomicUsize::new(0);
    let work = export(&prefetch, &clients, &wanted, pack, &done);
    let exported = config::runtime()?.block_on(out::with_progress("exporting", wanted.files(), &done, work))?;
    let refused: Vec<Refusal> = malformed.into_iter().chain(exported.refused.iter().cloned()).collect();
    complain(&refused);
    let left = if refused.is_empty() { String::new() } else { format!(", {} ABSENT OR REFUSED", refused.len()) };
    let (files, bytes, records) = (exported.files, exported.bytes, exported.records);
    out::print(&format!("exported {files} files ({bytes} bytes) and {records} records{left}\n"));
    Ok(Exit::worst(refused.iter().map(|refusal| refusal.fault)))
}
