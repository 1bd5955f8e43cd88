//! What the database is asked over the network, through whichever endpoint answers. All of it comes back untrusted.
//!
//! The database itself, the alias of the public one, and proxies that pass it on are endpoints to one log. What comes through
//! any of them is proved, so an endpoint that is behind, down or lying costs time and nothing else: the next one is asked. That
//! the log has no record counts only as the answer to a lookup, from an endpoint that is the database's own and has shown a head
//! that the database signed, and then nobody else is asked: the name may be one that nobody else should hear. Any other 404
//! (a tile, a head) leaves unproved what it was needed for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tlog::{Mismatch, SUMDB_ORIGIN, SignedCheckpoint, Tile, TileError};
use tokio::sync::OnceCell;

use super::database::Database;
use super::error::{NotShown, SumdbError};
use crate::base::clock::Clock;
use crate::base::flight::Flights;
pub(super) use crate::upstream::UpstreamId as Endpoint;
use crate::upstream::database_request::DatabaseRequest;
use crate::upstream::{HttpClient, HttpError, Source, Ttls, UpstreamConfig, UpstreamError, UpstreamPool, Wanted};
use gomodule::module::ModuleVersion;

const SUPPORTED: Wanted = Wanted::Database(DatabaseRequest::Supported);
const LATEST: Wanted = Wanted::Database(DatabaseRequest::Latest);
/// Requests under way to one endpoint: all tiles of a plan that an audit asks for at once (`sumdb/tiles.rs`).
const AT_ONCE: usize = 512;
/// No endpoint is overtaken before: a second one must not double the load on a public service whenever it is a little slow.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Remote {
    pub(super) database: Arc<Database>,
    /// Nothing is asked of the network.
    pub(super) offline: bool,
    http: HttpClient,
    clock: Clock,
    /// Where it is asked, once that is known.
    endpoints: Arc<OnceCell<Endpoints>>,
}

struct Endpoints {
    pool: UpstreamPool,
    kinds: Vec<Kind>,
}

enum Kind {
    /// The database's own address, if it has shown that it is one: it decides what is absent.
    Own(Arc<Own>),
    /// A folder with what was carried here: what is not in it may exist all the same.
    Folder,
    /// A proxy, and whether it passes the database on, once that is known.
    Proxy(OnceCell<bool>),
}

/// Whether an address has shown a head that the database signed. A captive portal, a wrong path, or a proxy on the way that
/// blocks requests also answers 404.
#[derive(Default)]
struct Own {
    has_shown: AtomicBool,
    asking: Flights<(), Result<(), NotShown>>,
}

/// Why an endpoint did not help.
enum Closed {
    /// It says that the log has no record of the module version.
    NoRecord(SumdbError),
    /// It did not answer, or does not have it.
    Upstream(UpstreamError),
    /// What it said is wrong.
    Wrong(SumdbError),
    /// It is a proxy that does not pass the database on.
    NotPassedOn,
}

impl Remote {
    pub(super) fn new(database: Database, http: HttpClient, clock: Clock) -> Self {
        let offline = http.is_offline() && database.carried.is_none();
        Self { database: Arc::new(database), offline, http, clock, endpoints: Arc::default() }
    }

    pub(super) async fn ready(&self) -> Result<(), SumdbError> {
        self.endpoints().await.map(|_| ())
    }

    pub(super) async fn all_endpoints(&self) -> Result<impl ExactSizeIterator<Item = Endpoint> + use<>, SumdbError> {
        Ok(self.endpoints().await?.pool.sources())
    }

    /// Proxies that pass the database on are tried first where `go` would do so
    /// (<https://go.dev/design/25530-sumdb#proxying-a-checksum-database>): a 200 settles it, absence leads on, and any
    /// other failure is one, unless a `|` stands behind that proxy. Other proxies that may pass it on stand behind it.
    async fn endpoints(&self) -> Result<&Endpoints, SumdbError> {
        let find = || async {
            let database = &self.database;
            let through = |source: &Source| match source {
                Source::Http(proxy) => {
                    let mut base = proxy.clone();
                    base.set_path(&format!("{}/sumdb/{}", proxy.path().trim_end_matches('/'), database.name()));
                    Some(base)
                }
                Source::Dir(_) | Source::Direct(_) => None,
            };
            if let Some(folder) = &database.carried {
                let folder = UpstreamConfig::plain(Source::Dir(folder.clone()), false);
                return Ok(Endpoints { pool: self.pool(&[folder])?, kinds: vec![Kind::Folder] });
            }
            let mut own = None;
            for proxy in &database.proxies {
                let Some(base) = through(&proxy.source) else { continue };
                // As a source like any other: a login in its url goes to nobody else.
                let endpoint = UpstreamConfig::plain(Source::Http(base.clone()), proxy.on_any_failure);
                let endpoint = self.pool(&[endpoint])?;
                match endpoint.small_from(Endpoint::FIRST, &SUPPORTED).await {
                    Ok(_) => {
                        own = Some(base);
                        break;
                    }
                    Err(error) if endpoint.leads_on(Endpoint::FIRST, &error) => {}
                    Err(error) => return Err(self.unreachable(cause_of(error, endpoint.name(Endpoint::FIRST)))),
                }
            }
            let urls = own.map_or_else(|| database.urls(), |own| vec![own]);
            let own = |url| (UpstreamConfig::plain(Source::Http(url), true), Kind::Own(Arc::default()));
            let behind = database.behind.iter().filter_map(|proxy| {
                let source = Source::Http(through(&proxy.source)?);
                let endpoint = UpstreamConfig { source, on_any_failure: true, ..proxy.clone() };
                Some((endpoint, Kind::Proxy(OnceCell::new())))
            });
            let (configs, kinds): (Vec<UpstreamConfig>, Vec<Kind>) = urls.into_iter().map(own).chain(behind).unzip();
            Ok(Endpoints { pool: self.pool(&configs)?, kinds })
        };
        self.endpoints.get_or_try_init(find).await
    }

