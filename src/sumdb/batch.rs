//! Many lookups at once: all replies first, then one head for all of them, then each tile once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::error::{Answer, Shared, SumdbError};
use super::lookup::Reply;
use super::prover::Prover;
use crate::base::flight::Cancelled;
use gomodule::module::ModuleVersion;

/// Replies that are held before they are proved. A reply is about one kilobyte, at most 1 MiB (`tlog::limits`).
const MAX_BATCH: usize = 4096;
/// Stored proofs that one blocking task checks: about 10 ms of signature checks.
const DISK_CHUNK: usize = 64;
/// Concurrent proofs after a batch failed as a whole: enough to hide latency, few enough for a public service.
const SINGLY_AT_ONCE: usize = 16;
/// A batch may take any time, but ends when nothing arrives for this time: shorter than an exchange may take, because some of
/// many answers come sooner.
const SILENCE: Duration = Duration::from_secs(10);

pub(super) struct Batch<'a> {
    pub(super) prover: &'a Arc<Prover>,
    /// Concurrent requests.
    pub(super) at_once: usize,
    /// Counts the modules that have an answer.
    pub(super) answered: &'a AtomicUsize,
}

impl Batch<'_> {
    pub(super) async fn lookup(&self, modules: &[ModuleVersion]) -> Vec<Answer> {
        let mut answers: HashMap<ModuleVersion, Answer> = HashMap::new();
        let stored = self.stored(modules).await;
        self.answered.fetch_add(stored.len(), Ordering::Relaxed);
        answers.extend(stored);
        let mut missing: Vec<ModuleVersion> =
            modules.iter().filter(|module| !answers.contains_key(*module)).cloned().collect();
        missing.sort_unstable();
        missing.dedup();
        let mut lost = None;
        for batch in missing.chunks(MAX_BATCH) {
            if lost.is_none() {
                lost = self.fetch(batch, &mut answers).await.err();
            }
        }
        // The database cannot be reached: what has no answer by now gets none.
        if let Some(error) = lost {
            let unanswered = missing.into_iter().filter(|module| !answers.contains_key(module)).collect::<Vec<_>>();
            answers.extend(unanswered.into_iter().map(|module| (module, Err(Arc::clone(&error)))));
        }
        let cancelled = || Err(Arc::new(SumdbError::from(Cancelled)));
        modules.iter().map(|module| answers.get(module).cloned().unwrap_or_else(cancelled)).collect()
    }

    async fn stored(&self, modules: &[ModuleVersion]) -> Vec<(ModuleVersion, Answer)> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let chunks = modules.chunks(DISK_CHUNK).map(<[ModuleVersion]>::to_vec);
        let found = stream::iter(chunks.map(|chunk| self.prover.stored(chunk))).buffered(threads);
        found.collect::<Vec<_>>().await.into_iter().flatten().collect()
    }

    /// Requests and proves the records. After an error, modules without an answer get that error.
    async fn fetch(&self, modules: &[ModuleVersion], answers: &mut HashMap<ModuleVersion, Answer>) -> Shared<()> {
        let (remote, mut replies) = (self.prover.remote(), Vec::new());
        let requested = remote.unless_silent(SILENCE, self.request(modules, &mut replies, answers)).await;
        if !replies.is_empty() {
            answers.extend(self.prove(replies).await);
        }
        requested
    }

    /// Requests the records. Ends with the error if the database cannot be reached.
    async fn request(
        &self,
        modules: &[ModuleVersion],
        replies: &mut Vec<Reply>,
        answers: &mut HashMap<ModuleVersion, Answer>,
    ) -> Shared<()> {
        self.prover.ready().await?;
        let remote = self.prover.remote();
        let requests = stream::iter(modules).map(|module| async move {
            let before = remote.arrived();
            let reply = remote.exchange(self.prover.reply(module, None)).await;
            self.answered.fetch_add(1, Ordering::Relaxed);
            (module, reply, remote.arrived() == before)
        });
        let mut requests = std::pin::pin!(requests.buffer_unordered(self.at_once.max(1)));
        while let Some((module, reply, was_silent)) = requests.next().await {
            match reply {
                Ok(reply) => replies.push(reply),
                Err(error) if was_silent && error.is_lost() => return Err(error),
                Err(error) => {
                    answers.insert(module.clone(), Err(error));
                }
            }
        }
        Ok(())
    }

    /// Proves all replies under one head. If a tile is missing or wrong, proves them one by one, so that only the modules
    /// under that tile fail.
    async fn prove(&self, replies: Vec<Reply>) -> Vec<(ModuleVersion, Answer)> {
        let modules: Vec<ModuleVersion> = replies.iter().map(|reply| reply.module().clone()).collect();
        let remote = self.prover.remote();
        match remote.unless_silent(SILENCE, self.prover.prove(replies.clone())).await {
            Ok(proved) => modules.into_iter().zip(proved).collect(),
            Err(error) if matches!(*error, SumdbError::Fork(..)) || error.is_lost() || replies.len() == 1 => {
                modules.into_iter().map(|module| (module, Err(Arc::clone(&error)))).collect()
            }
            Err(_) => {
                let mut proved = Vec::new();
                let singly = async {
                    let singly = replies.into_iter().map(|reply| self.prover.prove_one(reply));
                    let mut singly = std::pin::pin!(stream::iter(singly).buffered(SINGLY_AT_ONCE));
                    while let Some(answer) = singly.next().await {
                        proved.push(answer);
                    }
                    Ok(())
                };
                let ended = remote.unless_silent(SILENCE, singly).await;
                let rest = ended.err().into_iter().flat_map(|error| std::iter::repeat(Err(error)));
                modules.into_iter().zip(proved.into_iter().chain(rest)).collect()
            }
        }
    }
}
