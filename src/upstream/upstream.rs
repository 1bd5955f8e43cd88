//! One source at run time: requests within its limits, and its health.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout};
use url::Url;

use super::access::{ACCEPTED_FOR, CHECK_FOR, Checks, is_shown_by_list};
use super::config::UpstreamConfig;
use super::counted::{Counted, Totals};
use super::download::Download;
use super::error::{LoginOf, SourceFailure, UpstreamError};
use super::failing::Failing;
use super::health::Health;
use super::http::{Answer, Condition, HttpClient, HttpError};
use super::prefixes::{PREFIXES_WITHIN, Prefixes};
use super::race::Progress;
use super::sink::DownloadSink;
use super::slots::{Busy, Slots};
use super::times::Ttls;
use super::transport::Transport;
use super::wanted::{SmallAnswer, Wanted};
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::base::recent::Recent;
use gomodule::module::ModulePath;
use gomodule::proxy_request::Request;

/// Paths of one source remembered as absent: about 150 bytes each.
const MAX_ABSENT: usize = 20_000;
/// How long other sources are preferred for a file that had wrong bytes at this one.
const WRONG_FOR: Duration = Duration::from_secs(3600);
/// Such files remembered: about 150 bytes each.
const MAX_WRONG: usize = 10_000;
/// How long a request waits for a slot: as long as it would wait for the head of an answer (`times`).
const MAX_WAIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) config: UpstreamConfig,
    http: HttpClient,
    clock: Clock,
    health: Mutex<Health>,
    /// Small answers do not wait for downloads, which may be slow.
    pub(super) small_slots: Slots,
    download_slots: Slots,
    failing: Failing,
    absent: Recent<Wanted, String>,
    wrong: Recent<Wanted, ()>,
    prefixes: Prefixes,
    checks: Checks,
    transport: Transport,
    pub(super) totals: Totals,
}

impl Upstream {
    pub(super) fn new(
        config: UpstreamConfig,
        http: &HttpClient,
        ttls: Ttls,
        at_once: usize,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        let transport = Transport::of(&config, clock);
        let absent = config.source.absent_for(ttls.absent);
        Ok(Self {
            http: http.for_upstream(&config)?,
            prefixes: Prefixes::new(config.scope.clone(), clock),
            checks: Checks::new(clock),
            config,
            clock,
            health: Mutex::default(),
            small_slots: Slots::new(at_once, MAX_WAIT),
            download_slots: Slots::new(at_once, MAX_WAIT),
            failing: Failing::new(),
            absent: Recent::new(MAX_ABSENT, absent, clock),
            wrong: Recent::new(MAX_WRONG, WRONG_FOR, clock),
            transport,
            totals: Totals::new(),
        })
    }

    pub(super) fn distrust(&self, wanted: &Wanted) {
        self.totals.get().into_iter().for_each(|totals| totals.sent_wrong_bytes());
        self.wrong.insert(wanted.clone(), ());
        self.health(Health::distrust);
    }

    pub(super) fn waiting(&self) -> usize {
        self.small_slots.waiting() + self.download_slots.waiting()
    }

    pub(super) fn had_wrong(&self, wanted: &Wanted) -> bool {
        self.wrong.get(wanted).is_some()
    }

    pub(super) fn health<T>(&self, visit: impl FnOnce(&mut Health, Instant) -> T) -> T {
        visit(&mut lock(&self.health), self.clock.steady())
    }

