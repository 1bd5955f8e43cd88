//! From a reply of the database to what it proves: disk, else network.

use std::sync::Arc;

use tlog::SUMDB_ORIGIN;

use super::attested::{Answer, Attested};
use super::error::{MAX_MOVES, Shared, SumdbError, blocking};
use super::lookup::{self, LookupError, Proved, Reply};
use super::merge::Merger;
use super::record::RecordLines;
use super::remote::{Endpoint, Remote};
use super::tiles::Tiles;
use super::trusted::Advance;
use crate::base::fault::Fault;
use crate::store::StateDir;
use crate::upstream::database_request::escaped;
use gomodule::module::ModuleVersion;

pub(super) struct Prover {
    state: Arc<StateDir>,
    remote: Remote,
    tiles: Tiles,
    merger: Arc<Merger>,
}

impl Prover {
    pub(super) fn new(state: Arc<StateDir>, remote: Remote, tiles: Tiles, merger: Arc<Merger>) -> Self {
        Self { state, remote, tiles, merger }
    }

    pub(super) async fn lookup(self: &Arc<Self>, module: &ModuleVersion) -> Answer {
        match self.kept_of(vec![module.clone()]).await.pop() {
            Some((_, answer)) => answer,
            None => self.from_network(module).await,
        }
    }

    /// The answers that are kept on disk; those that are absent are left out.
    pub(super) async fn kept_of(self: &Arc<Self>, modules: Vec<ModuleVersion>) -> Vec<(ModuleVersion, Answer)> {
        let kept = blocking(self, |prover| {
            let kept = modules.into_iter().filter_map(|module| {
                let attested = prover.kept(&module).transpose()?.map(Arc::new).map_err(Arc::new);
                Some((module, attested))
            });
            Ok(kept.collect())
        });
        // A task that broke off found nothing: the network is asked.
        kept.await.unwrap_or_default()
    }

    /// A record with its proof from an earlier lookup. What does not check out is as good as absent.
    fn kept(&self, module: &ModuleVersion) -> Result<Option<Attested>, SumdbError> {
        let Some(bundle) = self.state.record(&escaped(module))? else {
            return Ok(None);
        };
        let opened = tlog::bundle::open(&bundle, SUMDB_ORIGIN, self.remote.database.key());
        let lines = opened.ok().and_then(|(record, _)| RecordLines::of(record, module).ok());
        Ok(lines.map(|lines| Attested::new(lines, self.remote.database.name().into())))
    }

    /// Whether the database may be asked: after a fork it may not, and an anchor comes first. Where to ask is settled here,
    /// so that a batch does not wait for a silent proxy once for each of its lookups.
    pub(super) async fn ready(&self) -> Shared<()> {
        if self.remote.offline {
            return Ok(());
        }
        self.merger.refuse_if_forked().await?;
        self.remote.ready().await?;
        let carried = self.remote.database.carried.is_some();
        match self.merger.compare_anchor().await {
            // Whoever carried this did not know that the program here has a newer anchor by now; it stays due.
            Err(error) if carried && error.fault() == Fault::Upstream => Ok(()),
            compared => compared,
        }
    }

    async fn from_network(self: &Arc<Self>, module: &ModuleVersion) -> Answer {
        self.ready().await?;
        let proved = self.prove_one(self.reply(module, None).await?).await;
        let endpoints = self.remote.all_endpoints().await?;
        if endpoints.len() == 1 || !proved.as_ref().is_err_and(|error| error.blames_the_answer()) {
            return proved;
        }
        // One endpoint lied, and which one is not known: each alone.
        for endpoint in endpoints {
            let Ok(reply) = self.reply(module, Some(endpoint)).await else { continue };
            match self.prove_one(reply).await {
                Err(error) if error.blames_the_answer() => self.remote.distrust(endpoint).await,
                proved => return proved,
            }
        }
        proved
    }

    /// Asks for a module version, through one endpoint or any. What comes back is signed and has the right form, and
    /// nothing more is known of it.
    pub(super) async fn reply(&self, module: &ModuleVersion, only: Option<Endpoint>) -> Shared<Reply> {
        if self.remote.offline {
            return Err(SumdbError::offline(module));
        }
        let read = |bytes: Vec<u8>| {
            Reply::read(module, &bytes, self.remote.database.key()).map_err(|error| self.failed(module, error))
        };
        let reply = self.remote.lookup(module, only, read).await?;
        Ok(match (&self.remote.database.carried, self.merger.trusted.head()) {
            (Some(_), Some(trusted)) => reply.under_newer(trusted),
            _ => reply,
        })
    }

    pub(super) async fn prove_one(self: &Arc<Self>, reply: Reply) -> Answer {
        let proved = self.prove(vec![reply]).await?;
        proved.into_iter().next().unwrap_or_else(|| Err(self.merger.contention()))
    }

    /// Proves replies under one head, moves the trusted head to it, and keeps tiles and records. The outer error is one
    /// of all of them: a tile that did not come or does not fit, a fork.
    pub(super) async fn prove(self: &Arc<Self>, replies: Vec<Reply>) -> Shared<Vec<Answer>> {
        let modules: Vec<ModuleVersion> = replies.iter().map(|reply| reply.module().clone()).collect();
        let failed = async |error| match error {
            LookupError::Forked(evidence) => self.merger.forked(*evidence).await,
            error => Arc::new(self.failed(&modules[0], error)),
        };
        for _ in 0..MAX_MOVES {
            let trusted = self.merger.trusted.now();
            let reading = match lookup::plan(replies.clone(), trusted.as_ref()) {
                Ok(reading) => reading,
                Err(error) => return Err(failed(error).await),
            };
            let tiles = self.tiles.authentic(reading.plan()).await?;
            let (head, proved) = match reading.conclude(&tiles) {
                Ok(conclusion) => conclusion,
                Err(error) => return Err(failed(error).await),
            };
            // Of answers that are all wrong nothing is taken, not even a head that would fit.
            if !proved.iter().any(Result::is_ok) {
                return self.keep_records(&modules, proved).await;
            }
            if self.merger.advance(trusted, head.clone()).await? == Advance::Moved {
                continue;
            }
            if replies.iter().any(|reply| reply.shows(&head)) {
                self.merger.shown_again(head.size()).await?;
            }
            // Each is checked again whenever it is read, so neither waits for the other.
            let records = self.keep_records(&modules, proved);
            let (tiles, records) = tokio::join!(self.tiles.keep(&tiles), records);
            return tiles.and(records);
        }
        Err(self.merger.contention())
    }

    async fn keep_records(
        self: &Arc<Self>,
        modules: &[ModuleVersion],
        found: Vec<Result<Proved, LookupError>>,
    ) -> Shared<Vec<Answer>> {
        let modules = modules.to_vec();
        blocking(self, move |prover| {
            let keep = |(module, proved): (&ModuleVersion, Result<Proved, LookupError>)| {
                let Proved { lines, bundle } = proved.map_err(|error| prover.failed(module, error))?;
                prover.state.set_record(&escaped(module), &bundle);
                Ok(Arc::new(Attested::new(lines, prover.remote.database.name().into())))
            };
            Ok(modules.iter().zip(found).map(|one| keep(one).map_err(Arc::<SumdbError>::new)).collect())
        })
        .await
    }

    fn failed(&self, module: &ModuleVersion, error: LookupError) -> SumdbError {
        let database = &self.remote.database;
        match error {
            LookupError::WrongRecord(cause) => SumdbError::WrongRecord(database.asked_for(module), cause),
            cause => database.unverified(module, cause),
        }
    }
}
