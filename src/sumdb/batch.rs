//! Many lookups at once: all replies first, then one head for all of them, then each tile once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};

use super::attested::Answer;
use super::error::SumdbError;
use super::lookup::Reply;
use super::prover::Prover;
use gomodule::module::ModuleVersion;

/// Replies that are held before they are proved. A reply is about one kilobyte, at most 1 MiB (`tlog::limits`).
const MAX_BATCH: usize = 4096;
/// Proofs kept on disk that one thread checks before the next task: about 10 ms of signatures.
const DISK_CHUNK: usize = 64;
/// Replies proved one by one after a batch failed as a whole: enough to hide the network, few enough to stay polite.
const SINGLY_AT_ONCE: usize = 16;

pub(super) struct Batch<'a> {
    pub(super) prover: &'a Arc<Prover>,
    /// Questions at a time.
    pub(super) at_once: usize,
    pub(super) answered: &'a AtomicUsize,
}

impl Batch<'_> {
    pub(super) async fn lookup(&self, modules: &[ModuleVersion]) -> Vec<Answer> {
        let mut answers: HashMap<ModuleVersion, Answer> = HashMap::new();
        let kept = self.kept(modules).await;
        self.answered.fetch_add(kept.len(), Ordering::Relaxed);
        answers.extend(kept);
        let mut absent: Vec<ModuleVersion> =
            modules.iter().filter(|module| !answers.contains_key(*module)).cloned().collect();
        absent.sort_unstable();
        absent.dedup();
        for batch in absent.chunks(MAX_BATCH) {
            answers.extend(self.fetch(batch).await);
        }
        let broken_off = || Err(Arc::new(SumdbError::Cancelled("it has no answer".to_owned())));
        modules.iter().map(|module| answers.get(module).cloned().unwrap_or_else(broken_off)).collect()
    }

    async fn kept(&self, modules: &[ModuleVersion]) -> Vec<(ModuleVersion, Answer)> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let chunks = modules.chunks(DISK_CHUNK).map(<[ModuleVersion]>::to_vec);
        let found = stream::iter(chunks.map(|chunk| self.prover.kept_of(chunk))).buffered(threads);
        found.collect::<Vec<_>>().await.into_iter().flatten().collect()
    }

    async fn fetch(&self, modules: &[ModuleVersion]) -> Vec<(ModuleVersion, Answer)> {
        if let Err(error) = self.prover.ready().await {
            return modules.iter().map(|module| (module.clone(), Err(Arc::clone(&error)))).collect();
        }
        let asked = stream::iter(modules).map(|module| async move {
            let reply = self.prover.reply(module, None).await;
            self.answered.fetch_add(1, Ordering::Relaxed);
            (module, reply)
        });
        let mut asked = std::pin::pin!(asked.buffer_unordered(self.at_once.max(1)));
        let (mut replies, mut answers) = (Vec::new(), Vec::new());
        while let Some((module, reply)) = asked.next().await {
            match reply {
                Ok(reply) => replies.push(reply),
                Err(error) => answers.push((module.clone(), Err(error))),
            }
        }
        answers.extend(self.prove(replies).await);
        answers
    }

    /// All under one head; if that fails for a tile that did not come or does not fit, one by one, so that only the
    /// modules under that tile go without.
    async fn prove(&self, replies: Vec<Reply>) -> Vec<(ModuleVersion, Answer)> {
        if replies.is_empty() {
            return Vec::new();
        }
        let modules: Vec<ModuleVersion> = replies.iter().map(|reply| reply.module().clone()).collect();
        match self.prover.prove(replies.clone()).await {
            Ok(proved) => modules.into_iter().zip(proved).collect(),
            Err(error) if matches!(*error, SumdbError::Fork { .. }) || replies.len() == 1 => {
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
