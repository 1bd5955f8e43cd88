//! Version lists and the latest versions of modules, by `go list -m`. `go get` asks for all prefixes of a path at the same time:
//! one run answers for all of them, so that it reads their repository once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use super::clones::are_near;
use super::command::{GoCommand, Job};
use super::error::DirectError;
use crate::base::flight::{Cancelled, Flights};
use crate::base::lock::lock;
use gomodule::module::ModulePath;

/// The requests of one `go get` come within this time; a run of `go` takes longer.
const GATHERED_FOR: Duration = Duration::from_millis(30);
/// More than a path has elements, twice: each is asked for its list and its latest version.
const MAX_TOGETHER: usize = 32;

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

type Answers = HashMap<Asked, Result<Arc<Listed>, DirectError>>;

/// A question about a module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) module: ModulePath,
    /// The query is fixed, because an invalid one fails the whole run.
    pub(super) latest: bool,
}

impl Asked {
    fn word(&self) -> String {
        format!("{}{}", self.module, if self.latest { "@latest" } else { "" })
    }
}

/// One run for several questions.
#[derive(Debug)]
struct Batch {
    id: u64,
    asked: Vec<Asked>,
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
}

impl Listings {
    pub(super) fn new(go: Arc<GoCommand>) -> Self {
        Self { go, batches: Arc::default(), flights: Flights::default() }
    }

    /// The answer of a run that other requests share.
    pub(super) async fn ask(&self, asked: Asked) -> Result<Arc<Listed>, DirectError> {
        let id = lock(&self.batches).join(&asked);
        let this = self.clone();
        let flight = self.flights.join(id, || async move {
            let ending = Ending { batches: Arc::clone(&this.batches), id };
            tokio::time::sleep(GATHERED_FOR).await;
            let asked = lock(&ending.batches).close(id);
            run(&this.go, asked).await.map(Arc::new)
        });
        let answers = flight.await.map_err(|cancelled| DirectError::host("run", &cancelled))??;
        answers.get(&asked).cloned().unwrap_or_else(|| Err(DirectError::host("run", &Cancelled)))
    }
}

impl Batches {
    /// The batch that answers this question already, or one that may take it, or a new one.
    fn join(&mut self, asked: &Asked) -> u64 {
        let takes = |batch: &&mut Batch| {
            batch.is_open
                && batch.asked.len() < MAX_TOGETHER
                && batch.asked.iter().any(|other| are_near(&other.module, &asked.module))
        };
        if let Some(batch) = self.all.iter().find(|batch| batch.asked.contains(asked)) {
            return batch.id;
        }
        if let Some(batch) = self.all.iter_mut().find(takes) {
            batch.asked.push(asked.clone());
            return batch.id;
        }
        self.next += 1;
        self.all.push(Batch { id: self.next, asked: vec![asked.clone()], is_open: true });
        self.next
    }

    fn close(&mut self, id: u64) -> Vec<Asked> {
        let batch = self.all.iter_mut().find(|batch| batch.id == id);
        batch.map_or(Vec::new(), |batch| {
            batch.is_open = false;
            batch.asked.clone()
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

async fn run(go: &GoCommand, asked: Vec<Asked>) -> Result<Answers, DirectError> {
    let words: Vec<String> = asked.iter().map(Asked::word).collect();
    // With retracted versions, like a proxy: the client excludes them.
    let mut arguments = vec!["list", "-m", "-e", "-json", "-retracted"];
    if asked.iter().any(|one| !one.latest) {
        arguments.push("-versions");
    }
    arguments.extend(words.iter().map(String::as_str));
    // A run that reports errors of modules succeeds: a clone that is corrupt would not be noticed.
    let modules: Vec<ModulePath> = asked.iter().map(|one| one.module.clone()).collect();
    let job = Job { arguments: &arguments, modules: &modules, uses_clones: false };
    let run = go.run(&job, || ()).await?;
    // Removes the folder with the clone too, which blocks.
    let read = tokio::task::spawn_blocking(move || {
        let listed: Vec<Listed> = run.all_json()?;
        if listed.len() != asked.len() {
            return Err(run.failed(&format!("expected {} answers, found {}", asked.len(), listed.len())));
        }
        let answer = |one: Listed| match &one.error {
            Some(ListError { err }) => Err(run.failed(err)),
            None => Ok(Arc::new(one)),
        };
        Ok(asked.into_iter().zip(listed.into_iter().map(answer)).collect())
    });
    read.await.map_err(|_| DirectError::host("read the output of go", &Cancelled))?
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_prefixes_of_one_path_share_a_run() {
        let asked = |path: &str, latest| Asked { module: path.parse().unwrap(), latest };
        let mut batches = Batches::default();
        let first = batches.join(&asked("a.example/x/y", false));
        assert_eq!(batches.join(&asked("a.example/x", false)), first);
        assert_eq!(batches.join(&asked("a.example/x/y/z", true)), first);
        let other = batches.join(&asked("b.example/x", false));
        assert!(other != first, "a host that hangs delays its own modules only");
        assert_eq!(batches.close(first).len(), 3);
        assert_eq!(batches.join(&asked("a.example/x", false)), first, "it is under way");
        let next = batches.join(&asked("a.example/x", true));
        assert!(next != first && next != other, "too late for the first");
        for nth in 1..MAX_TOGETHER {
            assert_eq!(batches.join(&asked(&format!("a.example/x/m{nth}"), false)), next);
        }
        assert!(batches.join(&asked("a.example/x/more", false)) != next, "it is full");
    }
}
