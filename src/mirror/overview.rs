//! The state of the mirror for a reader: its databases and upstreams.

use std::time::{Duration, SystemTime};

use super::metadata::client_text::for_client;
use super::pipeline::Pipeline;
use crate::events::Counts;
use crate::sumdb::Client;
use crate::upstream::SourceState;
use gomodule::module::Patterns;

/// Points of a plot that is 340 pixels wide.
const MAX_POINTS: usize = 120;
const HOUR: u64 = 60;
const DAY: u64 = 24 * HOUR;

/// The state of the mirror.
pub(crate) struct Overview {
    pub(crate) databases: Vec<DatabaseState>,
    pub(crate) sources: Vec<SourceState>,
    pub(crate) is_offline: bool,
    /// The rules of the policy that only warn.
    pub(crate) warns: Option<String>,
    pub(crate) has_policy: bool,
    /// The patterns of exempt modules, if they may be shown.
    pub(crate) exempt: Patterns,
    /// There are exempt modules that are not shown.
    pub(crate) hides_exempt: bool,
    /// What clients got, if it is counted.
    pub(crate) activity: Option<Activity>,
}

/// What clients got in the last hour and day, and for how long it was counted.
pub(crate) struct Activity {
    pub(crate) hour: Counts,
    pub(crate) day: Counts,
    pub(crate) counted_for: Duration,
}

/// A checksum database, and its trusted head.
pub(crate) struct DatabaseState {
    pub(crate) name: String,
    /// Its value in GOSUMDB.
    pub(crate) for_go: String,
    /// The size and the root hash of its tree.
    pub(crate) head: Option<(u64, String)>,
    /// The sizes of the tree at the times at which it was observed. Both ascend.
    pub(crate) growth: Vec<(SystemTime, u64)>,
    /// For how long it has not been seen to show this head.
    pub(crate) seen_before: Option<Duration>,
    /// It has shown a head since the mirror started.
    pub(crate) is_shown: bool,
    /// The evidence file, if it signed two histories.
    pub(crate) fork: Option<String>,
}

impl Overview {
    pub(crate) fn of(pipeline: &Pipeline, with_private: bool) -> Self {
        let (context, now) = (&pipeline.context, pipeline.clock.now());
        let data = context.store.root();
        let mut sources = context.sources.states(with_private);
        for source in &mut sources {
            // It may quote what a server says of a private module.
            source.last_failure = if with_private { for_client(&source.last_failure, data) } else { String::new() };
        }
        let databases = context.expectations.databases.iter();
        let exempt = &context.expectations.exempt;
        Self {
            databases: databases.map(|client| DatabaseState::of(client, now.wall, data)).collect(),
            sources,
            is_offline: context.offline,
            warns: pipeline.warning_only(),
            has_policy: pipeline.policy().is_some(),
            exempt: if with_private { exempt.clone() } else { Patterns::default() },
            hides_exempt: !with_private && !exempt.is_empty(),
            activity: context.events.tally().map(|tally| Activity {
                hour: tally.last(now.steady, HOUR),
                day: tally.last(now.steady, DAY),
                counted_for: tally.age(now.steady),
            }),
        }
    }

    /// Whether new files can be released: no database has forked.
    pub(crate) fn is_healthy(&self) -> bool {
        self.databases.iter().all(|database| database.fork.is_none())
    }
}

impl DatabaseState {
    fn of(client: &Client, now: SystemTime, data: &std::path::Path) -> Self {
        let observed = client.last_observed().and_then(|at| now.duration_since(at).ok());
        Self {
            name: client.database().name().to_owned(),
            for_go: client.database().for_go(),
            head: client.trusted().map(|head| (head.size().get(), head.head().root.to_string())),
            growth: client.growth(MAX_POINTS),
            seen_before: observed,
            is_shown: client.has_shown_head(),
            fork: client.fork().map(|path| for_client(&path.display().to_string(), data)),
        }
    }
}
