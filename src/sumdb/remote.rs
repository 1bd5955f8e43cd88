//! Requests to the database, through whichever endpoint answers. Every answer is untrusted.
//!
//! The database itself, the alias of the public one, and proxies that pass it on are endpoints of one log. Their answers are
//! proved, so an endpoint that is outdated, down or lying costs only time: the next one is asked. A 404 means "no record" only
//! as the answer to a lookup, from the database's own endpoint, after that endpoint has shown a head that the database signed.
//! Then no other endpoint is asked, because the name may be private. After any other 404 (a tile, a head), what needed the
//! answer stays unproved.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{FutureExt, future::select_ok};
use tlog::{Mismatch, SUMDB_ORIGIN, SignedCheckpoint, Tile, TileError};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use super::contact::{Contact, Silence};
use super::database::Database;
use super::endpoints::{EndpointKind, Endpoints, OwnAddress, SUPPORTED, cause_of};
use super::error::{NotShown, Shared, SumdbError};
use crate::base::clock::Clock;
use crate::telemetry::Metrics;
use crate::upstream::Labels;
pub(super) use crate::upstream::UpstreamId as Endpoint;
use crate::upstream::database_request::DatabaseRequest;
use crate::upstream::{HttpClient, HttpError, Progress, SourceFailure, Timeouts, UpstreamError, Wanted};

const LATEST: Wanted = Wanted::Database(DatabaseRequest::Latest);
/// The next endpoint is asked after this time: a public service that is a little slow must not get twice the load.
const HEDGE_AFTER: Duration = Duration::from_secs(1);
/// A tile is a file of the server. One that has not come after this time is requested again on another connection: this one may
/// be dead.
const TILE_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Requests that began within such a time are shared. An older one may hang on a dead connection, and its exchange may have
/// ended: a new exchange must not depend on it.
const SHARED_FOR: Duration = TILE_AGAIN_AFTER;
/// No other round of attempts begins after this time: a name server, a silent endpoint or many endpoints may take it for each.
const RETRY_WITHIN: Duration = Duration::from_secs(2);
/// The longest time that a request waits for an endpoint whose circuit breaker is open.
const LONGEST_REST: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct Remote {
    pub(super) database: Arc<Database>,
    /// The network is not used.
    pub(super) offline: bool,
    http: HttpClient,
    clock: Clock,
    started: Instant,
    contact: Contact,
    /// Found at the first request.
    endpoints: Arc<OnceCell<Endpoints>>,
    pub(super) metrics: Arc<OnceLock<Metrics>>,
}

/// Why an endpoint has no valid answer.
enum EndpointError {
    /// The log has no record of the module version.
    NoRecord(SumdbError),
    /// No answer, or 404.
    Upstream(UpstreamError),
    /// Its circuit breaker is open for this time, after this failure.
    Resting(Duration, HttpError),
    /// A wrong answer.
    Wrong(SumdbError),
    /// A proxy that does not pass the database on.
    NotPassedOn,
}

impl Remote {
    pub(super) fn new(database: Database, http: &HttpClient, clock: Clock) -> Result<Self, SumdbError> {
        let offline = http.is_offline() && database.export.is_none();
        let http = http.with_timeouts(Timeouts::of_database(database.exchange));
        let http = http.map_err(|cause| SumdbError::Unreachable(database.name().to_owned(), cause))?;
        let contact = Contact::new(http.clone(), clock);
        let (database, started) = (Arc::new(database), clock.steady());
        Ok(Self {
            database,
            offline,
            http,
            clock,
            started,
            contact,
            endpoints: Arc::default(),
            metrics: Arc::default(),
        })
    }

    pub(super) async fn all_endpoints(&self) -> Result<impl ExactSizeIterator<Item = Endpoint> + use<>, SumdbError> {
        Ok(self.endpoints().await?.pool.sources())
    }

    pub(super) async fn endpoints(&self) -> Result<&Endpoints, SumdbError> {
        let find = || async {
            let _pending = self.contact.begin();
            let found = Endpoints::find(&self.database, &self.http, self.clock).await;
            let report = |found: &Endpoints, metrics| found.pool.report_to(metrics, &Labels::default());
            found.inspect(|found| self.metrics.get().into_iter().for_each(|metrics| report(found, metrics)))
        };
        self.endpoints.get_or_try_init(find).await.map_err(|cause| self.unreachable(cause))
    }

