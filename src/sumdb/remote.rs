//! Requests to the database, through whichever endpoint answers. Every answer is untrusted.
//!
//! The database itself, the alias of the public one, and proxies that pass it on are endpoints of one log. Their answers are
//! proved, so an endpoint that is outdated, down or lying costs only time: the next one is asked. A 404 means "no record" only
//! as the answer to a lookup, from the database's own endpoint, after that endpoint has shown a head that the database signed.
//! Then no other endpoint is asked, because the name may be private. After any other 404 (a tile, a head), what needed the
//! answer stays unproved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tlog::{Mismatch, SUMDB_ORIGIN, SignedCheckpoint, Tile, TileError};
use tokio::sync::OnceCell;

use super::database::Database;
use super::error::{NotShown, SumdbError};
use crate::base::clock::Clock;
use crate::base::flight::Flights;
pub(super) use crate::upstream::UpstreamId as Endpoint;
use crate::upstream::database_request::DatabaseRequest;
use crate::upstream::{
    HttpClient, HttpError, Source, SourceFailure, Ttls, UpstreamConfig, UpstreamError, UpstreamPool, Wanted,
};

const SUPPORTED: Wanted = Wanted::Database(DatabaseRequest::Supported);
const LATEST: Wanted = Wanted::Database(DatabaseRequest::Latest);
/// Concurrent requests to one endpoint: all tiles of the plan of an audit (`sumdb/tiles.rs`).
const AT_ONCE: usize = 512;
/// The next endpoint is asked after this time: a public service that is a little slow must not get twice the load.
const HEDGE_AFTER: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Remote {
    pub(super) database: Arc<Database>,
    /// The network is not used.
    pub(super) offline: bool,
    http: HttpClient,
    clock: Clock,
    /// Found at the first request.
    endpoints: Arc<OnceCell<Endpoints>>,
}

pub(super) struct Endpoints {
    pool: UpstreamPool,
    kinds: Vec<EndpointKind>,
}

enum EndpointKind {
    /// The database's own address. It decides that there is no record, once it has shown a head.
    Own(Arc<OwnAddress>),
    /// The folder of an export. A record that is not in it may exist.
    Export,
    /// A proxy, and whether it passes the database on, once known.
    Proxy(OnceCell<bool>),
}

/// Whether an address has shown a head that the database signed. A captive portal, a wrong path, or a blocking proxy on the
/// way also answers 404.
#[derive(Default)]
struct OwnAddress {
    has_shown_head: AtomicBool,
    head_requests: Flights<(), Result<(), NotShown>>,
}

/// Why an endpoint has no valid answer.
enum EndpointError {
    /// The log has no record of the module version.
    NoRecord(SumdbError),
    /// No answer, or 404.
    Upstream(UpstreamError),
    /// A wrong answer.
    Wrong(SumdbError),
    /// A proxy that does not pass the database on.
    NotPassedOn,
}

impl Remote {
    pub(super) fn new(database: Database, http: HttpClient, clock: Clock) -> Self {
        let offline = http.is_offline() && database.export.is_none();
        Self { database: Arc::new(database), offline, http, clock, endpoints: Arc::default() }
    }

    pub(super) async fn all_endpoints(&self) -> Result<impl ExactSizeIterator<Item = Endpoint> + use<>, SumdbError> {
        Ok(self.endpoints().await?.pool.sources())
    }

    /// Proxies that pass the database on are tried first, as `go` does
    /// (<https://go.dev/design/25530-sumdb#proxying-a-checksum-database>): 200 selects the proxy, 404 leads to the next one,
    /// and any other failure is an error unless `|` follows the proxy. The fallback proxies come last.
    pub(super) async fn endpoints(&self) -> Result<&Endpoints, SumdbError> {
        let find = || async {
            let database = &self.database;
            let url_through = |source: &Source| match source {
                Source::Http(proxy) => {
                    let mut base = proxy.clone();
                    base.set_path(&format!("{}/sumdb/{}", proxy.path().trim_end_matches('/'), database.name()));
                    Some(base)
                }
                Source::Dir(_) | Source::Direct(_) => None,
            };
            if let Some(folder) = &database.export {
                let folder = UpstreamConfig::plain(Source::Dir(folder.clone()), false);
                return Ok(Endpoints { pool: self.pool(&[folder])?, kinds: vec![EndpointKind::Export] });
            }
            let mut own = None;
            for proxy in &database.proxies {
                let Some(base) = url_through(&proxy.source) else { continue };
                // An upstream of its own: credentials in the url are sent to no other address.
                let endpoint = UpstreamConfig::plain(Source::Http(base.clone()), proxy.on_any_failure);
                let endpoint = self.pool(&[endpoint])?;
                match endpoint.small_from(Endpoint::FIRST, &SUPPORTED).await {
                    Ok(_) => {
                        own = Some(base);
                        break;
                    }
                    Err(error) if endpoint.leads_on(Endpoint::FIRST, &error) => {}
                    Err(error) => return Err(self.unreachable(cause_of(error, endpoint.name(Endpoint::FIRST)))),
                }
            }
            let urls = own.map_or_else(|| database.urls(), |own| vec![own]);
            let own = |url| (UpstreamConfig::plain(Source::Http(url), true), EndpointKind::Own(Arc::default()));
            let fallbacks = database.fallbacks.iter().filter_map(|proxy| {
                let source = Source::Http(url_through(&proxy.source)?);
                let endpoint = UpstreamConfig { source, on_any_failure: true, ..proxy.clone() };
                Some((endpoint, EndpointKind::Proxy(OnceCell::new())))
            });
            let (configs, kinds): (Vec<UpstreamConfig>, Vec<_>) = urls.into_iter().map(own).chain(fallbacks).unzip();
            Ok(Endpoints { pool: self.pool(&configs)?, kinds })
        };
        self.endpoints.get_or_try_init(find).await
    }

