//! Proved records: from the disk, else from a reply of the database.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tlog::SUMDB_ORIGIN;
use tlog::bundle::Opener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::{Answer, MAX_MOVES, Shared, SumdbError, blocking};
use super::lookup::{self, LookupError, Proved, Reply};
use super::merge::Merger;
use super::record::ModuleRecord;
use super::remote::{Endpoint, Remote};
use super::tiles::{EarlyTiles, Tiles};
use super::trusted::Advance;
use super::writes::{MANY, Writes};
use crate::base::fault::Fault;
use crate::base::lock::lock;
use crate::store::StateDir;
use crate::upstream::database_request::{DatabaseRequest, escaped};
use gomodule::module::ModuleVersion;

pub(super) struct Prover {
    state: Arc<StateDir>,
    remote: Remote,
    tiles: Tiles,
    merger: Arc<Merger>,
    writes: Writes,
    waiting: Mutex<WaitingReplies>,
    /// Held while replies are proved together.
    turn: tokio::sync::Mutex<()>,
}

/// Replies that are proved together at the next turn. There are at most as many as requests, whose number the server limits.
#[derive(Default)]
struct WaitingReplies {
    replies: Vec<(Reply, oneshot::Sender<Answer>)>,
    early: EarlyTiles,
}

/// Replies that are proved together have an answer within this time, or each is proved alone: a tile that does not come must not
/// delay others. A tile is a file of the server, and takes a round trip.
const TOGETHER_WITHIN: Duration = Duration::from_secs(2);

impl Prover {
    pub(super) fn new(state: Arc<StateDir>, remote: Remote, tiles: Tiles, merger: Arc<Merger>, writes: Writes) -> Self {
        let (waiting, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { state, remote, tiles, merger, writes, waiting, turn }
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
        self.writes.ended().await;
        let stored = blocking(self, |prover| {
            // Records that were proved together have the same head, whose signature is verified once.
            let mut opener = Opener::new(SUMDB_ORIGIN, prover.remote.database.key());
            let stored = modules.into_iter().filter_map(|module| {
                let record = prover.stored_record(&mut opener, &module).transpose()?.map(Arc::new).map_err(Arc::new);
                Some((module, record))
            });
            Ok(stored.collect())
        });
        // If the task was cancelled, the network is asked.
        stored.await.unwrap_or_default()
    }

    /// A record with its proof from an earlier lookup. An invalid one is treated as missing.
    fn stored_record(
        &self,
        opener: &mut Opener<'_>,
        module: &ModuleVersion,
    ) -> Result<Option<ModuleRecord>, SumdbError> {
        let name = escaped(module);
        let proved = |bundle: &[u8]| {
            let (record, _) = opener.open(bundle).ok()?;
            ModuleRecord::of(record, module).ok()
        };
        Ok(self.state.record(&name, proved)?)
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
        let proved = self.prove_with_others(self.reply(module, None).await?).await;
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

    /// Requests the tiles that prove these replies in every tree.
    pub(super) fn request_early(&self, early: &mut EarlyTiles, replies: &[Reply]) {
        early.request(&self.tiles, replies.iter().flat_map(Reply::lasting_tiles));
    }

    /// Proves a reply together with those that come while others are proved. Under one head they need fewer tiles, and the head is
    /// stored once.
    async fn prove_with_others(self: &Arc<Self>, reply: Reply) -> Answer {
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            self.request_early(&mut waiting.early, std::slice::from_ref(&reply));
            waiting.replies.push((reply.clone(), sender));
        }
        let prover = Arc::clone(self);
        tokio::spawn(async move { prover.prove_waiting().await });
        match timeout(TOGETHER_WITHIN, answer).await {
            Ok(Ok(answer)) => answer,
            // Too late, or the proof of all failed.
            _ => self.prove_one(reply).await,
        }
    }

    /// Proves the replies that wait, unless another task has done so by now.
    async fn prove_waiting(self: &Arc<Self>) {
        let _turn = self.turn.lock().await;
        let WaitingReplies { mut replies, early } = std::mem::take(&mut *lock(&self.waiting));
        replies.retain(|(_, answer)| !answer.is_closed());
        let (replies, senders): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
        if replies.is_empty() {
            return;
        }
        let answers = match timeout(TOGETHER_WITHIN, self.prove(replies, early)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) if senders.len() == 1 || matches!(*error, SumdbError::Fork(..)) => {
                senders.iter().map(|_| Err(Arc::clone(&error))).collect()
            }
            // Each is proved alone.
            Ok(Err(_)) | Err(_) => return,
        };
        for (sender, answer) in senders.into_iter().zip(answers) {
            // Who no longer waits needs no answer.
            let _ = sender.send(answer);
        }
    }

    pub(super) async fn prove_one(self: &Arc<Self>, reply: Reply) -> Answer {
        let proved = self.prove(vec![reply], EarlyTiles::default()).await?;
        proved.into_iter().next().unwrap_or_else(|| Err(self.merger.contention()))
    }

    /// Proves replies under one head, moves the trusted head to it, and stores tiles and records. The outer error concerns
    /// all of them: a tile is missing or wrong, or the database forked. Some of the tiles may be under way.
    pub(super) async fn prove(self: &Arc<Self>, replies: Vec<Reply>, mut early: EarlyTiles) -> Shared<Vec<Answer>> {
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
            let tiles = Box::pin(self.tiles.authentic(planned.plan(), &mut early)).await?;
            let (head, proved) = match planned.conclude(&tiles) {
                Ok(conclusion) => conclusion,
                Err(error) => return Err(failed(error).await),
            };
            // If every answer is wrong, nothing is stored, not even a consistent head.
            if !proved.iter().any(Result::is_ok) {
                return Ok(self.answers(&modules, proved).0);
            }
            if self.merger.advance(trusted, head.clone()).await? == Advance::Moved {
                continue;
            }
            if replies.iter().any(|reply| reply.shows(&head)) {
                self.merger.shown_again(head.size()).await?;
            }
            self.merger.was_shown_now();
            let (answers, bundles) = self.answers(&modules, proved);
            // Both are checked again whenever they are read, so the order does not matter.
            let (tiles, records) = tokio::join!(self.tiles.keep(&tiles), self.store_records(bundles));
            return tiles.and(records).map(|()| answers);
        }
        Err(self.merger.contention())
    }

    /// The answers, and the names and bundles of the proved records.
    fn answers(
        &self,
        modules: &[ModuleVersion],
        results: Vec<Result<Proved, LookupError>>,
    ) -> (Vec<Answer>, Vec<(String, String)>) {
        let mut bundles = Vec::new();
        let answers = modules.iter().zip(results).map(|(module, proved)| {
            let Proved { record, bundle } = proved.map_err(|error| self.failed(module, error))?;
            bundles.push((escaped(module), bundle));
            Ok(Arc::new(record))
        });
        (answers.collect(), bundles)
    }

    async fn store_records(&self, bundles: Vec<(String, String)>) -> Shared<()> {
        if bundles.len() < MANY {
            return blocking(&self.state, move |state| {
                state.set_records(&bundles);
                Ok(())
            })
            .await;
        }
        let state = Arc::clone(&self.state);
        self.writes.start(move || state.set_records(&bundles)).await;
        Ok(())
    }

    fn failed(&self, module: &ModuleVersion, error: LookupError) -> SumdbError {
        let database = &self.remote.database;
        match error {
            LookupError::WrongRecord(cause) => SumdbError::WrongRecord(database.asked_for(module), cause),
            cause => database.unverified(module, cause),
        }
    }
}
