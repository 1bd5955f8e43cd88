//! The audit of a go.sum that a user pasted.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::audit::{Audit, Entry, go_sum_entries};
use crate::finding::{Code, Report};
use crate::mirror::Pipeline;
use gomodule::module::ModulePath;

/// The longest go.sum. That of a very large monorepo has one megabyte.
pub(super) const MAX_GO_SUM: usize = 1 << 20;
/// The most module versions of one audit. A go.sum of a megabyte has some 5,000.
pub(super) const MAX_VERSIONS: usize = 10_000;
/// Lookups of one audit at a time: half of what one `go` command may send, so that clients are not slowed.
const AT_ONCE: usize = 32;
/// How long an audit may take: ten thousand lookups of 0.1 s, 32 at a time, take half of it.
const AUDIT_TIME: Duration = Duration::from_secs(60);
/// The name of the text in findings.
const NAME: &str = "go.sum";
/// The name of the policy in findings.
const POLICY: &str = "policy";

/// What was found.
pub(super) struct Audited {
    pub(super) report: Report,
    /// Lines of modules that are exempt, or whose names are not sent to a database.
    pub(super) left_out: usize,
    /// Until the answer is written.
    _turn: OwnedSemaphorePermit,
}

/// Why a go.sum is not audited.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuditError {
    #[error(
        "the go.sum has {0} module versions: expected at most {MAX_VERSIONS}. Audit it in a terminal: sumgate audit"
    )]
    TooMany(usize),
    #[error("the audit took longer than {} s. Audit it in a terminal: sumgate audit", AUDIT_TIME.as_secs())]
    TooLong,
    #[error("the audit was not finished: {0}")]
    Cancelled(#[from] JoinError),
}

/// Audits the text of a go.sum against the databases of the mirror, and its policy. Holds the turn until it ends, also if the client
/// leaves. What takes milliseconds for a megabyte runs on a thread of its own.
pub(super) async fn audit(pipeline: &Pipeline, text: Bytes, turn: OwnedSemaphorePermit) -> Result<Audited, AuditError> {
    let (pipeline, runtime) = (pipeline.clone(), Handle::current());
    spawn_blocking(move || audited(&pipeline, &text, turn, &runtime)).await?
}

fn audited(
    pipeline: &Pipeline,
    text: &[u8],
    turn: OwnedSemaphorePermit,
    runtime: &Handle,
) -> Result<Audited, AuditError> {
    let mut entries = go_sum_entries(Path::new(NAME), text);
    let left_out = runtime.block_on(leave_out(pipeline, &mut entries));
    let expectations = pipeline.expectations();
    let audit = Audit {
        databases: expectations.databases.clone(),
        exempt: expectations.exempt.clone(),
        at_once: AT_ONCE,
        policy: pipeline.policy().map(|policy| (PathBuf::from(POLICY), policy.clone())),
        base_policy: None,
        now: pipeline.now(),
    };
    let wanted = audit.wanted(&entries).len();
    if wanted > MAX_VERSIONS {
        return Err(AuditError::TooMany(wanted));
    }
    let answered = AtomicUsize::new(0);
    let report = runtime.block_on(async { timeout(AUDIT_TIME, audit.run(&entries, &answered)).await });
    let mut report = report.map_err(|_| AuditError::TooLong)?;
    report.files = vec![PathBuf::from(NAME)];
    // The policy is for more than this file.
    report.findings.retain(|finding| finding.code != Code::UnusedException);
    report.put_worst_first();
    Ok(Audited { report, left_out, _turn: turn })
}

/// Removes the lines of modules about which no database is asked; returns how many.
async fn leave_out(pipeline: &Pipeline, entries: &mut Vec<Entry>) -> usize {
    let path = |entry: &Entry| match entry {
        Entry::Hash(found) => Some(found.module.path.clone()),
        _ => None,
    };
    let paths: HashSet<ModulePath> = entries.iter().filter_map(path).collect();
    let mut named = pipeline.may_name_which(paths).await;
    named.retain(|path| !pipeline.expectations().exempt.exempts(path) && !pipeline.expectations().withhold(path));
    let before = entries.len();
    entries.retain(|entry| path(entry).is_none_or(|path| named.contains(&path)));
    before - entries.len()
}
