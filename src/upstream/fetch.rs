//! Asking the sources: small advisory answers in `go`'s order; proved files in that order too, and among sources that are
//! joined by `|` in the order of health.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chain::{Chain, Link};
use super::error::{OriginError, Search};
use super::http::{HttpClient, HttpError};
use super::race::{self, Progress};
use super::retry;
use super::sink::DownloadSink;
use super::times::Waits;
use super::upstream::{Small, Upstream};
use super::wanted::{UpstreamId, Wanted};
use gomodule::module::ModulePath;
use gomodule::proxy_request::Request;

/// Requests under way to one source. HTTP/2 servers allow 100 streams or more; a `go` command asks for about ten things.
const AT_ONCE: usize = 64;
/// What is wrong with "unchanged" where no condition was sent.
const UNASKED_304: &str = "304, though nothing is kept";

/// What is said of a wrong answer of a server that the source named: no word of it.
const BEHIND_REDIRECT: &str = "it redirects to another server, whose answer is not what was asked for (the log has it)";

/// Something that no proof covers, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory<T> {
    /// What was said.
    pub value: T,
    /// The source that said it.
    pub source: UpstreamId,
    /// The entity tag, for the next time.
    pub tag: Option<String>,
    /// The source had wrong bytes not long ago: nothing that it says is to be kept.
    pub distrusted: bool,
}

impl<T> Advisory<T> {
    /// As an answer that may have been "unchanged", but was not.
    pub(crate) fn some(self) -> Advisory<Option<T>> {
        Advisory { value: Some(self.value), source: self.source, tag: self.tag, distrusted: self.distrusted }
    }
}

/// The sources, and how each has been doing. Cheap to clone; clones share what was learned.
#[derive(Clone, Debug)]
pub struct Origin {
    upstreams: Arc<[Arc<Upstream>]>,
    waits: Waits,
}

impl Origin {
    /// An origin that asks `chain` through `http`.
    pub fn new(chain: &Chain, http: &HttpClient, waits: Waits) -> Result<Self, HttpError> {
        Self::of_links(chain.links(), http, waits, AT_ONCE)
    }

    /// An origin that asks one source.
    pub fn alone(link: Link, http: &HttpClient, waits: Waits) -> Result<Self, HttpError> {
        Self::of_links(&[link], http, waits, AT_ONCE)
    }

    /// The sources among these that may hear of a module.
    pub(super) fn serving(&self, path: &ModulePath) -> Self {
        if self.upstreams.iter().all(|upstream| upstream.serves(path)) {
            return self.clone();
        }
        let upstreams = self.upstreams.iter().filter(|upstream| upstream.serves(path)).cloned().collect();
        Self { upstreams, waits: self.waits }
    }

    /// The same of links, with at most `at_once` requests under way to each.
    pub(crate) fn of_links(links: &[Link], http: &HttpClient, waits: Waits, at_once: usize) -> Result<Self, HttpError> {
        let upstream = |link: &Link| Upstream::new(link.clone(), http, waits, at_once).map(Arc::new);
        Ok(Self { upstreams: links.iter().map(upstream).collect::<Result<_, _>>()?, waits })
    }

    /// Whether the failure `error` of a source leads on to the next one, as `go` would have it.
    pub fn leads_on(&self, id: UpstreamId, error: &OriginError) -> bool {
        matches!(error, OriginError::NotFound(_)) || self.leads_on_always(id)
    }

    /// Whether any failure of a source leads on to the next one: a `|` stands behind it.
    pub(crate) fn leads_on_always(&self, id: UpstreamId) -> bool {
        self.at(id).link.on_any_failure
    }

    /// How long what cannot be proved is believed.
    pub fn waits(&self) -> Waits {
        self.waits
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
    ) -> Result<Advisory<T>, OriginError> {
        let round = || self.renew(request, None, &check);
        let Advisory { value, source, tag, distrusted } = self.in_rounds(round, OriginError::passes).await?;
        match value {
            Some(value) => Ok(Advisory { value, source, tag, distrusted }),
            None => Err(OriginError::Nonsense { origin: self.name(source), why: UNASKED_304.to_owned() }),
        }
    }

