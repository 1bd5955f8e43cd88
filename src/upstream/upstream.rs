//! One source at run time: requests within its limits, and its health.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use reqwest::StatusCode;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use url::Url;

use super::access::is_shown_by_list;
use super::breaker::Breaker;
use super::config::{Source, UpstreamConfig};
use super::direct::Direct;
use super::download::Download;
use super::error::{SourceFailure, UpstreamError};
use super::folder::Folder;
use super::health::Health;
use super::http::{Answer, Condition, HttpClient, HttpError};
use super::prefixes::Prefixes;
use super::race::Progress;
use super::recent::Recent;
use super::sink::DownloadSink;
use super::slots::{Busy, Slots};
use super::times::Ttls;
use super::wanted::Wanted;
use crate::base::clock::Clock;
use gomodule::module::ModulePath;
use gomodule::proxy_request::Request;

/// Paths of one source remembered as absent: about 150 bytes each.
const MAX_ABSENT: u64 = 20_000;
/// How long an absence in version control is remembered at most: long enough for the requests of one `go get`. Its author tags a
/// version and builds with it at once, and `go` alone sees it.
const ABSENT_FROM_GIT: Duration = Duration::from_secs(5);
/// How long other sources are preferred for a file that had wrong bytes at this one.
const WRONG_FOR: Duration = Duration::from_secs(3600);
/// Such files remembered: about 150 bytes each.
const MAX_WRONG: u64 = 10_000;
/// How long a request waits for a slot: as long as it would wait for the head of an answer (`times`).
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Paths of one source with failures: about 300 bytes each.
const MAX_FAILING: u64 = 10_000;
/// How long a failure of a path is remembered: longer than its breaker is open.
const FAILING_FOR: Duration = Duration::from_secs(60);
/// How long a login counts as accepted after a successful answer; then an expired one is noticed.
const ACCEPTED_FOR: Duration = Duration::from_secs(10 * 60);

