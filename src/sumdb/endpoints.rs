//! The endpoints of a database: its own addresses, the folder of an export, and proxies that pass it on.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::contact::Silence;
use super::database::Database;
use super::error::NotShown;
use crate::base::clock::Clock;
use crate::base::flight::Flights;
use crate::base::lock::lock;
use crate::upstream::SourceFailure;
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

/// A request that has no result yet. An exchange ends before its requests time out, and cancels them: if nothing arrived for
/// most of an exchange, that is a failure of the endpoint, which must not cost the next exchange its time, too.
pub(super) struct Unanswered<'a> {
    endpoints: &'a Endpoints,
    id: Endpoint,
    silence: Silence,
    /// It counts as silent after this time.
    limit: Duration,
    has_result: bool,
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
        let plain = |url| {
            let endpoint = UpstreamConfig::plain(Source::Http(url), true);
            match &database.login {
                Some(login) => endpoint.as_go(login),
                None => endpoint,
            }
        };
        let own = match Self::first_supporting(database, http, clock).await? {
            Some(proxy) => vec![proxy],
            None => database.urls().into_iter().map(plain).collect(),
        };
        let own = own.into_iter().map(|own| {
            let own = UpstreamConfig { on_any_failure: true, ..own };
            (own, EndpointKind::Own(Arc::default()))
        });
        let fallbacks = database.fallbacks.iter().filter_map(|proxy| {
            let endpoint = UpstreamConfig { on_any_failure: true, ..below(database, proxy)? };
            Some((endpoint, EndpointKind::Proxy(OnceCell::new())))
        });
        let (configs, kinds) = own.chain(fallbacks).unzip();
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

    /// The database below the first proxy that passes it on.
    async fn first_supporting(
        database: &Database,
        http: &HttpClient,
        clock: Clock,
    ) -> Result<Option<UpstreamConfig>, HttpError> {
        let mut proxies = Vec::new();
        for proxy in &database.proxies {
            let Some(endpoint) = below(database, proxy) else { continue };
            if let (Some(login), Source::Http(url)) = (&endpoint.credentials, &endpoint.source) {
                // A program that gets a token may take longer than the proxy.
                login.prepare(url).await;
            }
            // An upstream of its own: a login is sent to no other address.
            proxies.push((endpoint.clone(), pool(&[endpoint], http, 1, clock)?));
        }
        let asked = proxies.into_iter().map(|(endpoint, proxy)| async move {
            let supported = timeout(SUPPORTED_WITHIN, proxy.small_from(Endpoint::FIRST, &SUPPORTED)).await;
            let late = |_| Err(HttpError::Timeout(proxy.name(Endpoint::FIRST)).into());
            let supported = supported.unwrap_or_else(late);
            (endpoint, proxy, supported)
        });
        let mut asked = std::pin::pin!(stream::iter(asked).buffered(PROXIES_AT_ONCE));
        while let Some((endpoint, proxy, supported)) = asked.next().await {
            match supported {
                Ok(_) => return Ok(Some(endpoint)),
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

    /// A request to `id` begins; `exchange` is how long it may take.
    pub(super) fn unanswered(&self, id: Endpoint, silence: Silence, exchange: Duration) -> Unanswered<'_> {
        // A request may begin some seconds after its exchange.
        Unanswered { endpoints: self, id, silence, limit: exchange / 2, has_result: false }
    }

    /// Keeps the last failure of an endpoint; `None` after an answer.
    pub(super) fn note_failure(&self, id: Endpoint, failure: Option<&HttpError>) {
        *lock(&self.failures[id.index()]) = failure.cloned();
    }

    pub(super) fn last_failure(&self, id: Endpoint) -> Option<HttpError> {
        lock(&self.failures[id.index()]).clone()
    }
}

impl Unanswered<'_> {
    pub(super) fn ended(mut self) {
        self.has_result = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let silent = self.silence.lasts();
        if !self.has_result && silent >= self.limit {
            let failure = HttpError::Timeout(self.endpoints.pool.name(self.id));
            self.endpoints.pool.was_silent(self.id, silent, &failure);
            self.endpoints.note_failure(self.id, Some(&failure));
        }
    }
}

pub(super) fn cause_of(error: UpstreamError, url: String) -> HttpError {
    match error {
        // What fails is the same for every path.
        UpstreamError::Failed(HttpError::Unconnected { cause, why, silent, .. }) => {
            HttpError::Unconnected { url, cause, why, silent }
        }
        UpstreamError::Failed(cause) => cause,
        UpstreamError::Source(_, SourceFailure::Refused(status, reason)) => {
            HttpError::Status { url, status, reason, retry_after: None }
        }
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

/// The database below a proxy, with the login of the proxy.
fn below(database: &Database, proxy: &UpstreamConfig) -> Option<UpstreamConfig> {
    match &proxy.source {
        Source::Http(url) => {
            let mut base = url.clone();
            base.set_path(&format!("{}/sumdb/{}", url.path().trim_end_matches('/'), database.name()));
            Some(UpstreamConfig { source: Source::Http(base), timeouts: None, ..proxy.clone() })
        }
        Source::Dir(_) | Source::Direct(_) => None,
    }
}
