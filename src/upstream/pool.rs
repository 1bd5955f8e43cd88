//! Requests to a set of sources: for metadata in `go`'s order; for provable files too, but sources joined by `|` are ranked by
//! health.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::access::is_shown_by;
use super::config::UpstreamConfig;
use super::error::{Search, UpstreamError};
use super::health::Health;
use super::http::{HttpClient, HttpError};
use super::label::Labels;
use super::race::{self, Progress};
use super::retry;
use super::sink::DownloadSink;
use super::state::SourceState;
use super::times::Ttls;
use super::upstream::Upstream;
use super::wanted::{SmallAnswer, UpstreamId, Wanted};
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::telemetry::{Metrics, SourceGauges};
use gomodule::module::{ModulePath, Patterns};
use gomodule::proxy_request::Request;

/// Concurrent requests to one source. HTTP/2 servers allow 100 streams or more; a `go` command sends about ten requests.
pub(crate) const AT_ONCE: usize = 64;
const UNEXPECTED_304: &str = "status 304 without a condition in the request";
/// The answer of a server that the source redirected to is never quoted: the client may have no access to that server.
const INVALID_AFTER_REDIRECT: &str = "it redirects to another server, whose answer is invalid (the log says why)";

/// An answer that no proof covers, and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata<T> {
    /// The answer.
    pub value: T,
    /// The source.
    pub source: UpstreamId,
    /// The entity tag, for the next request.
    pub tag: Option<String>,
    /// The source sent wrong bytes recently, so its answers must not be cached.
    pub distrusted: bool,
}

/// A source that is not asked for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceDown {
    /// Without credentials.
    pub(crate) name: String,
    pub(crate) is_private: bool,
    pub(crate) why: String,
}

/// Sources with their health. Cheap to clone; clones share health and caches.
#[derive(Clone, Debug)]
pub struct UpstreamPool {
    upstreams: Arc<[Arc<Upstream>]>,
    ttls: Ttls,
    clock: Clock,
    /// For the jitter of pauses.
    random: Arc<Mutex<fastrand::Rng>>,
    /// Several sources may receive the same request. The name of an exempt module goes no further than `go` would send it.
    pub(super) hedged: bool,
}

impl UpstreamPool {
    /// A pool of these sources. With a seeded clock its pauses are the same in each run.
    pub fn new(configs: &[UpstreamConfig], http: &HttpClient, ttls: Ttls, clock: Clock) -> Result<Self, HttpError> {
        Self::with_places(configs, http, ttls, AT_ONCE, clock)
    }

    /// The pool of those sources that may receive the name of a module.
    pub(super) fn serving(&self, path: &ModulePath) -> Self {
        let serves = |upstream: &&Arc<Upstream>| upstream.config.scope.has(path);
        Self { upstreams: self.upstreams.iter().filter(serves).cloned().collect(), ..self.clone() }
    }

    /// Those sources that failed repeatedly and have not answered since, with their last failure.
    pub(super) fn down(&self) -> impl Iterator<Item = SourceDown> {
        self.upstreams.iter().filter_map(|upstream| {
            let failure = |health: &mut Health, _| {
                let breaker = &health.breaker;
                breaker.is_tripped().then(|| breaker.last_failure().to_owned())
            };
            let (name, is_private) = (upstream.config.source.to_string(), upstream.config.scope.private().is_some());
            Some(SourceDown { why: upstream.health(failure)?, name, is_private })
        })
    }

    pub(super) fn private(&self) -> Patterns {
        let private = self.upstreams.iter().filter_map(|upstream| upstream.config.scope.private());
        private.fold(Patterns::default(), |all, patterns| all.with(patterns.clone()))
    }

    /// A pool of these sources, with at most `at_once` concurrent requests to each.
    pub(crate) fn with_places(
        configs: &[UpstreamConfig],
        http: &HttpClient,
        ttls: Ttls,
        at_once: usize,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        let upstream =
            |config: &UpstreamConfig| Upstream::new(config.clone(), http, ttls, at_once, clock).map(Arc::new);
        let random = match clock {
            Clock::System => fastrand::Rng::new(),
            Clock::Seeded { .. } => fastrand::Rng::with_seed(0),
        };
        let upstreams = configs.iter().map(upstream).collect::<Result<_, _>>()?;
        Ok(Self { upstreams, ttls, clock, random: Arc::new(Mutex::new(random)), hedged: false })
    }

    /// Whether the next source is a fallback for this failure, as in `go`.
    pub fn leads_on(&self, id: UpstreamId, error: &UpstreamError) -> bool {
        matches!(error, UpstreamError::NotFound(_)) || self.leads_on_always(id)
    }

    /// Whether the next source is a fallback for any failure: a `|` follows.
    pub(crate) fn leads_on_always(&self, id: UpstreamId) -> bool {
        self.at(id).config.on_any_failure
    }

