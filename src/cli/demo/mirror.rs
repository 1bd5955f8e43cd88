//! The mirror of the tour, with its page, on which what it refused can be seen.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use testkit::Origin;

use crate::base::clock::Clock;
use crate::base::request_context::RequestIds;
use crate::cli::random::random;
use crate::events::{Feed, Journal, Recorder, Tally};
use crate::mirror::{BasePath, ListenAddress, Mirror, Pipeline, ServerOptions, Watch, Watched};
use crate::page;
use crate::policy::InForce;
use crate::release::{EventLog, Expectations};
use crate::store::{EventLimits, Store};
use crate::sumdb::{Anchor, Client, Database, Databases};
use crate::telemetry::Metrics;
use crate::upstream::{HttpClient, ProxyList, Router, Ttls, UpstreamPool};
use gomodule::module::Patterns;

/// The page has the events in memory; the folder of the tour is removed with it.
const NO_LOG: EventLimits = EventLimits { file_size: 0, files: 0 };

/// A mirror of the origin on a free port, its client of the database, and what looks for forks.
pub(super) async fn start(origin: &Origin, data: &Path, http: &HttpClient) -> Result<(Mirror, Client, Watch)> {
    let store = Arc::new(Store::open(data)?);
    let database = Database::parse(&origin.gosumdb())?;
    let client = Client::open(database, &store, &Anchor::None, http, Clock::System)?;
    let databases = Databases::new(vec![client.clone()]).context("there is one database")?;
    let list = ProxyList::parse(&origin.url())?;
    let upstreams = UpstreamPool::new(list.upstreams(), http, Ttls::default(), Clock::System)?;
    let router = Router::new(upstreams, Vec::new());
    let expectations = Expectations { databases, exempt: Patterns::default() };
    let journal = Journal::start(store.events().writer(NO_LOG), Metrics::default())?;
    let now = Clock::System.now();
    let feed = Feed::new(now.wall);
    let recorder = Recorder::new(journal, None, feed.clone(), Tally::new(now.steady), Clock::System);
    let events = EventLog::with_recorder(recorder.clone(), Patterns::default(), Metrics::default());
    let pipeline = Pipeline::new(store, router, expectations, InForce::default(), events, Clock::System);
    let watch = Watch::start(&pipeline, recorder, Watched::default());
    let pages = Some(page::pages(pipeline.clone(), feed, false));
    let ids = RequestIds::from_seed(random().map_err(|failure| anyhow::anyhow!("{failure}"))?);
    let at = ListenAddress::At(([127, 0, 0, 1], 0).into());
    let options = ServerOptions { pages, ..ServerOptions::default() };
    Ok((Mirror::start(pipeline, at, BasePath::default(), options, ids).await?, client, watch))
}
