//! Looks once a second for what happens apart from any single file: a database forked, or a source went down.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::sleep;

use super::pipeline::Pipeline;
use crate::base::lock::lock;
use crate::events::{Facts, Outcome, Recorder};
use crate::release::Context;

const EVERY: Duration = Duration::from_secs(1);

/// What was reported already, also while the settings are read again. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Watched(Arc<Mutex<Reported>>);

#[derive(Default)]
struct Reported {
    /// Names of databases.
    forked: BTreeSet<String>,
    /// Names of sources that are down since.
    down: BTreeSet<String>,
}

/// Looks until it is dropped.
pub(crate) struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Looks at the databases and the sources of `pipeline`, and records what is new.
    pub(crate) fn start(pipeline: &Pipeline, recorder: Recorder, watched: Watched) -> Self {
        let context = Arc::clone(&pipeline.context);
        let task = tokio::spawn(async move {
            loop {
                let (context, watched, recorder) = (Arc::clone(&context), watched.clone(), recorder.clone());
                // The evidence of a fork is a file. The work goes on if the settings are read again meanwhile.
                let look =
                    move || lock(&watched.0).look(&context, |facts| recorder.record(Arc::new(facts.bounded()), None));
                // If it panicked, the next look finds the same.
                let _ = spawn_blocking(look).await;
                sleep(EVERY).await;
            }
        });
        Self(task.abort_handle())
    }
}

impl Reported {
    /// Records what is new.
    fn look(&mut self, context: &Context, record: impl Fn(Facts)) {
        for client in context.expectations.databases.iter() {
            let (name, evidence) = (client.database().name().to_owned(), client.fork());
            if let Some(evidence) = evidence
                && !self.forked.contains(&name)
            {
                record(Facts {
                    outcome: Outcome::Fork,
                    database: Some(name.clone()),
                    evidence: Some(evidence.display().to_string()),
                    ..Facts::default()
                });
                self.forked.insert(name);
            }
        }
        let down = context.sources.down();
        self.down.retain(|name| down.iter().any(|source| source.name == *name));
        for source in down {
            if !self.down.contains(&source.name) {
                record(Facts {
                    outcome: Outcome::SourceDown,
                    source: Some(source.name.clone()),
                    reason: Some(source.why),
                    private: source.is_private,
                    ..Facts::default()
                });
                self.down.insert(source.name);
            }
        }
    }
}
