//! Many lookups at once: all replies first, then one head for all of them, then each tile once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};

use super::error::{Answer, SumdbError};
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
        for batch in missing.chunks(MAX_BATCH) {
            answers.extend(self.fetch(batch).await);
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

    async fn fetch(&self, modules: &[ModuleVersion]) -> Vec<(ModuleVersion, Answer)> {
        if let Err(error) = self.prover.ready().await {
            return modules.iter().map(|module| (module.clone(), Err(Arc::clone(&error)))).collect();
        }
        let requests = stream::iter(modules).map(|module| async move {
            let reply = self.prover.reply(module, None).await;
            self.answered.fetch_add(1, Ordering::Relaxed);
            (module, reply)
        });
        let mut requests = std::pin::pin!(requests.buffer_unordered(self.at_once.max(1)));
        let (mut replies, mut answers) = (Vec::new(), Vec::new());
        while let Some((module, reply)) = requests.next().await {
            match reply {
                Ok(reply) => replies.push(reply),
                Err(error) => answers.push((module.clone(), Err(error))),
            }
        }
        answers.extend(self.prove(replies).await);
        answers
    }

    /// Proves all replies under one head. If a tile is missing or wrong, proves them one by one, so that only the modules
    /// under that tile fail.
    async fn prove(&self, replies: Vec<Reply>) -> Vec<(ModuleVersion, Answer)> {
        if replies.is_empty() {
            return Vec::new();
        }
        let modules: Vec<ModuleVersion> = replies.iter().map(|reply| reply.module().clone()).collect();
        match self.prover.prove(replies.clone()).await {
            Ok(proved) => modules.into_iter().zip(proved).collect(),
            Err(error) if matches!(*error, SumdbError::Fork(..)) || replies.len() == 1 => {
                modules.into_iter().map(|module| (module, Err(Arc::clone(&error)))).collect()
            }
            Err(_) => {
                let singly = replies.into_iter().map(|reply| self.prover.prove_one(reply));
                let proved: Vec<Answer> = stream::iter(singly).buffered(SINGLY_AT_ONCE).collect().await;
                modules.into_iter().zip(proved).collect()
            }
        }
    }
}
