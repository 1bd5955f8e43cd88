//! One source at run time: requests within its limits, and its health.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::config::{Source, UpstreamConfig};
use super::direct::Direct;
use super::error::{SourceFailure, UpstreamError};
use super::folder::Folder;
use super::health::Health;
use super::http::{Answer, Condition, HttpClient, HttpError};
use super::race::Progress;
use super::recent::Recent;
use super::sink::{DownloadSink, Part};
use super::times::Ttls;
use super::wanted::Wanted;
use crate::base::clock::Clock;
use gomodule::proxy_request::Request;

/// Paths of one source remembered as absent: about 150 bytes each.
const MAX_ABSENT: u64 = 20_000;
/// How long other sources are preferred for a file that had wrong bytes at this one.
const WRONG_FOR: Duration = Duration::from_secs(3600);
/// Such files remembered: about 150 bytes each.
const MAX_WRONG: u64 = 10_000;
/// How long a login counts as accepted after a successful answer; then an expired one is noticed.
const ACCEPTED_FOR: Duration = Duration::from_secs(10 * 60);
/// Resumes of one interrupted download, each after at least one more byte arrived.
const MAX_RESUMES: u32 = 8;
/// The log reports a download each time another 16 MiB of it has arrived.
const LOG_EVERY: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) config: UpstreamConfig,
    http: HttpClient,
    clock: Clock,
    health: Mutex<Health>,
    slots: Semaphore,
    absent: Recent<Wanted, String>,
    wrong: Recent<Wanted, ()>,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Http(Url),
    Folder(Folder),
    Direct(Direct),
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
            Source::Direct(settings) => Transport::Direct(Direct::new(settings, config.scope.clone(), clock)),
        };
        Ok(Self {
            http: http.for_upstream(&config)?,
            config,
            clock,
            health: Mutex::default(),
            slots: Semaphore::new(at_once),
            absent: Recent::new(MAX_ABSENT, ttls.absent, clock),
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
        visit(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner), self.clock.steady())
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
        let (pending, started) = (self.begin().await?, self.clock.steady());
        let answered = async {
            let answer = self.http.ask(join(base, wanted), condition).await?;
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
        let paths = std::iter::once(module.clone()).chain(self.config.scope.above(module));
        let lists = paths.map(|path| Wanted::Module(Request::List(path)));
        for list in lists.filter(|list| list != wanted) {
            let list = self.http.get_small(join(base, &list), list.max_len()).await;
            // A sign-in page is not a list.
            if list.is_ok_and(|list| !list.starts_with(b"<")) {
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
        let pending = self.begin().await?;
        progress.start();
        let started = self.clock.steady();
        let (url, limit) = (join(base, wanted), wanted.max_len() as u64);
        let mut download = Download { url, limit, written: 0, first_byte: started, progress, clock: self.clock };
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

    /// Waits for a request slot, unless the circuit breaker is open.
    async fn begin(&self) -> Result<PendingRequest<'_>, UpstreamError> {
        let open = |open_for| {
            let last_failure = self.health(|health, _| health.last_failure.clone());
            self.failure(SourceFailure::CircuitOpen { last_failure, open_for })
        };
        // The breaker is checked after the wait: it may have opened meanwhile.
        let slot = self.slots.acquire().await.map_err(|_| open(Duration::ZERO))?;
        self.health(Health::ask).map_err(open)?;
        Ok(PendingRequest { upstream: self, has_result: false, _slot: slot })
    }
}

/// A request in progress. Its result goes into the health; a cancelled one only makes room for the next probe.
struct PendingRequest<'a> {
    upstream: &'a Upstream,
    has_result: bool,
    _slot: tokio::sync::SemaphorePermit<'a>,
}

impl PendingRequest<'_> {
    fn answered(mut self, first_byte: Duration, bytes: u64, body: Duration) {
        self.has_result = true;
        self.upstream.health(|health, now| health.answered(now, first_byte, bytes, body));
    }

    fn failed(mut self, error: HttpError) -> UpstreamError {
        self.has_result = true;
        match error {
            HttpError::Absent { .. } => {
                self.upstream.health(|health, _| health.reached());
                UpstreamError::NotFound(error.to_string())
            }
            HttpError::Status { status: status @ (401 | 403 | 451), reason, .. } => {
                // The source works, and would refuse again.
                self.upstream.health(|health, _| health.reached());
                self.upstream.failure(match status {
                    401 => SourceFailure::LoginNeeded(reason),
                    _ => SourceFailure::Refused(status, reason),
                })
            }
            error => {
                self.upstream.health(|health, now| {
                    health.last_failure = error.to_string();
                    if error.passes() {
                        health.failed(now, error.retry_after());
                    } else {
                        health.reached();
                    }
                });
                UpstreamError::Failed(error)
            }
        }
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if !self.has_result {
            self.upstream.health(|health, _| health.probe_cancelled());
        }
    }
}

struct Download<'a> {
    url: Url,
    limit: u64,
    written: u64,
    first_byte: Instant,
    progress: &'a Progress,
    clock: Clock,
}

impl Download<'_> {
    /// Sends one request, and resumes an interrupted body if the source still has the same strong entity tag (RFC 9110
    /// section 14.2).
    async fn run(&mut self, http: &HttpClient, sink: &DownloadSink) -> Result<(), UpstreamError> {
        let mut answer = http.ask(self.url.clone(), &Condition::None).await?;
        self.first_byte = self.clock.steady();
        self.progress.began();
        for _ in 0..MAX_RESUMES {
            let (before, tag) = (self.written, answer.tag());
            match (self.body(&mut answer, sink).await, tag) {
                (Ok(()), _) => return Ok(()),
                (Err(UpstreamError::Failed(error)), Some(tag)) if error.passes() && self.written > before => {
                    tracing::info!(url = answer.url, bytes = self.written, %error, "resuming an interrupted download");
                    answer = http.ask(self.url.clone(), &Condition::From(self.written, tag)).await?;
                    if answer.status() != StatusCode::PARTIAL_CONTENT {
                        // The body comes from its beginning again.
                        self.written = 0;
                        sink.send(Part::StartOver).await?;
                    } else if answer.first_byte() != Some(self.written) {
                        return Err(error.into());
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
        let cause = format!("the download was interrupted {MAX_RESUMES} times");
        Err(HttpError::Transport { url: answer.url, cause }.into())
    }

    async fn body(&mut self, answer: &mut Answer, sink: &DownloadSink) -> Result<(), UpstreamError> {
        while let Some(chunk) = answer.chunk().await? {
            let before = self.written;
            self.written += chunk.len() as u64;
            if self.written > self.limit {
                return Err(HttpError::TooLarge { url: answer.url.clone(), limit: self.limit }.into());
            }
            self.progress.received(chunk.len() as u64);
            sink.send_bytes(chunk).await?;
            if before / LOG_EVERY != self.written / LOG_EVERY {
                tracing::info!(url = answer.url, megabytes = self.written >> 20, "downloading");
            }
        }
        Ok(())
    }
}

/// What `url.PathEscape` of Go encodes, but for `/`, and for the `!` of escaped upper case.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b'@')
    .remove(b'/')
    .remove(b'!');

/// The url of `wanted` below `base`. Only version queries have characters that must be percent-encoded.
fn join(base: &Url, wanted: &Wanted) -> Url {
    let mut url = base.clone();
    let wanted = wanted.to_string();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), utf8_percent_encode(&wanted, ENCODED)));
    url
}