    /// How long metadata is cached.
    pub fn ttls(&self) -> Ttls {
        self.ttls
    }

    /// The sources, in the order of the proxy list.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = UpstreamId> + use<> {
        (0..self.upstreams.len()).map(UpstreamId)
    }

    /// Asks the sources in order, and returns the first small answer that `check` accepts. An answer that it refuses is a
    /// failure of its source.
    pub async fn small<T, E: fmt::Display>(
        &self,
        request: &Request,
        check: impl Fn(Vec<u8>) -> Result<T, E>,
    ) -> Result<Metadata<T>, UpstreamError> {
        let check = |body: Option<Vec<u8>>| match body {
            Some(body) => check(body).map_err(|why| why.to_string()),
            None => Err(UNEXPECTED_304.to_owned()),
        };
        self.in_rounds(|| self.renew(request, None, &check), UpstreamError::passes).await
    }

    /// The same in one round, to revalidate a cached answer: `check` gets `None` if the source says that it is unchanged. The
    /// entity tag goes only to the source that sent it.
    pub async fn renew<T, E: fmt::Display>(
        &self,
        request: &Request,
        cached: Option<(UpstreamId, &str)>,
        check: &impl Fn(Option<Vec<u8>>) -> Result<T, E>,
    ) -> Result<Metadata<T>, UpstreamError> {
        let wanted = &Wanted::from(request);
        self.in_order(request, |source, progress| async move {
            let upstream = self.at(source);
            let unless = cached.filter(|(from, _)| *from == source).map(|(_, tag)| tag.to_owned());
            let SmallAnswer { body, tag, elsewhere } = upstream.small(wanted, unless, &progress).await?;
            let shows_access = !elsewhere && body.as_ref().is_some_and(|body| is_shown_by(request, body));
            let why = match check(body) {
                Ok(value) => {
                    if shows_access {
                        upstream.login_is_accepted();
                    }
                    return Ok(Metadata { value, source, tag, distrusted: self.distrusts(source) });
                }
                Err(why) if elsewhere => {
                    let (source, why) = (self.name(source), why.to_string());
                    tracing::warn!(source, why, "a redirect leads to an invalid answer");
                    INVALID_AFTER_REDIRECT.to_owned()
                }
                Err(why) => why.to_string(),
            };
            Err(UpstreamError::invalid(self.name(source), why))
        })
        .await
    }

    /// Checks that a source serves a file, without reading its body.
    pub(crate) async fn exists(&self, request: &Request) -> Result<(), UpstreamError> {
        let wanted = &Wanted::from(request);
        let exists = |source, progress| async move { self.at(source).exists(wanted, &progress).await };
        let round = || self.in_order(request, exists);
        self.in_rounds(round, UpstreamError::passes).await
    }

    /// The first answer of the sources, asked one after the other as in `go`. Of sources that are joined by `|` the next one is
    /// also asked if the one before is slower than usual; the first valid answer counts.
    async fn in_order<T, F: Future<Output = Result<T, UpstreamError>>>(
        &self,
        request: &Request,
        ask: impl Fn(UpstreamId, Progress) -> F,
    ) -> Result<T, UpstreamError> {
        let at_least = if self.hedged { Duration::ZERO } else { race::NEVER };
        let ends = |id: UpstreamId, error: &UpstreamError| !self.leads_on(id, error);
        let mut failures = match self.race(self.listed_stages(), at_least, ends, ask).await {
            Ok((_, answer)) => return Ok(answer),
            Err(failures) => failures,
        };
        failures.sort_by_key(|(id, _)| *id);
        let mut search = Search::among(self.upstreams.len());
        for (id, error) in failures {
            let ends = ends(id, &error);
            search.failed(id, error, ends);
            if ends {
                break;
            }
        }
        Err(search.conclude(request))
    }

    /// The sources in the order of the proxy list, in stages: a `,` ends a stage.
    fn listed_stages(&self) -> Vec<Vec<UpstreamId>> {
        let mut stages = vec![Vec::new()];
        for id in self.sources() {
            stages.last_mut().into_iter().for_each(|stage| stage.push(id));
            if !self.leads_on_always(id) {
                stages.push(Vec::new());
            }
        }
        stages
    }

    /// Runs `round` until it succeeds or a retry is useless. `passes` returns how soon a retry may succeed.
    pub(crate) async fn in_rounds<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        round: impl Fn() -> F,
        passes: impl Fn(&E) -> Option<Duration>,
    ) -> Result<T, E> {
        let (mut nth, mut took) = (0, Duration::ZERO);
        loop {
            let began = self.clock.steady();
            let error = match round().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            took += self.clock.steady() - began;
            let pause = passes(&error).and_then(|soonest| retry::pause(nth, took, soonest, self.random()));
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            nth += 1;
        }
    }

    fn random(&self) -> f64 {
        lock(&self.random).f64()
    }

    /// The sources for a provable file, in stages: a `,` ends a stage, and the sources of a stage are ranked. Sources that sent
    /// wrong bytes for this file come last.
    pub(crate) fn stages(&self, wanted: &Wanted) -> Vec<Vec<UpstreamId>> {
        let (mut stages, mut stage, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for id in self.sources() {
            if self.at(id).had_wrong(wanted) { &mut wrong } else { &mut stage }.push(id);
            if !self.leads_on_always(id) {
                stages.push(std::mem::take(&mut stage));
            }
        }
        stages.extend([stage, wrong]);
        stages.retain(|stage| !stage.is_empty());
        for stage in &mut stages {
            stage.sort_by_key(|id| {
                let upstream = &self.at(*id);
                upstream.health(|health, now| health.rank(now, f64::from(upstream.config.weight)))
            });
        }
        stages
    }

    /// See [`race::race`]. No second source is asked before `at_least`.
    pub(crate) async fn race<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        stages: Vec<Vec<UpstreamId>>,
        at_least: Duration,
        ends: impl Fn(UpstreamId, &E) -> bool,
        attempt: impl Fn(UpstreamId, Progress) -> F,
    ) -> Result<(UpstreamId, T), Vec<(UpstreamId, E)>> {
        let hedge_after =
            |id: UpstreamId, bytes| self.at(id).health(|health, now| health.hedge_after(now, bytes)).max(at_least);
        let overtaken = |id: UpstreamId| self.at(id).health(Health::overtaken);
        race::race(stages, self.clock, hedge_after, ends, attempt, overtaken).await
    }

    /// The sources as they are now, in the order of the proxy list.
    pub(super) fn states(&self) -> Vec<SourceState> {
        let state = |id| {
            let name = self.name(id);
            self.at(id).health(|health, now| SourceState::of(name, health, now))
        };
        self.sources().map(state).collect()
    }

    /// The URL of a source, without credentials.
    pub(crate) fn name(&self, id: UpstreamId) -> String {
        self.at(id).config.source.to_string()
    }

    /// Counts the requests to each source from now on, under its label.
    pub(crate) fn report_to(&self, metrics: &Metrics, labels: &Labels) {
        for upstream in self.upstreams.iter() {
            if let Some(totals) = metrics.source(&labels.label(&upstream.config)) {
                // It keeps the numbers that it has.
                let _ = upstream.totals.set(totals);
            }
        }
    }

    pub(super) fn gauges(&self, labels: &Labels) -> impl Iterator<Item = SourceGauges> {
        self.upstreams.iter().map(|upstream| SourceGauges {
            name: labels.label(&upstream.config),
            // A breaker is open for seconds only: no scrape would see it.
            is_available: upstream.health(|health, now| !health.breaker.is_tripped() && !health.is_distrusted(now)),
            waiting: upstream.waiting() as u64,
        })
    }

    pub(super) fn configs(&self) -> impl Iterator<Item = &UpstreamConfig> {
        self.upstreams.iter().map(|upstream| &upstream.config)
    }

    /// Asks one source once for a small body.
    pub(crate) async fn small_from(&self, id: UpstreamId, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        let invalid = || UpstreamError::invalid(self.name(id), UNEXPECTED_304);
        self.at(id).small(wanted, None, &Progress::new(self.clock)).await?.body.ok_or_else(invalid)
    }

    /// Whether a source sent wrong bytes recently, so that only proved answers of it count.
    pub(crate) fn distrusts(&self, id: UpstreamId) -> bool {
        self.at(id).health(|health, now| health.is_distrusted(now))
    }

    /// A request to a source was given up after it had been silent for long.
    pub(crate) fn was_silent(&self, id: UpstreamId, silent: Duration, failure: &HttpError) {
        self.at(id).health(|health, now| {
            health.breaker.failed(now.checked_sub(silent).unwrap_or(now), now, failure.to_string(), None);
        });
    }

    /// A source contradicted others.
    pub(crate) fn distrust(&self, id: UpstreamId) {
        self.at(id).health(Health::distrust);
    }

    /// A source sent wrong bytes for `wanted`.
    pub(crate) fn had_wrong(&self, id: UpstreamId, wanted: &Wanted) {
        self.at(id).distrust(wanted);
    }

    pub(crate) async fn download(
        &self,
        id: UpstreamId,
        request: &Request,
        sink: &DownloadSink,
        progress: &Progress,
    ) -> Result<(), UpstreamError> {
        self.at(id).download(&request.into(), sink, progress).await
    }

    fn at(&self, id: UpstreamId) -> &Upstream {
        &self.upstreams[id.0]
    }
}

#[cfg(test)]
mod tests;
