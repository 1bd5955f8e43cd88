//! Asking the sources: small advisory answers in `go`'s order; proved files in that order too, and among sources that are
//! joined by `|` in the order of health.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chain::{Chain, Link};
use super::error::OriginError;
use super::http::{HttpClient, HttpError};
use super::landing::Landing;
use super::race::{self, Progress};
use super::retry;
use super::search::Search;
use super::upstream::{Small, Upstream};
use crate::module::ModulePath;

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
    /// The source that said it, without credentials.
    pub source: String,
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

/// How long what cannot be proved is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// A source's 404 or 410.
    pub absent: Duration,
    /// A version list, `@latest` or a query, without asking whether it changed.
    pub fresh: Duration,
    /// The same, while no source answers.
    pub stale: Duration,
    /// How long a request waits for the record of a version that a source has and the database does not have yet. Without
    /// it such a version is refused at once.
    pub hold: Option<Duration>,
}

impl Default for Waits {
    fn default() -> Self {
        // `go get a/b/c` asks for every prefix, in every build; a version that was just tagged is wanted within minutes.
        Self {
            absent: Duration::from_mins(1),
            fresh: Duration::from_mins(1),
            // A night and a morning: somebody mends the network.
            stale: Duration::from_hours(24),
            hold: None,
        }
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

    /// Whether the failure `error` of source `nth` leads on to the next one, as `go` would have it.
    pub fn leads_on(&self, nth: usize, error: &OriginError) -> bool {
        matches!(error, OriginError::NotFound(_)) || self.leads_on_always(nth)
    }

    /// Whether any failure of source `nth` leads on to the next one: a `|` stands behind it.
    pub(crate) fn leads_on_always(&self, nth: usize) -> bool {
        self.upstreams.get(nth).is_some_and(|upstream| upstream.link.on_any_failure)
    }

    /// How long what cannot be proved is believed.
    pub fn waits(&self) -> Waits {
        self.waits
    }

    /// How many sources there are; [`Origin::download`] takes an index below it.
    pub fn sources(&self) -> usize {
        self.upstreams.len()
    }

    /// Asks the sources in order for a small answer and takes the first that `check` accepts.
    ///
    /// `path` is the escaped GOPROXY path, without a leading `/`. `check` says what is wrong with an answer that no
    /// proxy would give; that counts as a failure of its source.
    pub async fn small<T>(
        &self,
        path: &str,
        limit: usize,
        check: impl Fn(Vec<u8>) -> Result<T, String>,
    ) -> Result<Advisory<T>, OriginError> {
        let round = || self.renew(path, limit, None, &check);
        let Advisory { value, source, tag, distrusted } = self.in_rounds(round, OriginError::passes).await?;
        match value {
            Some(value) => Ok(Advisory { value, source, tag, distrusted }),
            None => Err(OriginError::Nonsense { origin: source, why: UNASKED_304.to_owned() }),
        }
    }

    /// The same for an answer that is kept from earlier, with the source and entity tag of that time, if it had one: `None`
    /// says that it is still right. The tag is shown to that source alone. Asks once: what is kept can go out.
    pub async fn renew<T>(
        &self,
        path: &str,
        limit: usize,
        kept: Option<(&str, &str)>,
        check: &impl Fn(Vec<u8>) -> Result<T, String>,
    ) -> Result<Advisory<Option<T>>, OriginError> {
        self.in_order(path, |upstream| async move {
            let source = upstream.link.source.to_string();
            let distrusted = || upstream.health(|health| health.is_distrusted(Instant::now()));
            let unless = kept.filter(|(from, _)| *from == source).map(|(_, tag)| tag.to_owned());
            match upstream.small(path, limit, unless.clone()).await? {
                Small::Unchanged => Ok(Advisory { value: None, source, tag: unless, distrusted: distrusted() }),
                Small::Body(body, tag, elsewhere) => match check(body) {
                    Ok(value) => {
                        upstream.login_is_accepted();
                        Ok(Advisory { value: Some(value), source, tag, distrusted: distrusted() })
                    }
                    Err(why) if elsewhere => {
                        tracing::warn!(source, why, "a redirect leads to what was not asked for");
                        Err(OriginError::Nonsense { origin: source, why: BEHIND_REDIRECT.to_owned() })
                    }
                    Err(why) => Err(OriginError::Nonsense { origin: source, why }),
                },
            }
        })
        .await
    }

    /// Whether a source gives out the file at `path`. No byte of it is read.
    pub(crate) async fn exists(&self, path: &str) -> Result<(), OriginError> {
        let round = || self.in_order(path, |upstream| async move { upstream.exists(path).await });
        self.in_rounds(round, OriginError::passes).await
    }

    /// The first answer of the sources, asked one after the other as `go` would.
    async fn in_order<'a, T, F: Future<Output = Result<T, OriginError>> + 'a>(
        &'a self,
        path: &str,
        ask: impl Fn(&'a Upstream) -> F,
    ) -> Result<T, OriginError> {
        let mut search = Search::among(self.upstreams.len());
        for (nth, upstream) in self.upstreams.iter().enumerate() {
            match ask(upstream).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let ends = !self.leads_on(nth, &error);
                    search.failed(nth, error, ends);
                    if ends {
                        break;
                    }
                }
            }
        }
        Err(search.conclude(path))
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
    pub(crate) fn stages(&self, path: &str) -> Vec<Vec<usize>> {
        let now = Instant::now();
        let (mut stages, mut stage, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for (nth, upstream) in self.upstreams.iter().enumerate() {
            if upstream.had_wrong(path) { &mut wrong } else { &mut stage }.push(nth);
            if !upstream.link.on_any_failure {
                stages.push(std::mem::take(&mut stage));
            }
        }
        stages.extend([stage, wrong]);
        stages.retain(|stage| !stage.is_empty());
        for stage in &mut stages {
            stage.sort_by_key(|nth| {
                let upstream = &self.upstreams[*nth];
                upstream.health(|health| health.rank(now, f64::from(upstream.link.weight)))
            });
        }
        stages
    }

    /// Lets the sources of `stages` race; see [`race::race`]. No source is overtaken before `at_least`; after an error that
    /// `ends` the search no later stage is asked.
    pub(crate) async fn race<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        stages: Vec<Vec<usize>>,
        at_least: Duration,
        ends: impl Fn(usize, &E) -> bool,
        attempt: impl Fn(usize, Progress) -> F,
    ) -> Result<(usize, T), Vec<(usize, E)>> {
        let patience = |nth: usize, bytes| {
            self.upstreams[nth].health(|health| health.patience(Instant::now(), bytes)).max(at_least)
        };
        race::race(stages, patience, ends, attempt).await
    }

    /// Source `nth`, without credentials.
    pub(crate) fn name(&self, nth: usize) -> String {
        self.upstreams[nth].link.source.to_string()
    }

    /// Asks source `nth` alone, once, for a small body.
    pub(crate) async fn small_from(&self, nth: usize, path: &str, limit: usize) -> Result<Vec<u8>, OriginError> {
        match self.upstreams[nth].small(path, limit, None).await? {
            Small::Body(body, ..) => Ok(body),
            Small::Unchanged => Err(OriginError::Nonsense { origin: self.name(nth), why: UNASKED_304.to_owned() }),
        }
    }

    /// Whether the source of this name had wrong bytes not long ago: nothing that it said is to be believed without a proof.
    pub(crate) fn distrusts(&self, source: &str) -> bool {
        let now = Instant::now();
        let mut distrusted =
            self.upstreams.iter().filter(|upstream| upstream.health(|health| health.is_distrusted(now)));
        distrusted.any(|upstream| upstream.link.source.to_string() == source)
    }

    /// Source `nth` had wrong bytes at `path`.
    pub(crate) fn had_wrong(&self, nth: usize, path: &str) {
        self.upstreams[nth].distrust(path);
    }

    /// Writes the file at `path` of source `nth` to `landing`, at most `limit` bytes. Returns the length and the source.
    pub async fn download(
        &self,
        nth: usize,
        path: &str,
        landing: &mut Landing,
        limit: u64,
        progress: &Progress,
    ) -> Result<Advisory<u64>, OriginError> {
        let upstream = &self.upstreams[nth];
        let value = upstream.download(path, landing, limit, progress).await?;
        progress.arrived();
        let distrusted = upstream.health(|health| health.is_distrusted(Instant::now()));
        Ok(Advisory { value, source: upstream.link.source.to_string(), tag: None, distrusted })
    }
}
