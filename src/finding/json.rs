//! JSON for programs: one document of schema `sumgate/audit/1`. Fields may be added, but are never changed or removed.

use serde_json::{Value, json};

use super::{Finding, Place, RenderOptions, Report, Unaudited};

/// The JSON Schema (draft 2020-12) of the document.
pub const SCHEMA: &str = include_str!("audit.schema.json");

pub(super) fn render(report: &Report, options: RenderOptions) -> String {
    let policies = report.policies.clone().unwrap_or_default();
    let document = json!({
        "schema": "sumgate/audit/1",
        "version": env!("CARGO_PKG_VERSION"),
        "ending": report.ending(options.deny),
        "deny": options.deny.name(),
        "files": report.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "base": report.base.iter().map(|base| {
            json!({"work_tree": base.work_tree.display().to_string(), "commit": base.commit})
        }).collect::<Vec<_>>(),
        "excluded": report.excluded.iter().map(|(path, why)| {
            json!({"path": path.display().to_string(), "reason": why})
        }).collect::<Vec<_>>(),
        "proved": report.proved,
        "database": report.database.as_ref().map(|tree| {
            json!({"name": tree.name, "tree_size": tree.size, "current": tree.is_current})
        }),
        "policy": policies.now.map(|path| path.display().to_string()),
        "base_policy": policies.base.map(|path| path.display().to_string()),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "skipped": report.skipped.iter().map(unaudited).collect::<Vec<_>>(),
        "unchecked": report.unchecked.iter().map(unaudited).collect::<Vec<_>>(),
        "misbehaviour": report.misbehaviour.as_ref().map(|one| {
            json!({"message": one.message, "evidence": one.evidence.display().to_string()})
        }),
    });
    format!("{document:#}\n")
}

fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code.name(),
        "severity": finding.severity().name(),
        "apart": finding.apart,
        "place": finding.place.as_ref().map(place),
        "module": finding.module,
        "message": finding.message,
        "facts": finding.facts.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>(),
        "meaning": finding.code.meaning(),
        "help": finding.advice(),
    })
}

fn place(place: &Place) -> Value {
    json!({"file": place.file.display().to_string(), "line": place.line})
}

fn unaudited(line: &Unaudited) -> Value {
    json!({"place": place(&line.place), "module": line.module, "reason": line.reason})
}
