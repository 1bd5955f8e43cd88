//! Asking the sources: small advisory answers in `go`'s order; proved files in that order too, and among sources that are
//! joined by `|` in the order of health.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::config::UpstreamConfig;
use super::error::{Search, UpstreamError};
use super::health::Health;
use super::http::{HttpClient, HttpError};
use super::race::{self, Progress};
use super::retry;
use super::sink::DownloadSink;
use super::times::Ttls;
use super::upstream::{Small, Upstream};
use super::wanted::{UpstreamId, Wanted};
use crate::base::clock::Clock;
use gomodule::module::{ModulePath, Patterns};
use gomodule::proxy_request::Request;

/// Requests under way to one source. HTTP/2 servers allow 100 streams or more; a `go` command asks for about ten things.
const AT_ONCE: usize = 64;
/// What is wrong with "unchanged" where no condition was sent.
const UNASKED_304: &str = "304, though nothing is kept";

/// What is said of a wrong answer of a server that the source named: no word of it.
const BEHIND_REDIRECT: &str = "it redirects to another server, whose answer is not what was asked for (the log has it)";

/// Something that no proof covers, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata<T> {
    /// What was said.
    pub value: T,
    /// The source that said it.
    pub source: UpstreamId,
    /// The entity tag, for the next time.
    pub tag: Option<String>,
    /// The source had wrong bytes not long ago: nothing that it says is to be kept.
    pub distrusted: bool,
}

/// The sources, and how each has been doing. Cheap to clone; clones share what was learned.
#[derive(Clone, Debug)]
pub struct UpstreamPool {
    upstreams: Arc<[Arc<Upstream>]>,
    ttls: Ttls,
    clock: Clock,
    /// For the jitter of pauses.
    dice: Arc<Mutex<fastrand::Rng>>,
}

impl UpstreamPool {
    /// A pool that asks these sources through `http`. With a seeded clock its pauses are the same in each run.
    pub fn new(configs: &[UpstreamConfig], http: &HttpClient, ttls: Ttls, clock: Clock) -> Result<Self, HttpError> {
        Self::with_places(configs, http, ttls, AT_ONCE, clock)
    }

    /// The sources among these that may hear of a module.
    pub(super) fn serving(&self, path: &ModulePath) -> Self {
        let serves = |upstream: &&Arc<Upstream>| upstream.config.scope.has(path);
        Self { upstreams: self.upstreams.iter().filter(serves).cloned().collect(), ..self.clone() }
    }

    pub(super) fn private(&self) -> Patterns {
        let private = self.upstreams.iter().filter_map(|upstream| upstream.config.scope.private());
        private.fold(Patterns::default(), |all, patterns| all.with(patterns.clone()))
    }

    /// A pool of these sources, with at most `at_once` requests under way to each.
    pub(crate) fn with_places(
        configs: &[UpstreamConfig],
        http: &HttpClient,
        ttls: Ttls,
        at_once: usize,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        let upstream =
            |config: &UpstreamConfig| Upstream::new(config.clone(), http, ttls, at_once, clock).map(Arc::new);
        let dice = match clock {
            Clock::System => fastrand::Rng::new(),
            Clock::Seeded { .. } => fastrand::Rng::with_seed(0),
        };
        let upstreams = configs.iter().map(upstream).collect::<Result<_, _>>()?;
        Ok(Self { upstreams, ttls, clock, dice: Arc::new(Mutex::new(dice)) })
    }

    /// Whether the failure `error` of a source leads on to the next one, as `go` would have it.
    pub fn leads_on(&self, id: UpstreamId, error: &UpstreamError) -> bool {
        matches!(error, UpstreamError::NotFound(_)) || self.leads_on_always(id)
    }

    /// Whether any failure of a source leads on to the next one: a `|` stands behind it.
    pub(crate) fn leads_on_always(&self, id: UpstreamId) -> bool {
        self.at(id).config.on_any_failure
    }

    /// How long what cannot be proved is believed.
    pub fn ttls(&self) -> Ttls {
        self.ttls
    }

