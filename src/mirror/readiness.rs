//! Whether the mirror can do its work: its disk takes files, no database is forked, and no trusted head is too old.
//!
//! Nothing runs in the background: a mirror that nobody watches asks no database. A look at the readiness asks for a newer head
//! before the present one is too old.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::pipeline::Pipeline;
use crate::base::clock::Clock;
use crate::base::duration;
use crate::base::lock::lock;
use crate::release::Context;
use crate::store::DiskState;
use crate::sumdb::Client;
use crate::telemetry::DatabaseGauges;

/// How long one look counts: probes of a load balancer and scrapes come every few seconds from several machines.
const LOOK_FOR: Duration = Duration::from_secs(1);
/// A disk of the network may hang, and a database be silent: the answer must come within 5 seconds.
const WAIT: Duration = Duration::from_secs(2);
/// The shortest time between two requests for a head.
const ASK_AGAIN: Duration = Duration::from_secs(15);

pub(crate) struct Readiness {
    clock: Clock,
    max_head_age: Duration,
    looking: tokio::sync::Mutex<Looking>,
    asked: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Looking {
    /// It is not started again while it hangs.
    running: Option<JoinHandle<OnDisk>>,
    last: Option<(Instant, OnDisk)>,
}

/// What only the disk knows.
#[derive(Clone, Debug)]
struct OnDisk {
    state: DiskState,
    /// The evidence against each forked database.
    forks: BTreeMap<String, PathBuf>,
}

/// What a look found.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Why the mirror is not ready, in lines; empty if it is.
    pub(crate) reasons: Vec<String>,
    pub(crate) databases: Vec<DatabaseGauges>,
    pub(crate) disk: DiskState,
}

impl OnDisk {
    /// Blocks.
    fn probe(context: &Context) -> Self {
        let of = |client: &Client| Some((client.database().name().to_owned(), client.fork()?));
        Self { state: context.store.probe(), forks: context.expectations.databases.iter().filter_map(of).collect() }
    }
}

impl Readiness {
    pub(crate) fn new(max_head_age: Duration, clock: Clock) -> Self {
        Self { clock, max_head_age, looking: tokio::sync::Mutex::default(), asked: Mutex::default() }
    }

    pub(super) async fn look(&self, pipeline: &Pipeline) -> State {
        let OnDisk { state: disk, forks } = self.on_disk(pipeline).await;
        if !pipeline.context.offline {
            self.renew_heads(pipeline).await;
        }
        let mut reasons: Vec<String> = disk.trouble.clone().into_iter().collect();
        let mut databases = Vec::new();
        for client in pipeline.context.expectations.databases.iter() {
            let (name, age) = (client.database().name(), client.head_age());
            let forked = forks.get(name);
            if let Some(evidence) = forked {
                reasons.push(format!(
                    "the database {name} signed two histories: nothing new is released, the evidence is in {}",
                    evidence.display()
                ));
            } else if !pipeline.context.offline {
                reasons.extend(self.too_old(client, age));
            }
            let tree_size = client.trusted_size().map_or(0, tlog::TreeSize::get);
            databases.push(DatabaseGauges {
                name: name.to_owned(),
                tree_size,
                head_age: (!pipeline.context.offline).then_some((age, self.max_head_age)),
                is_forked: forked.is_some(),
            });
        }
        State { reasons, databases, disk }
    }

    fn too_old(&self, client: &Client, age: Duration) -> Option<String> {
        let name = client.database().name();
        if client.trusted_size().is_none() {
            return Some(format!("the database {name} has shown no tree head yet: check its address and the network"));
        }
        (age > self.max_head_age).then(|| {
            let (age, max) = (duration::shown(age), duration::shown(self.max_head_age));
            format!(
                "the database {name} has shown no tree head for {age}, and --max-head-age is {max}: check the network"
            )
        })
    }

    async fn on_disk(&self, pipeline: &Pipeline) -> OnDisk {
        let mut looking = self.looking.lock().await;
        let Looking { running, last } = &mut *looking;
        if let Some((when, state)) = last
            && self.clock.steady() - *when < LOOK_FOR
        {
            return state.clone();
        }
        let context = Arc::clone(&pipeline.context);
        let probe = running.get_or_insert_with(|| tokio::task::spawn_blocking(move || OnDisk::probe(&context)));
        let found = match timeout(WAIT, probe).await {
            Ok(found) => {
                *running = None;
                found.ok()
            }
            Err(_) => None,
        };
        let silent = || {
            let trouble = format!("the disk of the data folder did not answer within {} s", WAIT.as_secs());
            let state = DiskState { trouble: Some(trouble), room: None, quarantine: None };
            // A fork remains one.
            OnDisk { state, forks: last.iter().flat_map(|(_, found)| found.forks.clone()).collect() }
        };
        let found = found.unwrap_or_else(silent);
        *last = Some((self.clock.steady(), found.clone()));
        found
    }

    /// Asks the databases for newer heads once one has a quarter of the allowed age. Waits for them only if one is missing or too old.
    async fn renew_heads(&self, pipeline: &Pipeline) {
        let databases = &pipeline.context.expectations.databases;
        let is_due = |client: &&Client| client.trusted_size().is_none() || client.head_age() > self.max_head_age / 4;
        let due: Vec<Client> = databases.iter().filter(is_due).cloned().collect();
        if due.is_empty() || !self.may_ask() {
            return;
        }
        let is_late = |client: &Client| client.trusted_size().is_none() || client.head_age() > self.max_head_age;
        let waits = due.iter().any(is_late);
        let asked = tokio::spawn(async move {
            for client in due {
                if let Err(error) = client.refresh().await {
                    tracing::warn!(database = client.database().name(), cause = %error, "no newer tree head");
                }
            }
        });
        if waits {
            // It goes on after that.
            let _ = timeout(WAIT, asked).await;
        }
    }

    fn may_ask(&self) -> bool {
        let (now, pause) = (self.clock.steady(), ASK_AGAIN.min(self.max_head_age / 4));
        let mut asked = lock(&self.asked);
        let may = asked.is_none_or(|then| now - then >= pause);
        if may {
            *asked = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::store::Store;
    use crate::sumdb::{Anchor, Database};
    use crate::upstream::HttpClient;

    #[test]
    fn a_head_may_be_as_old_as_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let database = Database::parse("sum.golang.org").unwrap();
        let client = Client::open(database, &store, &Anchor::BuiltIn, &HttpClient::offline(), Clock::System).unwrap();
        let (readiness, hour) = (Readiness::new(Duration::from_secs(3600), Clock::System), Duration::from_secs(3600));
        assert_eq!(readiness.too_old(&client, hour), None);
        let reason = readiness.too_old(&client, hour + Duration::from_secs(1)).unwrap();
        assert!(reason.contains("for 1h 1s") && reason.contains("--max-head-age is 1h"), "{reason}");
    }
}
