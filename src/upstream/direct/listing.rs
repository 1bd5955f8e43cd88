//! What versions modules have, by `go list -m`. `go get` asks for all prefixes of a path at the same time, first for their lists or
//! a version, and then for what that leads to: one run answers all of it, so that it reads their repository once, as `go` does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use super::clones::are_near;
use super::command::{GoCommand, Job, ReadFrom};
use super::error::DirectError;
use super::kept::Stamp;
use crate::base::clock::Clock;
use crate::base::flight::{Cancelled, Flights};
use crate::base::lock::lock;
use crate::base::recent::Recent;
use gomodule::module::{ModulePath, ModuleVersion};

/// The requests of one `go get` come within this time; a run of `go` takes longer.
const GATHERED_FOR: Duration = Duration::from_millis(30);
/// More than a path has elements.
const MAX_TOGETHER: usize = 16;
/// `go get` asks for `@latest` when it has the list, and for the files when it has the version: within a second or two.
const READ_FOR: Duration = Duration::from_secs(5);
/// How long a path counts as a readable repository, or as none.
const READABLE_FOR: Duration = Duration::from_secs(10);
/// Cached answers to whether a path is a readable repository: about 150 bytes each.
const MAX_READABLE: usize = 1000;
/// Cached lists. The largest known one is below 1 MB.
const MAX_LISTS: usize = 64;
/// Cached latest versions: below 1 kB each.
const MAX_LATEST: usize = 1000;
/// Versions that are remembered as read: about 200 bytes each.
const MAX_READ: usize = 1000;

/// The output of `go list -m -json` for one module.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Listed {
    pub(super) version: String,
    pub(super) time: Option<String>,
    pub(super) versions: Vec<String>,
    error: Option<ListError>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListError {
    err: String,
}

type Found = Result<Arc<Listed>, DirectError>;
type Answers = HashMap<ModulePath, Answer>;

/// What a run found out about a module.
#[derive(Clone, Debug)]
struct Answer {
    list: Found,
    latest: Found,
    /// The answer to the query, if there was one.
    query: Option<Found>,
}

/// What is asked about all modules of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// The list and the latest version.
    Latest,
    /// A query or version, and the same: `go get` asks for them next, because of retractions. An invalid query fails the whole run.
    Query(String),
}

/// One run for several modules.
#[derive(Debug)]
struct Batch {
    id: u64,
    asked: Asked,
    modules: Vec<ModulePath>,
    is_open: bool,
}

#[derive(Debug, Default)]
struct Batches {
    next: u64,
    /// At most as many as requests.
    all: Vec<Batch>,
}

#[derive(Clone)]
pub(super) struct Listings {
    go: Arc<GoCommand>,
    batches: Arc<Mutex<Batches>>,
    flights: Flights<u64, Result<Arc<Answers>, DirectError>>,
    /// Whether a path is a readable repository, cached because `go get` asks for every prefix.
    readable: Arc<Recent<ModulePath, bool>>,
    lists: Arc<Recent<ModulePath, Arc<Listed>>>,
    latest: Arc<Recent<ModulePath, Found>>,
    /// The versions that are in the clones of a run of a moment ago, and what [`Stamp::read`] told before the run.
    read: Arc<Recent<ModuleVersion, Stamp>>,
}

impl Listings {
    pub(super) fn new(go: Arc<GoCommand>, clock: Clock) -> Self {
        let readable = Arc::new(Recent::new(MAX_READABLE, READABLE_FOR, clock));
        let lists = Arc::new(Recent::new(MAX_LISTS, READ_FOR, clock));
        let latest = Arc::new(Recent::new(MAX_LATEST, READ_FOR, clock));
        let read = Arc::new(Recent::new(MAX_READ, READ_FOR, clock));
        Self { go, batches: Arc::default(), flights: Flights::default(), readable, lists, latest, read }
    }