    /// The same for an answer that is kept from earlier, with the source and entity tag of that time, if it had one: `None`
    /// says that it is still right. The tag is shown to that source alone. Asks once: what is kept can go out.
    pub async fn renew<T, E: fmt::Display>(
        &self,
        request: &Request,
        kept: Option<(UpstreamId, &str)>,
        check: &impl Fn(Vec<u8>) -> Result<T, E>,
    ) -> Result<Advisory<Option<T>>, OriginError> {
        let wanted = &Wanted::from(request);
        self.in_order(request, |source| async move {
            let (upstream, distrusted) = (self.at(source), || self.distrusts(source));
            let unless = kept.filter(|(from, _)| *from == source).map(|(_, tag)| tag.to_owned());
            let nonsense = |why| Err(OriginError::Nonsense { origin: self.name(source), why });
            match upstream.small(wanted, unless.clone()).await? {
                Small::Unchanged => Ok(Advisory { value: None, source, tag: unless, distrusted: distrusted() }),
                Small::Body(body, tag, elsewhere) => match check(body) {
                    Ok(value) => {
                        upstream.login_is_accepted();
                        Ok(Advisory { value: Some(value), source, tag, distrusted: distrusted() })
                    }
                    Err(why) if elsewhere => {
                        tracing::warn!(
                            source = self.name(source),
                            why = why.to_string(),
                            "a redirect leads to what was not asked for"
                        );
                        nonsense(BEHIND_REDIRECT.to_owned())
                    }
                    Err(why) => nonsense(why.to_string()),
                },
            }
        })
        .await
    }

    /// Whether a source gives out what is asked for. No byte of it is read.
    pub(crate) async fn exists(&self, request: &Request) -> Result<(), OriginError> {
        let wanted = &Wanted::from(request);
        let round = || self.in_order(request, |source| async move { self.at(source).exists(wanted).await });
        self.in_rounds(round, OriginError::passes).await
    }

    /// The first answer of the sources, asked one after the other as `go` would.
    async fn in_order<T, F: Future<Output = Result<T, OriginError>>>(
        &self,
        request: &Request,
        ask: impl Fn(UpstreamId) -> F,
    ) -> Result<T, OriginError> {
        let mut search = Search::among(self.upstreams.len());
        for id in self.sources() {
            match ask(id).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let ends = !self.leads_on(id, &error);
                    search.failed(id, error, ends);
                    if ends {
                        break;
                    }
                }
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
            let pause = passes(&error).and_then(|soonest| retry::pause(nth, soonest, fastrand::f64()));
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            nth += 1;
        }
    }

    /// The sources for a file that can be proved, in stages: those that are joined by `|`, best first, before the ones
    /// behind a `,`. Those that had wrong bytes for it come last.
    pub(crate) fn stages(&self, wanted: &Wanted) -> Vec<Vec<UpstreamId>> {
        let now = Instant::now();
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
                upstream.health(|health| health.rank(now, f64::from(upstream.link.weight)))
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
        let patience =
            |id: UpstreamId, bytes| self.at(id).health(|health| health.patience(Instant::now(), bytes)).max(at_least);
        race::race(stages, patience, ends, attempt).await
    }

    /// A source, without credentials.
    pub(crate) fn name(&self, id: UpstreamId) -> String {
        self.at(id).link.source.to_string()
    }

    /// Asks one source alone, once, for a small body.
    pub(crate) async fn small_from(&self, id: UpstreamId, wanted: &Wanted) -> Result<Vec<u8>, OriginError> {
        match self.at(id).small(wanted, None).await? {
            Small::Body(body, ..) => Ok(body),
            Small::Unchanged => Err(OriginError::Nonsense { origin: self.name(id), why: UNASKED_304.to_owned() }),
        }
    }

    /// Whether a source had wrong bytes not long ago: nothing that it said is to be believed without a proof.
    pub(crate) fn distrusts(&self, id: UpstreamId) -> bool {
        self.at(id).health(|health| health.is_distrusted(Instant::now()))
    }

    /// What a source said does not fit together with what others said.
    pub(crate) fn distrust(&self, id: UpstreamId) {
        self.at(id).health(|health| health.distrust(Instant::now()));
    }

    /// A source had wrong bytes for what is `wanted`.
    pub(crate) fn had_wrong(&self, id: UpstreamId, wanted: &Wanted) {
        self.at(id).distrust(wanted);
    }

    /// Sends a file of one source to `sink`.
    pub(crate) async fn download(
        &self,
        id: UpstreamId,
        request: &Request,
        sink: &DownloadSink,
        progress: &Progress,
    ) -> Result<(), OriginError> {
        self.at(id).download(&request.into(), sink, progress).await?;
        progress.arrived();
        Ok(())
    }
    fn at(&self, id: UpstreamId) -> &Upstream {
        &self.upstreams[id.0]
    }
}