    /// Requests a small body, unless its entity tag is still `unless`.
    pub(super) async fn small(
        &self,
        wanted: &Wanted,
        unless: Option<String>,
        progress: &Progress,
    ) -> Result<SmallAnswer, UpstreamError> {
        self.remembered_absent(wanted)?;
        let whole = |body| SmallAnswer { body: Some(body), tag: None, elsewhere: false };
        let base = match &self.transport {
            Transport::Http(base) => base,
            Transport::Folder(folder) => return Ok(whole(Counted::work(&self.totals, folder.small(wanted)).await?)),
            Transport::Direct(direct) => {
                self.may_dial(wanted)?;
                let body = Counted::work(&self.totals, direct.small(wanted))
                    .await
                    .map_err(|error| self.remember(wanted, error))?;
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
        self.answer(base, wanted, &condition, progress, read).await
    }

    /// Checks that the source serves a file, without reading its body.
    pub(super) async fn exists(&self, wanted: &Wanted, progress: &Progress) -> Result<(), UpstreamError> {
        self.remembered_absent(wanted)?;
        match &self.transport {
            Transport::Http(base) => self.answer(base, wanted, &Condition::None, progress, async |_| Ok(())).await,
            Transport::Folder(folder) => Counted::work(&self.totals, folder.open(wanted)).await.map(|_| ()),
            Transport::Direct(_) => self.small(wanted, None, progress).await.map(|_| ()),
        }
    }

    /// Sends a request over HTTP; `read` reads its small answer.
    async fn answer<T>(
        &self,
        base: &Url,
        wanted: &Wanted,
        condition: &Condition,
        progress: &Progress,
        read: impl AsyncFnOnce(Answer) -> Result<T, HttpError>,
    ) -> Result<T, UpstreamError> {
        if let (Wanted::Module(request), true) = (wanted, self.may_hide()) {
            self.prefixes.asked(request.module());
        }
        let mut pending = self.begin(wanted, &self.small_slots).await?;
        progress.start();
        let started = pending.started;
        let answered = async {
            let answer = self.http.ask(wanted.below(base), condition).await?;
            pending.began();
            progress.head();
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
        if let Some(shown) = self.shows_one_of(base, wanted, above).await {
            return shown;
        }
        tokio::time::sleep(PREFIXES_WITHIN).await;
        self.shows_one_of(base, wanted, self.prefixes.below(module)).await.unwrap_or(false)
    }

    /// `None` if none of these lists shows it. After a failure none is asked for: the others would most likely fail too.
    async fn shows_one_of(&self, base: &Url, wanted: &Wanted, paths: Vec<ModulePath>) -> Option<bool> {
        let lists = paths.into_iter().map(|path| Wanted::Module(Request::List(path)));
        let check = async {
            let _one = self.checks.begin().await;
            for list in lists.filter(|list| list != wanted) {
                if self.may_hide() && self.checks.may_ask(&list) {
                    match self.shows(base, &list).await {
                        Ok(true) => self.login_is_accepted(),
                        Ok(false) | Err(UpstreamError::NotFound(_)) => {}
                        Err(error) if error.is_refusal() => {}
                        Err(_) => return Some(false),
                    }
                }
            }
            (!self.may_hide()).then_some(true)
        };
        timeout(CHECK_FOR, check).await.unwrap_or(Some(false))
    }

    async fn shows(&self, base: &Url, list: &Wanted) -> Result<bool, UpstreamError> {
        let mut pending = self.begin(list, &self.small_slots).await?;
        let shown = is_shown_by_list(&self.http, list.below(base), list.max_len()).await;
        shown.inspect(|_| pending.reached()).map_err(|error| pending.failed(error))
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
            Transport::Folder(folder) => return Counted::work(&self.totals, folder.send(wanted, sink, progress)).await,
            Transport::Direct(direct) => {
                self.may_dial(wanted)?;
                let download = Counted::work(&self.totals, direct.download(wanted, sink));
                return download.await.map_err(|error| self.remember(wanted, error));
            }
        };
        let mut pending = self.begin(wanted, &self.download_slots).await?;
        progress.start();
        let started = pending.started;
        let (url, limit) = (wanted.below(base), wanted.max_len() as u64);
        let mut on_head = || pending.began();
        let mut download = Download::new(url, limit, progress, &mut on_head, self.clock);
        let ended = download.run(&self.http, sink).await;
        let Download { first_byte, received, .. } = download;
        match ended {
            Ok(()) => {
                pending.answered(first_byte - started, received, self.clock.steady() - first_byte);
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
        self.failing.ask(wanted, self.clock.steady()).map_err(|failure| self.failure(failure))?;
        let asked = self.health(|health, now| health.breaker.ask(now));
        asked.map_err(|open_for| {
            self.failing.probe_cancelled(wanted);
            let last_failure = self.health(|health, _| health.breaker.last_failure().to_owned());
            self.failure(SourceFailure::CircuitOpen { last_failure, open_for })
        })?;
        Ok(PendingRequest {
            upstream: self,
            wanted,
            started: self.clock.steady(),
            counted: Counted::begin(&self.totals),
            has_head: false,
            has_result: false,
            _slot: slot,
        })
    }
}

/// A request in progress. Its result goes into the health; a cancelled one only makes room for the next probe.
struct PendingRequest<'a> {
    upstream: &'a Upstream,
    wanted: &'a Wanted,
    started: Instant,
    counted: Counted,
    has_head: bool,
    has_result: bool,
    _slot: SemaphorePermit<'a>,
}

impl PendingRequest<'_> {
    /// The head of an answer has arrived: the source works, however long the body takes.
    fn began(&mut self) {
        self.has_head = true;
        let started = self.started;
        self.upstream.health(|health, _| health.reached(started));
    }

    fn answered(mut self, first_byte: Duration, bytes: u64, body: Duration) {
        self.reached();
        self.counted.answered(first_byte);
        self.upstream.health(|health, now| health.answered(now, first_byte, bytes, body));
    }

    /// The source works, and has answered for this path.
    fn reached(&mut self) {
        self.has_result = true;
        self.upstream.failing.answered(self.wanted);
        self.began();
    }

    fn failed(mut self, error: HttpError) -> UpstreamError {
        self.counted.ended(error.outcome());
        match error {
            HttpError::Absent { .. } => {
                self.reached();
                UpstreamError::NotFound(error.to_string())
            }
            HttpError::Status { status: status @ (401 | 403 | 451), reason, .. } => {
                let whose = if self.upstream.config.as_go { LoginOf::Go } else { LoginOf::Mirror };
                // It would refuse again.
                self.reached();
                self.upstream.failure(match status {
                    401 => SourceFailure::LoginNeeded(reason, whose),
                    _ => SourceFailure::Refused(status, reason),
                })
            }
            error => {
                if error.is_of_the_server() {
                    self.has_result = true;
                    let (started, why) = (self.started, error.without_url());
                    self.upstream.health(|health, now| health.breaker.failed(started, now, why, error.retry_after()));
                    self.upstream.failing.probe_cancelled(self.wanted);
                } else if error.passes() || error.is_silence() {
                    self.path_failed(&error);
                } else {
                    self.reached();
                }
                UpstreamError::Failed(error)
            }
        }
    }

    /// The next requests for this path wait, and those for others do not.
    fn path_failed(&mut self, error: &HttpError) {
        self.has_result = true;
        let (upstream, started, why) = (self.upstream, self.started, error.to_string());
        upstream.failing.failed(self.wanted, started, upstream.clock.steady(), why.clone());
        let module = match self.wanted {
            Wanted::Module(request) => request.module().to_string(),
            Wanted::Database(_) => self.wanted.to_string(),
        };
        upstream.health(|health, now| match error.is_silence() {
            // After the head of an answer the source works.
            _ if self.has_head => health.breaker.probe_cancelled(),
            true => health.silent_for(started, now, &module, why),
            false => health.failed_for(started, now, &module, why),
        });
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if !self.has_result {
            self.upstream.health(|health, _| health.breaker.probe_cancelled());
            self.upstream.failing.probe_cancelled(self.wanted);
        }
    }
}