    /// The list, of a run that other requests share, or of one a moment ago that was for something else. The same question is
    /// not answered twice by one run, because the mirror decides how long an answer is fresh.
    pub(super) async fn list(&self, module: &ModulePath) -> Found {
        if let Some(list) = self.lists.take(module) {
            return Ok(list);
        }
        let list = self.newest(module).await?.list;
        self.lists.take(module);
        list
    }

    /// The latest version, in the same way.
    pub(super) async fn latest(&self, module: &ModulePath) -> Found {
        if let Some(latest) = self.latest.take(module) {
            return latest;
        }
        let latest = self.newest(module).await?.latest;
        self.latest.take(module);
        latest
    }

    pub(super) async fn is_readable(&self, module: &ModulePath) -> bool {
        if let Some(known) = self.readable.get(module) {
            return known;
        }
        let readable = self.list(module).await.is_ok();
        self.readable.insert(module.clone(), readable);
        readable
    }

    async fn newest(&self, module: &ModulePath) -> Result<Answer, DirectError> {
        self.ask(module, Asked::Latest).await?.ok_or_else(|| DirectError::host("run", &Cancelled))
    }

    /// The answer to a query or version, if it is asked for other prefixes of the path too: then `go get` asks, and will ask for
    /// the newest versions next. `None` if it is asked for this module alone.
    pub(super) async fn query(&self, module: &ModulePath, query: &str) -> Result<Option<Arc<Listed>>, DirectError> {
        let answer = self.ask(module, Asked::Query(query.to_owned())).await?;
        answer.and_then(|answer| answer.query).transpose()
    }

    /// Whether the clones that are kept have this version, as the repository was a moment ago.
    pub(super) fn has_read(&self, version: &ModuleVersion, stamp: &Stamp) -> bool {
        self.read.get(version).is_some_and(|read| read == *stamp)
    }

    async fn ask(&self, module: &ModulePath, asked: Asked) -> Result<Option<Answer>, DirectError> {
        let id = lock(&self.batches).join(module, &asked);
        let this = self.clone();
        let flight = self.flights.join(id, || async move {
            let ending = Ending { batches: Arc::clone(&this.batches), id };
            tokio::time::sleep(GATHERED_FOR).await;
            let modules = lock(&ending.batches).close(id);
            if modules.len() == 1 && asked != Asked::Latest {
                return Ok(Arc::default());
            }
            this.run(id, modules, &asked).await.map(Arc::new)
        });
        let answers = flight.await.map_err(|cancelled| DirectError::host("run", &cancelled))??;
        Ok(answers.get(module).cloned())
    }

    async fn run(&self, id: u64, modules: Vec<ModulePath>, asked: &Asked) -> Result<Answers, DirectError> {
        let stamp = self.go.stamp();
        let words: Vec<String> = modules.iter().flat_map(|module| asked.words(module)).collect();
        // With retracted versions, like a proxy: the client excludes them.
        let mut arguments = vec!["list", "-m", "-e", "-json", "-retracted", "-versions"];
        arguments.extend(words.iter().map(String::as_str));
        // A run that reports errors of modules succeeds: a clone that is corrupt would not be noticed.
        let job = Job { arguments: &arguments, modules: &modules, from: ReadFrom::Host };
        let run = self.go.run(&job, || self.flights.keep(&id)).await?;
        let has_query = *asked != Asked::Latest;
        // Removes the folder with the clone too, which blocks.
        let read = tokio::task::spawn_blocking(move || {
            let listed: Vec<Listed> = run.all_json()?;
            if listed.len() != words.len() {
                return Err(run.failed(&format!("expected {} answers, found {}", words.len(), listed.len())));
            }
            let mut found = listed.into_iter().map(|one| match &one.error {
                Some(ListError { err }) => Err(run.failed(err)),
                None => Ok(Arc::new(one)),
            });
            let mut answers = Answers::new();
            for module in modules {
                if let (Some(list), Some(latest)) = (found.next(), found.next()) {
                    let query = if has_query { found.next() } else { None };
                    answers.insert(module, Answer { list, latest, query });
                }
            }
            Ok(answers)
        });
        let answers: Answers = read.await.map_err(|_| DirectError::host("read the output of go", &Cancelled))??;
        self.remember(&answers, &stamp);
        Ok(answers)
    }

