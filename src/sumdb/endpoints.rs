//! The endpoints of a database: its own addresses, the folder of an export, and proxies that pass it on.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use url::Url;

use super::database::Database;
use super::error::NotShown;
use crate::base::clock::Clock;
use crate::base::flight::Flights;
use crate::upstream::UpstreamId as Endpoint;
use crate::upstream::database_request::DatabaseRequest;
use crate::upstream::{HttpClient, HttpError, Source, Ttls, UpstreamConfig, UpstreamError, UpstreamPool, Wanted};

pub(super) const SUPPORTED: Wanted = Wanted::Database(DatabaseRequest::Supported);
/// Concurrent requests to one endpoint: all tiles of the plan of an audit (`sumdb/tiles.rs`).
const AT_ONCE: usize = 512;
/// The same on the other connections: a line that is only slow must not carry all tiles twice.
const AGAIN_AT_ONCE: usize = 8;
/// How long a proxy may take to say whether it passes the database on: it needs no other server for that.
const SUPPORTED_WITHIN: Duration = Duration::from_secs(5);
/// Proxies that are asked for that at the same time. A GOPROXY has two or three.
const PROXIES_AT_ONCE: usize = 8;

pub(super) struct Endpoints {
    pub(super) pool: UpstreamPool,
    pub(super) kinds: Vec<EndpointKind>,
    /// The last failure of each since its last answer.
    failures: Vec<Mutex<Option<HttpError>>>,
    http: HttpClient,
    clock: Clock,
    configs: Vec<UpstreamConfig>,
    other_connections: OnceCell<UpstreamPool>,
}

pub(super) enum EndpointKind {
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
pub(super) struct OwnAddress {
    pub(super) has_shown_head: AtomicBool,
    /// By the span of time (`Remote::span`).
    pub(super) head_requests: Flights<u64, Result<(), NotShown>>,
}

impl Endpoints {
    /// Proxies that pass the database on are tried first, as `go` does
    /// (<https://go.dev/design/25530-sumdb#proxying-a-checksum-database>): 200 selects the proxy, 404 leads to the next one,
    /// and any other failure is an error unless `|` follows the proxy. All are asked at the same time, so that a silent one
    /// costs its time once. The fallback proxies come last.
    pub(super) async fn find(database: &Database, http: &HttpClient, clock: Clock) -> Result<Self, HttpError> {
        if let Some(folder) = &database.export {
            let folder = UpstreamConfig::plain(Source::Dir(folder.clone()), false);
            return Self::new(vec![folder], vec![EndpointKind::Export], http, clock);
        }
        let own = Self::first_supporting(database, http, clock).await?;
        let urls = own.map_or_else(|| database.urls(), |own| vec![own]);
        let own = |url| (UpstreamConfig::plain(Source::Http(url), true), EndpointKind::Own(Arc::default()));
        let fallbacks = database.fallbacks.iter().filter_map(|proxy| {
            let source = Source::Http(through(database, &proxy.source)?);
            let endpoint = UpstreamConfig { source, on_any_failure: true, timeouts: None, ..proxy.clone() };
            Some((endpoint, EndpointKind::Proxy(OnceCell::new())))
        });
        let (configs, kinds) = urls.into_iter().map(own).chain(fallbacks).unzip();
        Self::new(configs, kinds, http, clock)
    }

    fn new(
        configs: Vec<UpstreamConfig>,
        kinds: Vec<EndpointKind>,
        http: &HttpClient,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        let (pool, http) = (pool(&configs, http, AT_ONCE, clock)?, http.clone());
        let failures = kinds.iter().map(|_| Mutex::default()).collect();
        Ok(Self { pool, kinds, failures, http, clock, configs, other_connections: OnceCell::new() })
    }

    /// The URL below the first proxy that passes the database on.
    async fn first_supporting(database: &Database, http: &HttpClient, clock: Clock) -> Result<Option<Url>, HttpError> {
        let mut proxies = Vec::new();
        for proxy in &database.proxies {
            let Some(base) = through(database, &proxy.source) else { continue };
            // An upstream of its own: credentials in the URL are sent to no other address.
            let endpoint = UpstreamConfig::plain(Source::Http(base.clone()), proxy.on_any_failure);
            proxies.push((base, pool(&[endpoint], http, 1, clock)?));
        }
        let asked = proxies.into_iter().map(|(base, proxy)| async move {
            let supported = timeout(SUPPORTED_WITHIN, proxy.small_from(Endpoint::FIRST, &SUPPORTED)).await;
            let late = |_| Err(HttpError::Timeout(proxy.name(Endpoint::FIRST)).into());
            let supported = supported.unwrap_or_else(late);
            (base, proxy, supported)
        });
        let mut asked = std::pin::pin!(stream::iter(asked).buffered(PROXIES_AT_ONCE));
        while let Some((base, proxy, supported)) = asked.next().await {
            match supported {
                Ok(_) => return Ok(Some(base)),
                Err(error) if proxy.leads_on(Endpoint::FIRST, &error) => {}
                Err(error) => return Err(cause_of(error, proxy.name(Endpoint::FIRST))),
            }
        }
        Ok(None)
    }

    /// The same endpoints on connections of their own.
    pub(super) async fn other_connections(&self) -> Result<&UpstreamPool, HttpError> {
        let make = || async { pool(&self.configs, &self.http.on_other_connections()?, AGAIN_AT_ONCE, self.clock) };
        self.other_connections.get_or_try_init(make).await
    }

    /// Keeps the last failure of an endpoint; `None` after an answer.
    pub(super) fn note_failure(&self, id: Endpoint, failure: Option<&HttpError>) {
        *self.failures[id.index()].lock().unwrap_or_else(PoisonError::into_inner) = failure.cloned();
    }

    pub(super) fn last_failure(&self, id: Endpoint) -> Option<HttpError> {
        self.failures[id.index()].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn cause_of(error: UpstreamError, url: String) -> HttpError {
    match error {
        // What fails is the same for every path.
        UpstreamError::Failed(HttpError::Unconnected { cause, why, silent, .. }) => {
            HttpError::Unconnected { url, cause, why, silent }
        }
        UpstreamError::Failed(cause) => cause,
        error => HttpError::Transport { url, cause: error.to_string() },
    }
}

fn pool(
    configs: &[UpstreamConfig],
    http: &HttpClient,
    at_once: usize,
    clock: Clock,
) -> Result<UpstreamPool, HttpError> {
    // A record that is missing now may appear within seconds.
    let ttls = Ttls { absent: Duration::ZERO, ..Ttls::default() };
    UpstreamPool::with_places(configs, http, ttls, at_once, clock)
}

/// The URL of a database below a proxy.
fn through(database: &Database, source: &Source) -> Option<Url> {
    match source {
        Source::Http(proxy) => {
            let mut base = proxy.clone();
            base.set_path(&format!("{}/sumdb/{}", proxy.path().trim_end_matches('/'), database.name()));
            Some(base)
        }
        Source::Dir(_) | Source::Direct(_) => None,
    }
}