    /// One exchange, which has a limited time.
    pub(super) async fn exchange<T>(&self, exchange: impl Future<Output = Shared<T>>) -> Shared<T> {
        let limit = self.database.exchange;
        timeout(limit, exchange).await.unwrap_or_else(|_| Err(self.no_answer(limit)))
    }

    /// The current one of the spans of time within which requests are shared.
    pub(super) fn span(&self) -> u64 {
        (self.clock.steady() - self.started).as_secs() / SHARED_FOR.as_secs()
    }

    /// Work of any length, which ends when the database is silent for `limit`.
    pub(super) async fn unless_silent<T>(&self, limit: Duration, work: impl Future<Output = Shared<T>>) -> Shared<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.contact.silent_for(limit) => Err(self.no_answer(limit)),
        }
    }

    /// How often the database has sent something.
    pub(super) fn arrived(&self) -> u64 {
        self.contact.arrived()
    }

    pub(super) fn silence(&self) -> Silence {
        self.contact.silence()
    }

    /// The addresses that are asked, without credentials.
    pub(super) fn addresses(&self) -> String {
        let known = self.endpoints.get().map(|endpoints| {
            let names = endpoints.pool.sources().map(|id| endpoints.pool.name(id));
            names.collect::<Vec<_>>().join(", ")
        });
        known.unwrap_or_else(|| {
            let proxies = self.database.proxies.iter().map(|proxy| proxy.source.to_string());
            let own = self.database.url().as_str().trim_end_matches('/').to_owned();
            proxies.chain([own]).collect::<Vec<_>>().join(", ")
        })
    }

    fn no_answer(&self, within: Duration) -> Arc<SumdbError> {
        Arc::new(SumdbError::NoAnswer(self.database.name().to_owned(), within))
    }

    pub(super) async fn latest(&self) -> Result<Vec<u8>, SumdbError> {
        self.ask(DatabaseRequest::Latest, None, Ok).await
    }

    /// A tile of exactly the requested width.
    pub(super) async fn tile(&self, tile: &Tile, only: Option<Endpoint>) -> Result<Vec<u8>, SumdbError> {
        self.ask(DatabaseRequest::Tile(*tile), only, Ok).await
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
        let (_pending, start) = (self.contact.begin(), self.clock.steady());
        let wanted = &Wanted::Database(request);
        let attempt = |id, progress: Progress| {
            progress.start();
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
        let passes = |errors: &Vec<(Endpoint, EndpointError)>| {
            // A single one is asked only to find out which of them lies.
            let is_last = only.is_some() || self.clock.steady() - start > RETRY_WITHIN;
            errors.iter().filter_map(|(_, error)| error.passes()).min().filter(|_| !is_last)
        };
        match endpoints.pool.in_rounds(round, passes).await {
            Ok((_, Ok(answer))) => Ok(answer),
            Ok((id, Err(error))) => Err(self.conclude(endpoints, wanted, vec![(id, error)])),
            Err(errors) => Err(self.conclude(endpoints, wanted, errors)),
        }
    }

    /// Asks one endpoint. A server may delete a partial tile once the full one exists (<https://c2sp.org/tlog-tiles>), so after
    /// any answer but the tile the full one is requested and cut.
    async fn ask_endpoint<T>(
        &self,
        endpoints: &Endpoints,
        id: Endpoint,
        wanted: &Wanted,
        check: &impl Fn(Vec<u8>) -> Result<T, SumdbError>,
    ) -> Result<T, EndpointError> {
        let exact = self.ask_for(endpoints, id, wanted, check).await;
        let (Wanted::Database(DatabaseRequest::Tile(tile)), Err(error)) = (wanted, &exact) else { return exact };
        if tile.is_full() || !error.is_answer() {
            return exact;
        }
        let full = tile.full();
        let cut = |bytes: Vec<u8>| {
            let (found, expected) = (bytes.len(), full.byte_len());
            let cut = tile.cut(&bytes).filter(|_| found == expected).map(<[u8]>::to_vec);
            let wrong = || TileError::WrongLength(full, Mismatch { expected, found });
            check(cut.ok_or_else(|| self.database.unverified(full, wrong()))?)
        };
        let full = self.ask_for(endpoints, id, &Wanted::Database(DatabaseRequest::Tile(full)), &cut).await;
        // The exact one may come at the next attempt.
        if full.is_err() && error.passes().is_some() { exact } else { full }
    }

    async fn ask_for<T>(
        &self,
        endpoints: &Endpoints,
        id: Endpoint,
        wanted: &Wanted,
        check: &impl Fn(Vec<u8>) -> Result<T, SumdbError>,
    ) -> Result<T, EndpointError> {
        let (pool, kind) = (&endpoints.pool, &endpoints.kinds[id.index()]);
        if let EndpointKind::Proxy(supported) = kind {
            let ask = || async {
                match self.answer(endpoints, id, &SUPPORTED).await {
                    Ok(_) => Ok(true),
                    Err(UpstreamError::NotFound(_)) => Ok(false),
                    Err(error) => Err(failed(endpoints, id, error)),
                }
            };
            if !*supported.get_or_try_init(ask).await? {
                return Err(EndpointError::NotPassedOn);
            }
        }
        match (self.answer(endpoints, id, wanted).await, kind, wanted) {
            (Ok(body), ..) => {
                endpoints.note_failure(id, None);
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
            (Err(error), ..) => Err(failed(endpoints, id, error)),
        }
    }

    async fn answer(&self, endpoints: &Endpoints, id: Endpoint, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        let unanswered = endpoints.unanswered(id, self.contact.silence(), self.database.exchange);
        let answer = self.request(endpoints, id, wanted).await;
        unanswered.ended();
        answer
    }

    async fn request(&self, endpoints: &Endpoints, id: Endpoint, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        // Boxed: the callers have room for it several times, in all 100 KB for one of 6.
        let mut first = endpoints.pool.small_from(id, wanted).boxed();
        if !matches!(wanted, Wanted::Database(DatabaseRequest::Tile(_))) {
            return first.await;
        }
        tokio::select! {
            biased;
            answer = &mut first => return answer,
            () = sleep(TILE_AGAIN_AFTER) => {}
        }
        let again = async { endpoints.other_connections().await?.small_from(id, wanted).await };
        select_ok([first, again.boxed()]).await.map(|(tile, _)| tile)
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
        let shown = own.head_requests.join(self.span(), move || async move {
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
        let (mut wrong, mut missing, mut failures) = (None, None, Vec::new());
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
                EndpointError::Upstream(error) => failures.push(cause_of(error, endpoints.pool.name(id))),
                EndpointError::Resting(_, failure) => failures.push(failure),
                EndpointError::NotPassedOn => {}
            }
        }
        let none_asked = || HttpError::Transport {
            url: wanted.to_string(),
            cause: "no endpoint of the database could be reached".to_owned(),
        };
        // Only if there was no connection to any of them, there is none to the database.
        let told = failures.iter().position(|failure| !matches!(failure, HttpError::Unconnected { .. }));
        let failed = failures.into_iter().nth(told.unwrap_or_default());
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
    /// How soon another attempt may succeed.
    fn passes(&self) -> Option<Duration> {
        match self {
            Self::Upstream(error) => error.passes(),
            // A silent one would cost its time again.
            Self::Resting(_, HttpError::Timeout(_) | HttpError::Unconnected { silent: true, .. }) => None,
            Self::Resting(rest, _) => Some(*rest).filter(|rest| *rest <= LONGEST_REST),
            _ => None,
        }
    }

    /// Whether the endpoint answered, with whatever.
    fn is_answer(&self) -> bool {
        match self {
            Self::Upstream(UpstreamError::Failed(error)) => error.is_answer(),
            Self::Wrong(_) | Self::NoRecord(_) | Self::Upstream(_) => true,
            Self::Resting(..) | Self::NotPassedOn => false,
        }
    }
}

/// The error of an endpoint, whose last failure is remembered for the time that its circuit breaker is open.
fn failed(endpoints: &Endpoints, id: Endpoint, error: UpstreamError) -> EndpointError {
    match error {
        UpstreamError::Source(_, SourceFailure::CircuitOpen { open_for, .. })
            if let Some(failure) = endpoints.last_failure(id) =>
        {
            EndpointError::Resting(open_for, failure)
        }
        UpstreamError::Failed(cause) => {
            let cause = cause_of(cause.into(), endpoints.pool.name(id));
            endpoints.note_failure(id, Some(&cause));
            EndpointError::Upstream(cause.into())
        }
        error => EndpointError::Upstream(error),
    }
}
