//! The report of a run as JSON. The schema is `sumgate/run/1`: fields are added, never changed.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Outcome;
use crate::finding::{Accepted, Finding};
use crate::release::ReleasedFile;
use gomodule::artifact::Kind;
use gomodule::module::ModuleVersion;

const SCHEMA: &str = "sumgate/run/1";

/// The report of a run.
pub fn report(outcome: &Outcome) -> Value {
    let released = outcome.events.released.iter().map(|(key, file)| released(key, file));
    let refused = outcome.events.refused.iter().map(|((module, kind), file)| {
        json!({
            "module": module.path.as_ref(),
            "version": module.version.as_ref(),
            "file": kind.extension(),
            "reason": file.reason,
            "code": file.code,
            "advice": file.advice,
            "quarantine": paths(&file.quarantine),
        })
    });
    let databases = outcome.databases.iter().map(|database| {
        json!({"name": database.name, "key": database.key, "head": database.head, "fork_evidence": database.fork.as_ref().map(|path| path.display().to_string())})
    });
    let unused = outcome.unused.iter().map(|exception| {
        json!({"line": exception.line(), "modules": exception.modules(), "expires": exception.expires().to_string()})
    });
    json!({
        "schema": SCHEMA,
        "command": outcome.command,
        "command_exit_code": outcome.ended.has_run().then(|| outcome.ended.code()),
        "seconds": outcome.took.as_secs_f64(),
        "upstream": outcome.upstream,
        "policy": outcome.policies.now.as_ref().map(|path| path.display().to_string()),
        "base_policy": outcome.policies.base.as_ref().map(|path| path.display().to_string()),
        "policy_warn": outcome.policies.warn,
        "databases": databases.collect::<Vec<_>>(),
        "kept_settings": outcome.kept.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>(),
        "removed_variables": outcome.removed.iter().map(|(name, why)| json!({"name": name, "why": why})).collect::<Vec<_>>(),
        "caches": outcome.caches,
        "programs": paths(&outcome.programs),
        "installed": paths(&outcome.installed),
        "findings": outcome.findings.iter().map(finding).collect::<Vec<_>>(),
        "accepted": outcome.accepted.iter().map(accepted).collect::<Vec<_>>(),
        "released": released.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "unused_exceptions": unused.collect::<Vec<_>>(),
        "not_listed": outcome.events.dropped,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code.name(),
        "severity": finding.severity().name(),
        // Any place; the field is older than findings about other places than programs.
        "program": finding.place.as_ref().map(ToString::to_string),
        "module": finding.module,
        "message": finding.message,
        "facts": finding.facts.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>(),
        "help": finding.advice(),
    })
}

fn accepted(accepted: &Accepted) -> Value {
    let by = &accepted.by;
    let mut value = finding(&accepted.finding);
    value["accepted"] = json!({"reason": by.reason, "expires": by.expires(), "place": by.place.to_string()});
    value
}

fn paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn released((module, kind): &(ModuleVersion, Kind), file: &ReleasedFile) -> Value {
    let mut value = json!({
        "module": module.path.as_ref(),
        "version": module.version.as_ref(),
        "file": kind.extension(),
        "h1": file.basis.h1().to_string(),
        "bytes": file.bytes,
        "source": file.source.to_string(),
        "proved": file.basis.record().is_some(),
    });
    if let Some(record) = file.basis.record() {
        value["record"] = json!(record.proven().id().get());
        value["database"] = json!(record.database());
        value["tree_size"] = json!(record.tree_size().get());
    }
    value
}
