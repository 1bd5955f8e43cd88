//! Proved records: from the disk, else from a reply of the database.

use std::sync::Arc;

use tlog::SUMDB_ORIGIN;

use super::error::{Answer, MAX_MOVES, Shared, SumdbError, blocking};
use super::lookup::{self, LookupError, Proved, Reply};
use super::merge::Merger;
use super::record::ModuleRecord;
use super::remote::{Endpoint, Remote};
use super::tiles::Tiles;
use super::trusted::Advance;
use crate::base::fault::Fault;
use crate::store::StateDir;
use crate::upstream::database_request::{DatabaseRequest, escaped};
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
        match self.stored(vec![module.clone()]).await.pop() {
            Some((_, answer)) => answer,
            None => self.remote.exchange(self.from_network(module)).await,
        }
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The answers that are on disk; modules without one are left out.
    pub(super) async fn stored(self: &Arc<Self>, modules: Vec<ModuleVersion>) -> Vec<(ModuleVersion, Answer)> {
        let stored = blocking(self, |prover| {
            let stored = modules.into_iter().filter_map(|module| {
                let record = prover.stored_record(&module).transpose()?.map(Arc::new).map_err(Arc::new);
                Some((module, record))
            });
            Ok(stored.collect())
        });
        // If the task was cancelled, the network is asked.
        stored.await.unwrap_or_default()
    }

    /// A record with its proof from an earlier lookup. An invalid one is treated as missing.
    fn stored_record(&self, module: &ModuleVersion) -> Result<Option<ModuleRecord>, SumdbError> {
        let Some(bundle) = self.state.record(&escaped(module))? else {
            return Ok(None);
        };
        let opened = tlog::bundle::open(&bundle, SUMDB_ORIGIN, self.remote.database.key());
        Ok(opened.ok().and_then(|(record, _)| ModuleRecord::of(record, module).ok()))
    }

    /// Prepares requests: fails after a fork, compares the anchor, and finds the endpoints, so that a batch waits for a
    /// silent proxy once and not for each of its lookups.
    pub(super) async fn ready(&self) -> Shared<()> {
        if self.remote.offline {
            return Ok(());
        }
        self.merger.refuse_if_forked().await?;
        self.remote.endpoints().await?;
        let is_export = self.remote.database.export.is_some();
        match self.merger.compare_anchor().await {
            // An export cannot prove a newer anchor than the one it was made with; the comparison stays due.
            Err(error) if is_export && error.fault() == Fault::Upstream => Ok(()),
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
        // One endpoint gave a wrong answer, and it is not known which: each alone.
        for endpoint in endpoints {
            let Ok(reply) = self.reply(module, Some(endpoint)).await else { continue };
            match self.prove_one(reply).await {
                Err(error) if error.blames_the_answer() => self.remote.distrust(endpoint).await,
                proved => return proved,
            }
        }
        proved
    }

    /// Requests the record of a module version, from one endpoint or any. The reply is well-formed and signed, not proved.
    pub(super) async fn reply(&self, module: &ModuleVersion, only: Option<Endpoint>) -> Shared<Reply> {
        if self.remote.offline {
            return Err(SumdbError::Offline(module.to_string()).into());
        }
        let read = |bytes: Vec<u8>| {
            Reply::read(module, &bytes, self.remote.database.key()).map_err(|error| self.failed(module, error))
        };
        let reply = self.remote.ask(DatabaseRequest::Lookup(module.clone()), only, read).await?;
        Ok(match (&self.remote.database.export, self.merger.trusted.head()) {
            (Some(_), Some(trusted)) => reply.under_newer(trusted),
            _ => reply,
        })
    }

    pub(super) async fn prove_one(self: &Arc<Self>, reply: Reply) -> Answer {
        let proved = self.prove(vec![reply]).await?;
        proved.into_iter().next().unwrap_or_else(|| Err(self.merger.contention()))
    }

    /// Proves replies under one head, moves the trusted head to it, and stores tiles and records. The outer error concerns
    /// all of them: a tile is missing or wrong, or the database forked.
    pub(super) async fn prove(self: &Arc<Self>, replies: Vec<Reply>) -> Shared<Vec<Answer>> {
        let modules: Vec<ModuleVersion> = replies.iter().map(|reply| reply.module().clone()).collect();
        let failed = async |error| match error {
            LookupError::Forked(evidence) => self.merger.forked(*evidence).await,
            error => Arc::new(self.failed(&modules[0], error)),
        };
        for _ in 0..MAX_MOVES {
            let trusted = self.merger.trusted.timeline();
            let planned = match lookup::plan(replies.clone(), trusted.as_ref()) {
                Ok(planned) => planned,
                Err(error) => return Err(failed(error).await),
            };
            let tiles = self.tiles.authentic(planned.plan()).await?;
            let (head, proved) = match planned.conclude(&tiles) {
                Ok(conclusion) => conclusion,
                Err(error) => return Err(failed(error).await),
            };
            // If every answer is wrong, nothing is stored, not even a consistent head.
            if !proved.iter().any(Result::is_ok) {
                return self.store_records(&modules, proved).await;
            }
            if self.merger.advance(trusted, head.clone()).await? == Advance::Moved {
                continue;
            }
            if replies.iter().any(|reply| reply.shows(&head)) {
                self.merger.shown_again(head.size()).await?;
            }
            self.merger.was_shown_now();
            // Both are checked again whenever they are read, so the order does not matter.
            let records = self.store_records(&modules, proved);
            let (tiles, records) = tokio::join!(self.tiles.keep(&tiles), records);
            return tiles.and(records);
        }
        Err(self.merger.contention())
    }

    async fn store_records(
        self: &Arc<Self>,
        modules: &[ModuleVersion],
        results: Vec<Result<Proved, LookupError>>,
    ) -> Shared<Vec<Answer>> {
        let modules = modules.to_vec();
        blocking(self, move |prover| {
            let store = |(module, proved): (&ModuleVersion, Result<Proved, LookupError>)| {
                let Proved { record, bundle } = proved.map_err(|error| prover.failed(module, error))?;
                prover.state.set_record(&escaped(module), &bundle);
                Ok(Arc::new(record))
            };
            Ok(modules.iter().zip(results).map(|one| store(one).map_err(Arc::<SumdbError>::new)).collect())
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
