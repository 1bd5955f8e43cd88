//! What was released and what was refused: as log lines, for the event log, and on request as a list.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use quick_cache::sync::Cache;
use tracing::field::{DisplayValue, display};

use super::basis::Basis;
use super::facts::{self, Why};
use super::obtain::ByteSource;
use crate::base::fault::in_full;
use crate::base::lock::lock;
use crate::base::request_context::{RequestContext, RequestId};
use crate::base::text::safe_joined;
use crate::events::{Facts, Outcome, Recorder, Tally};
use crate::store;
use crate::sumdb::looks_private;
use crate::telemetry::{CacheKind, Metrics};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Patterns};

/// More module files than any build has; further ones are in the log only, and [`Events::dropped`] counts them. Each list has
/// its own limit, so that releases cannot displace a refusal.
const MAX_KEPT: usize = 100_000;
/// Files whose quarantine is remembered for events about them: more than the quarantine has.
const MAX_CASES: usize = 100;

/// Receives the events. Cheap to clone; clones share the list.
#[derive(Clone, Default)]
pub(crate) struct EventLog {
    list: Option<Arc<EventList>>,
    recording: Option<Arc<Recording>>,
    metrics: Metrics,
}

struct Recording {
    recorder: Recorder,
    /// Modules that are private or exempt.
    private: Patterns,
    cases: Cache<(ModuleVersion, Kind), Vec<PathBuf>>,
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
    /// A log with a list. `on_refusal` is called at the first refusal of each file.
    pub(crate) fn with_list(on_refusal: fn(&RefusedFile)) -> Self {
        let list = Some(Arc::new(EventList { events: Mutex::default(), on_refusal }));
        Self { list, ..Self::default() }
    }

    /// A log that counts, and whose events go to `recorder`. Those of modules that match `private`, or look private, are marked.
    pub(crate) fn with_recorder(recorder: Recorder, private: Patterns, metrics: Metrics) -> Self {
        let recording = Recording { recorder, private, cases: Cache::new(MAX_CASES) };
        Self { list: None, recording: Some(Arc::new(recording)), metrics }
    }

    pub(crate) fn snapshot(&self) -> Events {
        let events = |list: &Arc<EventList>| lock(&list.events).clone();
        self.list.as_ref().map(events).unwrap_or_default()
    }

    /// What clients got lately, if it is counted.
    pub(crate) fn tally(&self) -> Option<&Tally> {
        self.recording.as_ref().map(|recording| recording.recorder.tally())
    }

    /// Whether the name of a module must not leave this machine. Without a recorder that is not known, so it must not.
    pub(crate) fn is_private(&self, path: &ModulePath, code: Option<&str>) -> bool {
        self.recording.as_ref().is_none_or(|recording| is_private(&recording.private, path, code))
    }

    /// The hash of a file was compared with the expected one.
    pub(super) fn compared(&self, is_right: bool) {
        self.metrics.compared(is_right);
    }

    /// A file was downloaded and proved.
    pub(super) fn downloaded(&self) {
        if let Some(recording) = &self.recording {
            recording.recorder.downloaded();
        }
    }

    /// A file was in the store, or had to be downloaded.
    pub(crate) fn stored(&self, is_hit: bool) {
        self.metrics.cache(CacheKind::Store, is_hit);
    }

    pub(super) fn quarantined(&self, artifact: &Artifact, case: PathBuf, found: &store::Facts) {
        if let Some(recording) = &self.recording {
            recording.quarantined(artifact, &case, found);
        }
        self.write(|events| {
            if events.quarantine.len() < MAX_KEPT {
                let cases = events.quarantine.entry((artifact.module.clone(), artifact.kind)).or_default();
                if !cases.contains(&case) {
                    cases.push(case);
                }
            }
        });
    }

    /// A file was released. Returns the facts for the next request of the same answer.
    pub(crate) fn released(
        &self,
        artifact: &Artifact,
        basis: &Basis,
        bytes: u64,
        source: &ByteSource,
        warnings: &[String],
        request: Option<&RequestContext>,
    ) -> Option<Arc<Facts>> {
        let (id, client) = ids(request);
        tracing::debug!(target: "events", %artifact, %basis, bytes, %source, request = id, client, "released");
        self.write(|events| {
            let file = ReleasedFile { basis: basis.clone(), bytes, source: source.clone() };
            events.dropped += usize::from(!insert(&mut events.released, artifact, file));
        });
        let Recording { recorder, private, .. } = &**self.recording.as_ref()?;
        let facts = facts::released(artifact, basis, bytes, source, is_private(private, &artifact.module.path, None));
        let facts = Arc::new(Facts { warnings: warnings.to_vec(), ..facts }.bounded());
        recorder.record(Arc::clone(&facts), request);
        Some(facts)
    }