    fn pool(&self, configs: &[UpstreamConfig]) -> Result<UpstreamPool, SumdbError> {
        // A record that is missing now may appear within seconds.
        let ttls = Ttls { absent: Duration::ZERO, ..Ttls::default() };
        let pool = UpstreamPool::with_places(configs, &self.http, ttls, AT_ONCE, self.clock);
        pool.map_err(|cause| self.unreachable(cause))
    }

    pub(super) async fn latest(&self) -> Result<Vec<u8>, SumdbError> {
        self.ask(DatabaseRequest::Latest, None, Ok).await
    }

    /// A tile of exactly the requested width. A server may delete a partial tile once the full one exists
    /// (<https://c2sp.org/tlog-tiles>), so after any failure the full tile is requested and cut.
    pub(super) async fn tile(&self, tile: &Tile, only: Option<Endpoint>) -> Result<Vec<u8>, SumdbError> {
        let exact = self.ask(DatabaseRequest::Tile(*tile), only, Ok).await;
        if tile.is_full() || exact.is_ok() {
            return exact;
        }
        let full = tile.full();
        let check = |bytes: Vec<u8>| {
            let (found, expected) = (bytes.len(), full.byte_len());
            let cut = tile.cut(&bytes).filter(|_| found == expected).map(<[u8]>::to_vec);
            let wrong = || TileError::WrongLength(full, Mismatch { expected, found });
            cut.ok_or_else(|| self.database.unverified(full, wrong()))
        };
        self.ask(DatabaseRequest::Tile(full), only, check).await
    }

    /// The answers of an endpoint contradict each other.
    pub(super) async fn distrust(&self, id: Endpoint) {
        if let Ok(endpoints) = self.endpoints().await {
            endpoints.pool.distrust(id);
        }
    }

    /// The answer to a request, if `check` accepts it; only from endpoint `only`, if given.
    pub(super) async fn ask<T>(
        &self,
        request: DatabaseRequest,
        only: Option<Endpoint>,
        check: impl Fn(Vec<u8>) -> Result<T, SumdbError>,
    ) -> Result<T, SumdbError> {
        let endpoints = self.endpoints().await?;
        let wanted = &Wanted::Database(request);
        let attempt = |id, _progress| {
            let answer = self.ask_endpoint(endpoints, id, wanted, &check);
            async move {
                match answer.await {
                    // No other endpoint is asked after that.
                    Err(error @ EndpointError::NoRecord(_)) => Ok(Err(error)),
                    answer => answer.map(Ok),
                }
            }
        };
        let round = || async {
            let order = only.map_or_else(|| endpoints.pool.stages(wanted), |id| vec![vec![id]]);
            endpoints.pool.race(order, HEDGE_AFTER, |_, _| false, attempt).await
        };
        let passes =
            |errors: &Vec<(Endpoint, EndpointError)>| errors.iter().filter_map(|(_, error)| error.passes()).min();
        match endpoints.pool.in_rounds(round, passes).await {
            Ok((_, Ok(answer))) => Ok(answer),
            Ok((id, Err(error))) => Err(self.conclude(endpoints, wanted, vec![(id, error)])),
            Err(errors) => Err(self.conclude(endpoints, wanted, errors)),
        }
    }