    fn pool(&self, configs: &[UpstreamConfig]) -> Result<UpstreamPool, SumdbError> {
        // A record that is absent now may be there in a second.
        let ttls = Ttls { absent: Duration::ZERO, ..Ttls::default() };
        let pool = UpstreamPool::with_places(configs, &self.http, ttls, AT_ONCE, self.clock);
        pool.map_err(|cause| self.unreachable(cause))
    }

    /// `lookup/M@V`: a record and a signed head, if `check` accepts them. With `only`, through that endpoint alone.
    pub(super) async fn lookup<T>(
        &self,
        module: &ModuleVersion,
        only: Option<Endpoint>,
        check: impl Fn(Vec<u8>) -> Result<T, SumdbError>,
    ) -> Result<T, SumdbError> {
        self.ask(DatabaseRequest::Lookup(module.clone()), only, check).await
    }

    pub(super) async fn latest(&self) -> Result<Vec<u8>, SumdbError> {
        self.ask(DatabaseRequest::Latest, None, Ok).await
    }

    /// A tile of exactly the width asked for. A partial tile may have vanished once the full one exists
    /// (<https://c2sp.org/tlog-tiles>), so any failure of a partial one leads to the full one, cut.
    pub(super) async fn tile(&self, tile: &Tile, only: Option<Endpoint>) -> Result<Vec<u8>, SumdbError> {
        let exact = self.ask(DatabaseRequest::Tile(*tile), only, Ok).await;
        if tile.is_full() || exact.is_ok() {
            return exact;
        }
        let full = tile.full();
        let check = |bytes: Vec<u8>| {
            let (found, expected) = (bytes.len(), full.byte_len());
            let cut = tile.cut(&bytes).filter(|_| found == expected).map(<[u8]>::to_vec);
            let wrong = || TileError::WrongLength(full, Mismatch { expected, found });
            cut.ok_or_else(|| self.database.unverified(full, wrong()))
        };
        self.ask(DatabaseRequest::Tile(full), only, check).await
    }

    /// Everything that came through an endpoint alone does not fit together.
    pub(super) async fn distrust(&self, id: Endpoint) {
        if let Ok(endpoints) = self.endpoints().await {
            endpoints.pool.distrust(id);
        }
    }

    async fn ask<T>(
        &self,
        asked: DatabaseRequest,
        only: Option<Endpoint>,
        check: impl Fn(Vec<u8>) -> Result<T, SumdbError>,
    ) -> Result<T, SumdbError> {
        let endpoints = self.endpoints().await?;
        let wanted = &Wanted::Database(asked);
        let attempt = |id, _progress| {
            let through = self.through(endpoints, id, wanted, &check);
            async move {
                match through.await {
                    Err(closed @ Closed::NoRecord(..)) => Ok(Err(closed)),
                    answer => answer.map(Ok),
                }
            }
        };
        let round = || async {
            let order = only.map_or_else(|| endpoints.pool.stages(wanted), |id| vec![vec![id]]);
            endpoints.pool.race(order, PATIENCE, |_, _| false, attempt).await
        };
        let passes = |closed: &Vec<(Endpoint, Closed)>| closed.iter().filter_map(|(_, closed)| closed.passes()).min();
        match endpoints.pool.in_rounds(round, passes).await {
            Ok((_, Ok(answer))) => Ok(answer),
            Ok((id, Err(closed))) => Err(self.why(endpoints, wanted, vec![(id, closed)])),
            Err(closed) => Err(self.why(endpoints, wanted, closed)),
        }
    }