    /// The answer with these facts was sent again.
    pub(crate) fn released_again(&self, facts: Arc<Facts>, request: Option<&RequestContext>) {
        if let Some(recording) = &self.recording {
            recording.recorder.record(facts, request);
        }
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

    /// A file was not released. Writes one log line with the whole cause.
    pub(crate) fn refused(&self, artifact: &Artifact, why: Why<'_>, is_absent: bool, asked: Option<&RequestContext>) {
        let (cause, (request, client)) = (safe_joined(&in_full(why.error)), ids(asked));
        match (why.refusal, is_absent) {
            (Some((code, _)), false) => {
                tracing::warn!(target: "events", %artifact, code, cause, request, client, "refused");
            }
            (None, false) => tracing::warn!(target: "events", %artifact, cause, request, client, "not released"),
            // `go` asks for every prefix of a path.
            (_, true) => tracing::debug!(target: "events", %artifact, cause, request, client, "absent"),
        }
        if let Some(recording) = self.recording.as_ref().filter(|_| !is_absent) {
            let cases = recording.cases.get(&(artifact.module.clone(), artifact.kind)).unwrap_or_default();
            let facts = facts::of(artifact, Outcome::Failed, false);
            recording.not_answered(facts, &artifact.module.path, &why, &cases, asked);
        }
        let (Some(list), Some((code, advice))) = (&self.list, why.refusal) else { return };
        let file = {
            let mut events = lock(&list.events);
            let key = (artifact.module.clone(), artifact.kind);
            let quarantine = events.quarantine.get(&key).cloned().unwrap_or_default();
            let file = RefusedFile { artifact: artifact.clone(), code, reason: in_full(why.error), advice, quarantine };
            let is_first = !events.refused.contains_key(&key);
            events.dropped += usize::from(!insert(&mut events.refused, artifact, file.clone()));
            is_first.then_some(file)
        };
        file.iter().for_each(list.on_refusal);
    }

    /// A request about a module, other than for such a file, was refused, or failed. `facts` say what was asked for.
    pub(crate) fn not_answered(&self, facts: Facts, path: &ModulePath, why: Why<'_>, request: &RequestContext) {
        if let Some(recording) = &self.recording {
            recording.not_answered(facts, path, &why, &[], Some(request));
        }
    }

    fn write(&self, write: impl FnOnce(&mut Events)) {
        if let Some(list) = &self.list {
            write(&mut lock(&list.events));
        }
    }
}

impl Recording {
    fn quarantined(&self, artifact: &Artifact, case: &Path, found: &store::Facts) {
        let key = (artifact.module.clone(), artifact.kind);
        let mut cases = self.cases.get(&key).unwrap_or_default();
        if !cases.iter().any(|known| known == case) {
            cases.push(case.to_owned());
            self.cases.insert(key, cases);
        }
        let is_private = is_private(&self.private, &artifact.module.path, None);
        self.recorder.record(Arc::new(facts::quarantined(artifact, case, found, is_private)), None);
    }

    fn not_answered(
        &self,
        facts: Facts,
        path: &ModulePath,
        why: &Why<'_>,
        quarantine: &[PathBuf],
        request: Option<&RequestContext>,
    ) {
        let facts = Facts { private: is_private(&self.private, path, why.code()), ..facts };
        self.recorder.record(Arc::new(facts::not_answered(facts, why, quarantine)), request);
    }
}

/// Whether the name of a module must not leave this machine.
fn is_private(private: &Patterns, path: &ModulePath, code: Option<&str>) -> bool {
    private.exempts(path) || looks_private(path) || matches!(code, Some("private-name" | "not-named"))
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
            log.released(&artifact(nth), &pinned, 1, &ByteSource::Disk, &[], None);
        }
        log.released(&artifact(0), &pinned, 1, &ByteSource::Upstream("again".into()), &[], None);
        let refused = artifact(MAX_KEPT + 1);
        let why = Why { error: &std::fmt::Error, refusal: Some(("no-hash", "take another version")), denial: None };
        log.refused(&refused, why, false, None);
        let events = log.snapshot();
        assert_eq!((events.released.len(), events.refused.len(), events.dropped), (MAX_KEPT, 1, 1));
    }
}