    /// Asks one endpoint.
    async fn ask_endpoint<T>(
        &self,
        endpoints: &Endpoints,
        id: Endpoint,
        wanted: &Wanted,
        check: &impl Fn(Vec<u8>) -> Result<T, SumdbError>,
    ) -> Result<T, EndpointError> {
        let (pool, kind) = (&endpoints.pool, &endpoints.kinds[id.index()]);
        if let EndpointKind::Proxy(supported) = kind {
            let ask = || async {
                match pool.small_from(id, &SUPPORTED).await {
                    Ok(_) => Ok(true),
                    Err(UpstreamError::NotFound(_)) => Ok(false),
                    Err(error) => Err(EndpointError::Upstream(error)),
                }
            };
            if !*supported.get_or_try_init(ask).await? {
                return Err(EndpointError::NotPassedOn);
            }
        }
        match (pool.small_from(id, wanted).await, kind, wanted) {
            (Ok(body), ..) => {
                let answer = check(body).map_err(|error| {
                    pool.had_wrong(id, wanted);
                    EndpointError::Wrong(error)
                })?;
                if let (EndpointKind::Own(own), Wanted::Database(DatabaseRequest::Lookup(_))) = (kind, wanted) {
                    // The reply has a signed head, which `check` verified.
                    own.has_shown_head.store(true, Ordering::Relaxed);
                }
                Ok(answer)
            }
            (
                Err(UpstreamError::NotFound(text)),
                EndpointKind::Own(own),
                Wanted::Database(DatabaseRequest::Lookup(module)),
            ) => {
                self.check_own_address(endpoints, id, own).await?;
                Err(EndpointError::NoRecord(SumdbError::NoRecord(self.database.asked_for(module), text)))
            }
            (Err(error), ..) => Err(EndpointError::Upstream(error)),
        }
    }

    /// Checks that an endpoint has shown a signed head of any size; if it has not, requests one.
    async fn check_own_address(
        &self,
        endpoints: &Endpoints,
        id: Endpoint,
        own: &Arc<OwnAddress>,
    ) -> Result<(), EndpointError> {
        if own.has_shown_head.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (pool, address, key) = (endpoints.pool.clone(), Arc::clone(own), self.database.key().clone());
        let shown = own.head_requests.join((), move || async move {
            let note = pool.small_from(id, &LATEST).await.map_err(|why| Arc::new(why) as NotShown)?;
            SignedCheckpoint::open(&note, SUMDB_ORIGIN, &key).map_err(|why| Arc::new(why) as NotShown)?;
            address.has_shown_head.store(true, Ordering::Relaxed);
            Ok(())
        });
        let shown = shown.await.unwrap_or_else(|cancelled| Err(Arc::new(cancelled)));
        shown.map_err(|cause| {
            let (database, address) = (self.database.name().to_owned(), endpoints.pool.name(id));
            EndpointError::Wrong(SumdbError::NotTheDatabase { database, address, cause })
        })
    }

    /// The error to report of those of all endpoints: no record; else a wrong answer; else a failure; else 404.
    fn conclude(&self, endpoints: &Endpoints, wanted: &Wanted, errors: Vec<(Endpoint, EndpointError)>) -> SumdbError {
        let (mut wrong, mut missing, mut failed) = (None, None, None);
        for (id, error) in errors {
            match error {
                EndpointError::NoRecord(error) => return error,
                EndpointError::Upstream(
                    UpstreamError::NotFound(_) | UpstreamError::Source(_, SourceFailure::EmptyRoot(_)),
                ) if matches!(endpoints.kinds[id.index()], EndpointKind::Export) => {
                    return SumdbError::NotExported(match wanted {
                        Wanted::Database(DatabaseRequest::Lookup(module)) => {
                            self.database.asked_for(format!("the record of {module}"))
                        }
                        wanted => self.database.asked_for(wanted),
                    });
                }
                EndpointError::Upstream(UpstreamError::NotFound(reason)) => missing = missing.or(Some(reason)),
                EndpointError::Wrong(error) => wrong = wrong.or(Some(error)),
                EndpointError::Upstream(error) => {
                    failed = failed.or_else(|| Some(cause_of(error, endpoints.pool.name(id))));
                }
                EndpointError::NotPassedOn => {}
            }
        }
        let none_asked = || HttpError::Transport {
            url: wanted.to_string(),
            cause: "no endpoint of the database could be reached".to_owned(),
        };
        match (wrong, failed, missing) {
            (Some(wrong), ..) => wrong,
            (None, Some(failed), _) => self.unreachable(failed),
            (None, None, Some(reason)) => SumdbError::Missing(self.database.asked_for(wanted), reason),
            (None, None, None) => self.unreachable(none_asked()),
        }
    }

    fn unreachable(&self, cause: HttpError) -> SumdbError {
        SumdbError::Unreachable(self.database.name().to_owned(), cause)
    }
}

impl EndpointError {
    fn passes(&self) -> Option<Duration> {
        if let Self::Upstream(error) = self { error.passes() } else { None }
    }
}

fn cause_of(error: UpstreamError, url: String) -> HttpError {
    match error {
        UpstreamError::Failed(cause) => cause,
        error => HttpError::Transport { url, cause: error.to_string() },
    }
}