/// `go get` asks for all prefixes of a path at the same time; the longer ones come within this time.
const PREFIXES_WITHIN: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) config: UpstreamConfig,
    http: HttpClient,
    clock: Clock,
    health: Mutex<Health>,
    /// Small answers do not wait for downloads, which may be slow.
    small_slots: Slots,
    download_slots: Slots,
    failing: Cache<Wanted, Arc<Mutex<Breaker>>>,
    absent: Recent<Wanted, String>,
    wrong: Recent<Wanted, ()>,
    prefixes: Prefixes,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Http(Url),
    Folder(Folder),
    Direct(Box<Direct>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SmallAnswer {
    /// `None` if the entity tag of the request is still current.
    pub(super) body: Option<Vec<u8>>,
    pub(super) tag: Option<String>,
    /// Another server than the source sent it, after a redirect.
    pub(super) elsewhere: bool,
}

impl Upstream {
    pub(super) fn new(
        config: UpstreamConfig,
        http: &HttpClient,
        ttls: Ttls,
        at_once: usize,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        let transport = match &config.source {
            Source::Http(base) => Transport::Http(base.clone()),
            Source::Dir(root) => Transport::Folder(Folder(root.clone())),
            Source::Direct(settings) => Transport::Direct(Box::new(Direct::new(settings, config.scope.clone(), clock))),
        };
        let absent = match &config.source {
            Source::Direct(_) => ttls.absent.min(ABSENT_FROM_GIT),
            Source::Http(_) | Source::Dir(_) => ttls.absent,
        };
        Ok(Self {
            http: http.for_upstream(&config)?,
            prefixes: Prefixes::new(config.scope.clone(), clock),
            config,
            clock,
            health: Mutex::default(),
            small_slots: Slots::new(at_once, MAX_WAIT),
            download_slots: Slots::new(at_once, MAX_WAIT),
            failing: Cache::builder().max_capacity(MAX_FAILING).time_to_idle(FAILING_FOR).build(),
            absent: Recent::new(MAX_ABSENT, absent, clock),
            wrong: Recent::new(MAX_WRONG, WRONG_FOR, clock),
            transport,
        })
    }

    pub(super) fn distrust(&self, wanted: &Wanted) {
        self.wrong.insert(wanted.clone(), ());
        self.health(Health::distrust);
    }

    pub(super) fn had_wrong(&self, wanted: &Wanted) -> bool {
        self.wrong.get(wanted).is_some()
    }

    pub(super) fn health<T>(&self, visit: impl FnOnce(&mut Health, Instant) -> T) -> T {
        visit(&mut lock(&self.health), self.clock.steady())
    }

    /// Requests a small body, unless its entity tag is still `unless`.
    pub(super) async fn small(&self, wanted: &Wanted, unless: Option<String>) -> Result<SmallAnswer, UpstreamError> {
        self.remembered_absent(wanted)?;
        let whole = |body| SmallAnswer { body: Some(body), tag: None, elsewhere: false };
        let base = match &self.transport {
            Transport::Http(base) => base,
            Transport::Folder(folder) => return Ok(whole(folder.small(wanted).await?)),
            Transport::Direct(direct) => {
                self.may_dial(wanted)?;
                let body = direct.small(wanted).await.map_err(|error| self.remember(wanted, error))?;
                return Ok(whole(body));
            }
        };
        let condition = unless.clone().map_or(Condition::None, Condition::Unless);
        let read = async |answer: Answer| {
            let (tag, elsewhere) = (answer.any_tag(), answer.elsewhere);
            if answer.status() == StatusCode::NOT_MODIFIED {
                return Ok(SmallAnswer { body: None, tag: unless, elsewhere });
            }
            Ok(SmallAnswer { body: Some(answer.small(wanted.max_len()).await?), tag, elsewhere })
        };
        self.answer(base, wanted, &condition, read).await
    }

    /// Checks that the source serves a file, without reading its body.
    pub(super) async fn exists(&self, wanted: &Wanted) -> Result<(), UpstreamError> {
        self.remembered_absent(wanted)?;
        match &self.transport {
            Transport::Http(base) => self.answer(base, wanted, &Condition::None, async |_| Ok(())).await,
            Transport::Folder(folder) => folder.open(wanted).await.map(|_| ()),
            Transport::Direct(_) => self.small(wanted, None).await.map(|_| ()),
        }
    }

    /// Sends a request over HTTP; `read` reads its small answer.
    async fn answer<T>(
        &self,
        base: &Url,
        wanted: &Wanted,
        condition: &Condition,
        read: impl AsyncFnOnce(Answer) -> Result<T, HttpError>,
    ) -> Result<T, UpstreamError> {
        if let Wanted::Module(request) = wanted
            && self.may_hide()
        {
            self.prefixes.asked(request.module());
        }
        let pending = self.begin(wanted, &self.small_slots).await?;
        let started = pending.started;
        let answered = async {
            let answer = self.http.ask(wanted.below(base), condition).await?;
            Ok((self.clock.steady() - started, read(answer).await?))
        };
        match answered.await {
            Ok((first_byte, answer)) => {
                pending.answered(first_byte, 0, Duration::ZERO);
                Ok(answer)
            }
            Err(error) => Err(self.checked(wanted, pending.failed(error)).await),
        }
    }

    /// Remembers a "not found". A source that may hide files from a login must first have accepted that login: for a version
    /// list of the module, or of a shorter path, if for nothing else.
    async fn checked(&self, wanted: &Wanted, error: UpstreamError) -> UpstreamError {
        if !matches!(error, UpstreamError::NotFound(_)) || !self.may_hide() || self.shows_a_list(wanted).await {
            return self.remember(wanted, error);
        }
        self.failure(SourceFailure::Hidden(error.to_string()))
    }

    pub(super) fn login_is_accepted(&self) {
        self.health(|health, now| health.login_accepted = Some(now));
    }

    fn may_hide(&self) -> bool {
        let is_old = |health: &mut Health, now| health.login_accepted.is_none_or(|then| now - then > ACCEPTED_FOR);
        self.config.scope.private().is_some() && self.config.logs_in() && self.health(is_old)
    }

    async fn shows_a_list(&self, wanted: &Wanted) -> bool {
        let Transport::Http(base) = &self.transport else { return true };
        let Wanted::Module(request) = wanted else { return false };
        let module = request.module();
        let above = std::iter::once(module.clone()).chain(self.config.scope.above(module)).collect();
        if self.shows_one_of(base, wanted, above).await {
            return true;
        }
        tokio::time::sleep(PREFIXES_WITHIN).await;
        !self.may_hide() || self.shows_one_of(base, wanted, self.prefixes.below(module)).await
    }

    async fn shows_one_of(&self, base: &Url, wanted: &Wanted, paths: Vec<ModulePath>) -> bool {
        let lists = paths.into_iter().map(|path| Wanted::Module(Request::List(path)));
        for list in lists.filter(|list| list != wanted) {
            if is_shown_by_list(&self.http, list.below(base), list.max_len()).await {
                self.login_is_accepted();
                return true;
            }
        }
        false
    }

    pub(super) async fn download(
        &self,
        wanted: &Wanted,
        sink: &DownloadSink,
        progress: &Progress,
    ) -> Result<(), UpstreamError> {
        self.remembered_absent(wanted)?;
        let base = match &self.transport {
            Transport::Http(base) => base,
            Transport::Folder(folder) => return folder.send(wanted, sink, progress).await,
            Transport::Direct(direct) => {
                self.may_dial(wanted)?;
                return direct.download(wanted, sink).await.map_err(|error| self.remember(wanted, error));
            }
        };
        let pending = self.begin(wanted, &self.download_slots).await?;
        progress.start();
        let started = pending.started;
        let (url, limit) = (wanted.below(base), wanted.max_len() as u64);
        let mut download = Download::new(url, limit, progress, self.clock);
        match download.run(&self.http, sink).await {
            Ok(()) => {
                let body = self.clock.steady() - download.first_byte;
                pending.answered(download.first_byte - started, download.written, body);
                Ok(())
            }
            Err(UpstreamError::Failed(error)) => Err(self.checked(wanted, pending.failed(error)).await),
            // The writer failed.
            Err(error) => Err(error),
        }
    }

    fn remembered_absent(&self, wanted: &Wanted) -> Result<(), UpstreamError> {
        self.absent.get(wanted).map_or(Ok(()), |reason| Err(UpstreamError::NotFound(reason)))
    }

    /// Refuses to run `go` while offline; the HTTP client checks this itself.
    fn may_dial(&self, wanted: &Wanted) -> Result<(), UpstreamError> {
        let url = || format!("{}: {wanted}", self.config.source);
        if self.http.is_offline() { Err(UpstreamError::Failed(HttpError::Offline(url()))) } else { Ok(()) }
    }

    fn remember(&self, wanted: &Wanted, error: UpstreamError) -> UpstreamError {
        if let UpstreamError::NotFound(reason) = &error {
            self.absent.insert(wanted.clone(), reason.clone());
        }
        error
    }

    fn failure(&self, failure: SourceFailure) -> UpstreamError {
        UpstreamError::Source(self.config.source.to_string(), failure)
    }

    /// Waits for a request slot, unless the circuit breaker of the source or of the path is open.
    async fn begin<'a>(&'a self, wanted: &'a Wanted, slots: &'a Slots) -> Result<PendingRequest<'a>, UpstreamError> {
        // The breakers are checked after the wait: they may have opened meanwhile.
        let slot = slots.take().await.map_err(|Busy| self.failure(SourceFailure::Busy))?;
        let failing = self.failing.get(wanted);
        if let Some(breaker) = &failing {
            let mut breaker = lock(breaker);
            breaker.ask(self.clock.steady()).map_err(|open_for| {
                let last_failure = breaker.last_failure().to_owned();
                self.failure(SourceFailure::PathFailing { last_failure, open_for })
            })?;
        }
        let asked = self.health(|health, now| health.breaker.ask(now));
        asked.map_err(|open_for| {
            failing.inspect(|breaker| lock(breaker).probe_cancelled());
            let last_failure = self.health(|health, _| health.breaker.last_failure().to_owned());
            self.failure(SourceFailure::CircuitOpen { last_failure, open_for })
        })?;
        Ok(PendingRequest { upstream: self, wanted, started: self.clock.steady(), has_result: false, _slot: slot })
    }

    /// A complete answer with a failure, such as 500: the next requests for this path wait, and those for others do not.
    fn path_failed(&self, wanted: &Wanted, started: Instant, error: &HttpError) {
        let breaker = self.failing.get_with_by_ref(wanted, Arc::default);
        lock(&breaker).failed(started, self.clock.steady(), error.to_string(), None);
        let module = match wanted {
            Wanted::Module(request) => request.module().to_string(),
            Wanted::Database(_) => wanted.to_string(),
        };
        self.health(|health, now| health.failed_for(started, now, &module, error.to_string()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request in progress. Its result goes into the health; a cancelled one only makes room for the next probe.
struct PendingRequest<'a> {
    upstream: &'a Upstream,
    wanted: &'a Wanted,
    started: Instant,
    has_result: bool,
    _slot: SemaphorePermit<'a>,
}

impl PendingRequest<'_> {
    fn answered(mut self, first_byte: Duration, bytes: u64, body: Duration) {
        self.reached();
        self.upstream.health(|health, now| health.answered(now, first_byte, bytes, body));
    }

    /// The source works, and has answered for this path.
    fn reached(&mut self) {
        self.has_result = true;
        self.upstream.failing.invalidate(self.wanted);
        self.upstream.health(|health, _| health.reached());
    }

    /// Nothing is known of the path.
    fn cancel_path_probe(&self) {
        if let Some(breaker) = self.upstream.failing.get(self.wanted) {
            lock(&breaker).probe_cancelled();
        }
    }

    fn failed(mut self, error: HttpError) -> UpstreamError {
        match error {
            HttpError::Absent { .. } => {
                self.reached();
                UpstreamError::NotFound(error.to_string())
            }
            HttpError::Status { status: status @ (401 | 403 | 451), reason, .. } => {
                // It would refuse again.
                self.reached();
                self.upstream.failure(match status {
                    401 => SourceFailure::LoginNeeded(reason),
                    _ => SourceFailure::Refused(status, reason),
                })
            }
            error => {
                self.has_result = true;
                let started = self.started;
                if error.is_of_the_server() {
                    let why = error.to_string();
                    self.upstream.health(|health, now| health.breaker.failed(started, now, why, error.retry_after()));
                    self.cancel_path_probe();
                } else if error.passes() {
                    self.upstream.path_failed(self.wanted, started, &error);
                } else {
                    self.reached();
                }
                UpstreamError::Failed(error)
            }
        }
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if !self.has_result {
            self.upstream.health(|health, _| health.breaker.probe_cancelled());
            self.cancel_path_probe();
        }
    }
}
