//! Many lookups at once: all replies first, then one head for all of them, then each tile once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::error::{Answer, Shared, SumdbError};
use super::lookup::Reply;
use super::prover::Prover;
use super::tiles::EarlyTiles;
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

/// Replies that are not proved yet, and tiles that prove them, under way.
#[derive(Default)]
struct Replies {
    replies: Vec<Reply>,
    early: EarlyTiles,
}

/// What became of a batch of requests.
#[derive(Default)]
struct Requested {
    replies: Replies,
    failed: Vec<(ModuleVersion, Answer)>,
    /// The database cannot be reached.
    lost: Option<Arc<SumdbError>>,
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
        // While one batch is proved, the next one is requested.
        let (mut lost, mut replies) = (None, Replies::default());
        for batch in missing.chunks(MAX_BATCH) {
            if lost.is_some() {
                break;
            }
            let (requested, proved) = tokio::join!(self.request(batch), self.prove(std::mem::take(&mut replies)));
            answers.extend(proved);
            answers.extend(requested.failed);
            (replies, lost) = (requested.replies, requested.lost);
        }
        answers.extend(self.prove(replies).await);
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

    /// Requests the records, and the tiles that prove them in every tree. Ends with an error if the database cannot be reached.
    async fn request(&self, modules: &[ModuleVersion]) -> Requested {
        let mut requested = Requested::default();
        let request = self.request_into(modules, &mut requested);
        requested.lost = self.prover.remote().unless_silent(SILENCE, request).await.err();
        requested
    }

    async fn request_into(&self, modules: &[ModuleVersion], requested: &mut Requested) -> Shared<()> {
        self.prover.ready().await?;
        let remote = self.prover.remote();
        let requests = stream::iter(modules).map(|module| async move {
            let before = remote.arrived();
            let reply = remote.exchange(self.prover.reply(module, None)).await;
            self.answered.fetch_add(1, Ordering::Relaxed);
            (module, reply, remote.arrived() == before)
        });
        let at_once = self.at_once.max(1);
        let mut requests = std::pin::pin!(requests.buffer_unordered(at_once).ready_chunks(at_once));
        while let Some(answers) = requests.next().await {
            let Replies { replies, early } = &mut requested.replies;
            let (before, mut lost) = (replies.len(), None);
            for (module, reply, was_silent) in answers {
                match reply {
                    Ok(reply) => replies.push(reply),
                    Err(error) if was_silent && error.is_lost() => lost = Some(error),
                    Err(error) => requested.failed.push((module.clone(), Err(error))),
                }
            }
            self.prover.request_early(early, &replies[before..]);
            if let Some(error) = lost {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Proves all replies under one head. If a tile is missing or wrong, proves them one by one, so that only the modules
    /// under that tile fail.
    async fn prove(&self, Replies { replies, early }: Replies) -> Vec<(ModuleVersion, Answer)> {
        if replies.is_empty() {
            return Vec::new();
        }
        let modules: Vec<ModuleVersion> = replies.iter().map(|reply| reply.module().clone()).collect();
        let remote = self.prover.remote();
        match remote.unless_silent(SILENCE, self.prover.prove(replies.clone(), early)).await {
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
