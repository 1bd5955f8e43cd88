//! The event log: what was released and what was refused, as log lines and, on request, as a list.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tracing::field::{DisplayValue, display};

use super::basis::Basis;
use super::error::Refusal;
use super::obtain::ByteSource;
use crate::base::fault::in_full;
use crate::base::lock::lock;
use crate::base::request_context::{RequestContext, RequestId};
use crate::base::text::safe_joined;
use crate::telemetry::{CacheKind, Metrics};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;

/// More module files than any build has; further ones are in the log only, and [`Events::dropped`] counts them. Each list has
/// its own limit, so that releases cannot displace a refusal.
const MAX_KEPT: usize = 100_000;

/// Receives the events. Cheap to clone; clones share the list.
#[derive(Clone, Default)]
pub(crate) struct EventLog {
    list: Option<Arc<EventList>>,
    metrics: Metrics,
}

struct EventList {
    events: Mutex<Events>,
    on_refusal: fn(&RefusedFile),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedFile {
    pub(crate) artifact: Artifact,
    /// The stable code, as in the header `X-Sumgate-Refused`.
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) advice: &'static str,
    pub(crate) quarantine: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReleasedFile {
    pub(crate) basis: Basis,
    pub(crate) bytes: u64,
    pub(crate) source: ByteSource,
}

/// The events, each file once.
#[derive(Clone, Debug, Default)]
pub struct Events {
    pub(crate) released: BTreeMap<(ModuleVersion, Kind), ReleasedFile>,
    pub(crate) refused: BTreeMap<(ModuleVersion, Kind), RefusedFile>,
    /// Released files with what rules of the policy that only warn say of them.
    pub(crate) warned: BTreeMap<(ModuleVersion, Kind), Vec<String>>,
    quarantine: BTreeMap<(ModuleVersion, Kind), Vec<PathBuf>>,
    /// Events over the limit of a list.
    pub(crate) dropped: usize,
}

impl EventLog {
    /// A log that counts.
    pub(crate) fn counting(metrics: Metrics) -> Self {
        Self { list: None, metrics }
    }

    /// A log with a list. `on_refusal` is called at the first refusal of each file.
    pub(crate) fn with_list(on_refusal: fn(&RefusedFile)) -> Self {
        Self { list: Some(Arc::new(EventList { events: Mutex::default(), on_refusal })), metrics: Metrics::default() }
    }

    pub(crate) fn snapshot(&self) -> Events {
        let events = |list: &Arc<EventList>| lock(&list.events).clone();
        self.list.as_ref().map(events).unwrap_or_default()
    }

    /// The hash of a file was compared with the expected one.
    pub(super) fn compared(&self, is_right: bool) {
        self.metrics.compared(is_right);
    }

    pub(super) fn quarantined(&self, artifact: &Artifact, case: PathBuf) {
        self.write(|events| {
            if events.quarantine.len() < MAX_KEPT {
                let cases = events.quarantine.entry((artifact.module.clone(), artifact.kind)).or_default();
                if !cases.contains(&case) {
                    cases.push(case);
                }
            }
        });
    }

    pub(crate) fn released(
        &self,
        artifact: &Artifact,
        basis: &Basis,
        bytes: u64,
        source: &ByteSource,
        request: Option<&RequestContext>,
    ) {
        self.metrics.cache(CacheKind::Store, *source == ByteSource::Disk);
        let (request, client) = ids(request);
        tracing::debug!(target: "events", %artifact, %basis, bytes, %source, request, client, "released");
        self.write(|events| {
            let file = ReleasedFile { basis: basis.clone(), bytes, source: source.clone() };
            events.dropped += usize::from(!insert(&mut events.released, artifact, file));
        });
    }

    /// A file was released, and rules of the policy that only warn say this of it. Writes a log line for each.
    pub(crate) fn warned(&self, artifact: &Artifact, warnings: &[String], request: Option<&RequestContext>) {
        if warnings.is_empty() {
            return;
        }
        let (request, client) = ids(request);
        for cause in warnings.iter().map(|warning| safe_joined(warning)) {
            tracing::warn!(target: "events", %artifact, cause, request, client, "released with a warning");
        }
        self.write(|events| events.dropped += usize::from(!insert(&mut events.warned, artifact, warnings.to_vec())));
    }

    /// A file was not released. `refusal` is set if the bytes, a rule or the database forbid the release, and `None` after a
    /// failure or absence. Writes one log line with the whole cause.
    pub(crate) fn refused(
        &self,
        artifact: &Artifact,
        error: &dyn Error,
        refusal: Option<Refusal>,
        is_absent: bool,
        request: Option<&RequestContext>,
    ) {
        let (cause, (request, client)) = (safe_joined(&in_full(error)), ids(request));
        match (refusal, is_absent) {
            (Some((code, _)), false) => {
                tracing::warn!(target: "events", %artifact, code, cause, request, client, "refused");
            }
            (None, false) => tracing::warn!(target: "events", %artifact, cause, request, client, "not released"),
            // `go` asks for every prefix of a path.
            (_, true) => tracing::debug!(target: "events", %artifact, cause, request, client, "absent"),
        }
        let (Some(list), Some((code, advice))) = (&self.list, refusal) else { return };
        let file = {
            let mut events = lock(&list.events);
            let key = (artifact.module.clone(), artifact.kind);
            let quarantine = events.quarantine.get(&key).cloned().unwrap_or_default();
            let file = RefusedFile { artifact: artifact.clone(), code, reason: in_full(error), advice, quarantine };
            let is_first = !events.refused.contains_key(&key);
            events.dropped += usize::from(!insert(&mut events.refused, artifact, file.clone()));
            is_first.then_some(file)
        };
        file.iter().for_each(list.on_refusal);
    }

    fn write(&self, write: impl FnOnce(&mut Events)) {
        if let Some(list) = &self.list {
            write(&mut lock(&list.events));
        }
    }
}

/// The id and the client of a request, as fields of a log line.
fn ids(request: Option<&RequestContext>) -> (Option<DisplayValue<&RequestId>>, Option<DisplayValue<&IpAddr>>) {
    (request.map(|request| display(&request.id)), request.map(|request| display(&request.client)))
}

/// Returns false if the list is full.
fn insert<V>(list: &mut BTreeMap<(ModuleVersion, Kind), V>, artifact: &Artifact, value: V) -> bool {
    let key = (artifact.module.clone(), artifact.kind);
    let has_room = list.len() < MAX_KEPT || list.contains_key(&key);
    if has_room {
        list.insert(key, value);
    }
    has_room
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn releases_cannot_displace_a_refusal() {
        let log = EventLog::with_list(|_| {});
        let artifact = |nth: usize| Artifact {
            module: ModuleVersion::parse(&format!("example.com/m@v1.0.{nth}")).unwrap(),
            kind: Kind::Zip,
        };
        let h1 = gomodule::dirhash::H1::parse("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap();
        let pinned = Basis::Pinned(h1);
        for nth in 0..=MAX_KEPT {
            log.released(&artifact(nth), &pinned, 1, &ByteSource::Disk, None);
        }
        log.released(&artifact(0), &pinned, 1, &ByteSource::Upstream("again".into()), None);
        let refused = artifact(MAX_KEPT + 1);
        log.refused(&refused, &std::fmt::Error, Some(("no-hash", "take another version")), false, None);
        let events = log.snapshot();
        assert_eq!((events.released.len(), events.refused.len(), events.dropped), (MAX_KEPT, 1, 1));
    }
}