    fn remember(&self, answers: &Answers, stamp: &Stamp) {
        for (module, answer) in answers {
            self.readable.insert(module.clone(), answer.list.is_ok());
            // A failure is tried again.
            if let Ok(list) = &answer.list {
                self.lists.insert(module.clone(), Arc::clone(list));
                // That there is no latest version is an answer.
                if matches!(&answer.latest, Ok(_) | Err(DirectError::Absent(_))) {
                    self.latest.insert(module.clone(), answer.latest.clone());
                }
            }
            for listed in [Some(&answer.latest), answer.query.as_ref()].into_iter().flatten().flatten() {
                if let Ok(version) = listed.version.parse() {
                    self.read.insert(ModuleVersion { path: module.clone(), version }, stamp.clone());
                }
            }
        }
    }
}

impl Asked {
    /// The arguments of `go` for a module, in the order of the fields of [`Answer`].
    fn words(&self, module: &ModulePath) -> Vec<String> {
        let mut words = vec![module.to_string(), format!("{module}@latest")];
        if let Self::Query(query) = self {
            words.push(format!("{module}@{query}"));
        }
        words
    }
}

impl Batches {
    /// The batch that answers this question already, or one that may take it, or a new one.
    fn join(&mut self, module: &ModulePath, asked: &Asked) -> u64 {
        let takes = |batch: &&mut Batch| {
            batch.is_open
                && batch.asked == *asked
                && batch.modules.len() < MAX_TOGETHER
                && batch.modules.iter().any(|other| are_near(other, module))
        };
        if let Some(batch) = self.all.iter().find(|batch| batch.asked == *asked && batch.modules.contains(module)) {
            return batch.id;
        }
        if let Some(batch) = self.all.iter_mut().find(takes) {
            batch.modules.push(module.clone());
            return batch.id;
        }
        self.next += 1;
        self.all.push(Batch { id: self.next, asked: asked.clone(), modules: vec![module.clone()], is_open: true });
        self.next
    }

    fn close(&mut self, id: u64) -> Vec<ModulePath> {
        let batch = self.all.iter_mut().find(|batch| batch.id == id);
        batch.map_or(Vec::new(), |batch| {
            batch.is_open = false;
            batch.modules.clone()
        })
    }
}

/// Removes a batch when its run has ended, or was dropped.
struct Ending {
    batches: Arc<Mutex<Batches>>,
    id: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        lock(&self.batches).all.retain(|batch| batch.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_prefixes_of_one_path_share_a_run() {
        let mut batches = Batches::default();
        let mut join = |path: &str, asked: &Asked| batches.join(&path.parse().unwrap(), asked);
        let (latest, main) = (Asked::Latest, Asked::Query("main".to_owned()));
        let first = join("a.example/x/y", &latest);
        assert_eq!(join("a.example/x", &latest), first);
        assert_eq!(join("a.example/x/y/z", &latest), first);
        assert!(join("a.example/x", &main) != first, "an invalid query fails its own run only");
        let other = join("b.example/x", &latest);
        assert!(other != first, "a host that hangs delays its own modules only");
        assert_eq!(batches.close(first).len(), 3);
        let mut join = |path: &str| batches.join(&path.parse().unwrap(), &latest);
        assert_eq!(join("a.example/x"), first, "it is under way");
        let next = join("a.example/x/new");
        assert!(next != first && next != other, "too late for the first");
        for nth in 1..MAX_TOGETHER {
            assert_eq!(join(&format!("a.example/x/new/m{nth}")), next);
        }
        assert!(join("a.example/x/new/more") != next, "it is full");
    }
}