    /// Asks an endpoint, and whether its 404 counts: that of a lookup alone says something.
    async fn through<T>(
        &self,
        endpoints: &Endpoints,
        id: Endpoint,
        wanted: &Wanted,
        check: &impl Fn(Vec<u8>) -> Result<T, SumdbError>,
    ) -> Result<T, Closed> {
        let (pool, kind) = (&endpoints.pool, &endpoints.kinds[id.index()]);
        if let Kind::Proxy(supported) = kind {
            let asked = || async {
                match pool.small_from(id, &SUPPORTED).await {
                    Ok(_) => Ok(true),
                    Err(UpstreamError::NotFound(_)) => Ok(false),
                    Err(error) => Err(Closed::Upstream(error)),
                }
            };
            if !*supported.get_or_try_init(asked).await? {
                return Err(Closed::NotPassedOn);
            }
        }
        match (pool.small_from(id, wanted).await, kind, wanted) {
            (Ok(body), ..) => {
                let answer = check(body).map_err(|error| {
                    pool.had_wrong(id, wanted);
                    Closed::Wrong(error)
                })?;
                if let (Kind::Own(own), Wanted::Database(DatabaseRequest::Lookup(_))) = (kind, wanted) {
                    // With the record came a signed head: `check` opened it.
                    own.has_shown.store(true, Ordering::Relaxed);
                }
                Ok(answer)
            }
            (
                Err(UpstreamError::NotFound(words)),
                Kind::Own(own),
                Wanted::Database(DatabaseRequest::Lookup(module)),
            ) => {
                self.must_have_shown(endpoints, id, own).await?;
                Err(Closed::NoRecord(SumdbError::NoRecord(self.database.asked_for(module), words)))
            }
            (Err(error), ..) => Err(Closed::Upstream(error)),
        }
    }

    /// Whether an endpoint has shown a signed head, of whatever size; if not, it is asked for one.
    async fn must_have_shown(&self, endpoints: &Endpoints, id: Endpoint, own: &Arc<Own>) -> Result<(), Closed> {
        if own.has_shown.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (pool, asking, key) = (endpoints.pool.clone(), Arc::clone(own), self.database.key().clone());
        let shown = own.asking.join((), move || async move {
            let note = pool.small_from(id, &LATEST).await.map_err(|why| Arc::new(why) as NotShown)?;
            SignedCheckpoint::open(&note, SUMDB_ORIGIN, &key).map_err(|why| Arc::new(why) as NotShown)?;
            asking.has_shown.store(true, Ordering::Relaxed);
            Ok(())
        });
        let shown = shown.await.unwrap_or_else(|broken| Err(Arc::new(broken)));
        shown.map_err(|cause| {
            let (database, address) = (self.database.name().to_owned(), endpoints.pool.name(id));
            Closed::Wrong(SumdbError::NotTheDatabase { database, address, cause })
        })
    }

    /// Of the reasons of all endpoints the one to tell: no record, if an endpoint says so that knows; then what is wrong; then what
    /// failed.
    fn why(&self, endpoints: &Endpoints, wanted: &Wanted, closed: Vec<(Endpoint, Closed)>) -> SumdbError {
        let (mut wrong, mut missing, mut failed) = (None, None, None);
        for (id, closed) in closed {
            match closed {
                Closed::NoRecord(error) => return error,
                Closed::Upstream(UpstreamError::NotFound(_) | UpstreamError::EmptyRoot { .. })
                    if matches!(endpoints.kinds[id.index()], Kind::Folder) =>
                {
                    return SumdbError::NotExported(match wanted {
                        Wanted::Database(DatabaseRequest::Lookup(module)) => {
                            self.database.asked_for(format!("record of {module}"))
                        }
                        wanted => self.database.asked_for(wanted),
                    });
                }
                Closed::Upstream(UpstreamError::NotFound(reason)) => missing = missing.or(Some(reason)),
                Closed::Wrong(error) => wrong = wrong.or(Some(error)),
                Closed::Upstream(error) => failed = failed.or_else(|| Some(cause_of(error, endpoints.pool.name(id)))),
                Closed::NotPassedOn => {}
            }
        }
        let nobody = || HttpError::Transport {
            url: wanted.to_string(),
            cause: "no endpoint of the database could be reached".to_owned(),
        };
        match (wrong, failed, missing) {
            (Some(wrong), ..) => wrong,
            (None, Some(failed), _) => self.unreachable(failed),
            (None, None, Some(reason)) => SumdbError::Missing(self.database.asked_for(wanted), reason),
            (None, None, None) => self.unreachable(nobody()),
        }
    }

    fn unreachable(&self, cause: HttpError) -> SumdbError {
        SumdbError::Unreachable { database: self.database.name().to_owned(), cause }
    }
}

impl Closed {
    fn passes(&self) -> Option<Duration> {
        if let Self::Upstream(error) = self { error.passes() } else { None }
    }
}

fn cause_of(error: UpstreamError, url: String) -> HttpError {
    match error {
        UpstreamError::Failed(cause) => cause,
        error => HttpError::Transport { url, cause: error.to_string() },
    }
}