    /// The sources, in the order of the chain.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = UpstreamId> + use<> {
        (0..self.upstreams.len()).map(UpstreamId)
    }

    /// Asks the sources in order for a small answer and takes the first that `check` accepts.
    ///
    /// `check` says what is wrong with an answer that no proxy would give; that counts as a failure of its source.
    pub async fn small<T, E: fmt::Display>(
        &self,
        request: &Request,
        check: impl Fn(Vec<u8>) -> Result<T, E>,
    ) -> Result<Metadata<T>, UpstreamError> {
        let check = |body: Option<Vec<u8>>| match body {
            Some(body) => check(body).map_err(|why| why.to_string()),
            None => Err(UNASKED_304.to_owned()),
        };
        self.in_rounds(|| self.renew(request, None, &check), UpstreamError::passes).await
    }

    /// The same for an answer that is kept from earlier, with the source and entity tag of that time, if it had one: no body
    /// says that it is still right. The tag is shown to that source alone. Asks once: what is kept can go out.
    pub async fn renew<T, E: fmt::Display>(
        &self,
        request: &Request,
        kept: Option<(UpstreamId, &str)>,
        check: &impl Fn(Option<Vec<u8>>) -> Result<T, E>,
    ) -> Result<Metadata<T>, UpstreamError> {
        let wanted = &Wanted::from(request);
        self.in_order(request, |source| async move {
            let upstream = self.at(source);
            let unless = kept.filter(|(from, _)| *from == source).map(|(_, tag)| tag.to_owned());
            let Small { body, tag, elsewhere } = upstream.small(wanted, unless).await?;
            let is_shown = body.is_some();
            let why = match check(body) {
                Ok(value) => {
                    if is_shown {
                        upstream.login_is_accepted();
                    }
                    return Ok(Metadata { value, source, tag, distrusted: self.distrusts(source) });
                }
                Err(why) if elsewhere => {
                    let (source, why) = (self.name(source), why.to_string());
                    tracing::warn!(source, why, "a redirect leads to what was not asked for");
                    BEHIND_REDIRECT.to_owned()
                }
                Err(why) => why.to_string(),
            };
            Err(UpstreamError::Nonsense { upstream: self.name(source), why })
        })
        .await
    }

    /// Whether a source gives out what is asked for. No byte of it is read.
    pub(crate) async fn exists(&self, request: &Request) -> Result<(), UpstreamError> {
        let wanted = &Wanted::from(request);
        let round = || self.in_order(request, |source| async move { self.at(source).exists(wanted).await });
        self.in_rounds(round, UpstreamError::passes).await
    }

    /// The first answer of the sources, asked one after the other as `go` would.
    async fn in_order<T, F: Future<Output = Result<T, UpstreamError>>>(
        &self,
        request: &Request,
        ask: impl Fn(UpstreamId) -> F,
    ) -> Result<T, UpstreamError> {
        let mut search = Search::among(self.upstreams.len());
        for id in self.sources() {
            let error = match ask(id).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let ends = !self.leads_on(id, &error);
            search.failed(id, error, ends);
            if ends {
                break;
            }
        }
        Err(search.conclude(request))
    }

    /// Runs `round` until it succeeds, or there is no use in another one. `passes` says how soon the trouble of a round
    /// may be over.
    pub(crate) async fn in_rounds<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        round: impl Fn() -> F,
        passes: impl Fn(&E) -> Option<Duration>,
    ) -> Result<T, E> {
        let mut nth = 0;
        loop {
            let error = match round().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let pause = passes(&error).and_then(|soonest| retry::pause(nth, soonest, self.dice()));
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            nth += 1;
        }
    }

    fn dice(&self) -> f64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// The sources for a file that can be proved, in stages: those that are joined by `|`, best first, before the ones
    /// behind a `,`. Those that had wrong bytes for it come last.
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

    /// Lets the sources of `stages` race; see [`race::race`]. No source is overtaken before `at_least`; after an error that
    /// `ends` the search no later stage is asked.
    pub(crate) async fn race<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        stages: Vec<Vec<UpstreamId>>,
        at_least: Duration,
        ends: impl Fn(UpstreamId, &E) -> bool,
        attempt: impl Fn(UpstreamId, Progress) -> F,
    ) -> Result<(UpstreamId, T), Vec<(UpstreamId, E)>> {
        let hedge_after =
            |id: UpstreamId, bytes| self.at(id).health(|health, now| health.hedge_after(now, bytes)).max(at_least);
        race::race(stages, self.clock, hedge_after, ends, attempt).await
    }

    /// A source, without credentials.
    pub(crate) fn name(&self, id: UpstreamId) -> String {
        self.at(id).config.source.to_string()
    }

    /// Asks one source alone, once, for a small body.
    pub(crate) async fn small_from(&self, id: UpstreamId, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        let unasked = || UpstreamError::Nonsense { upstream: self.name(id), why: UNASKED_304.to_owned() };
        self.at(id).small(wanted, None).await?.body.ok_or_else(unasked)
    }

    /// Whether a source had wrong bytes not long ago: nothing that it said is to be believed without a proof.
    pub(crate) fn distrusts(&self, id: UpstreamId) -> bool {
        self.at(id).health(|health, now| health.is_distrusted(now))
    }

    /// What a source said does not fit together with what others said.
    pub(crate) fn distrust(&self, id: UpstreamId) {
        self.at(id).health(Health::distrust);
    }

    /// A source had wrong bytes for what is `wanted`.
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
        self.at(id).download(&request.into(), sink, progress).await?;
        Ok(())
    }

    fn at(&self, id: UpstreamId) -> &Upstream {
        &self.upstreams[id.0]
    }
}

#[cfg(test)]
mod tests;
