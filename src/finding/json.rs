//! JSON for programs: one document of schema `sumgate/audit/1`. Fields may be added, but are never changed or removed.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::each::Each;
use super::{Accepted, Ending, Finding, Place, RenderOptions, Report, Unaudited};

/// The JSON Schema (draft 2020-12) of the document.
pub const SCHEMA: &str = include_str!("audit.schema.json");

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    ending: Ending,
    deny: &'static str,
    files: Vec<String>,
    base: Vec<Value>,
    excluded: Vec<Value>,
    proved: usize,
    database: Option<Value>,
    policy: Option<String>,
    base_policy: Option<String>,
    policy_warn: Option<String>,
    findings: Each<'a, Finding>,
    accepted: Each<'a, Accepted>,
    skipped: Each<'a, Unaudited>,
    unchecked: Each<'a, Unaudited>,
    misbehaviour: Option<Value>,
}

pub(super) fn write(report: &Report, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    let policies = report.policies.clone().unwrap_or_default();
    let base = report
        .base
        .iter()
        .map(|base| json!({"work_tree": base.work_tree.display().to_string(), "commit": base.commit}));
    let excluded = report.excluded.iter().map(|(path, why)| json!({"path": path.display().to_string(), "reason": why}));
    let document = Document {
        schema: "sumgate/audit/1",
        version: env!("CARGO_PKG_VERSION"),
        ending: report.ending(options.deny),
        deny: options.deny.name(),
        files: report.files.iter().map(|file| file.display().to_string()).collect(),
        base: base.collect(),
        excluded: excluded.collect(),
        proved: report.proved,
        database: report
            .database
            .as_ref()
            .map(|tree| json!({"name": tree.name, "tree_size": tree.size, "current": tree.is_current})),
        policy: policies.now.map(|path| path.display().to_string()),
        base_policy: policies.base.map(|path| path.display().to_string()),
        policy_warn: policies.warn,
        findings: Each { items: &report.findings, value: &finding },
        accepted: Each { items: &report.accepted, value: &accepted },
        skipped: Each { items: &report.skipped, value: &unaudited },
        unchecked: Each { items: &report.unchecked, value: &unaudited },
        misbehaviour: report
            .misbehaviour
            .as_ref()
            .map(|one| json!({"message": one.message, "evidence": one.evidence.display().to_string()})),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code.name(),
        "severity": finding.severity().name(),
        "apart": finding.apart,
        "place": finding.place.as_ref().map(place),
        "also": finding.also.iter().map(place).collect::<Vec<_>>(),
        "module": finding.module,
        "message": finding.message,
        "facts": finding.facts.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>(),
        "meaning": finding.code.meaning(),
        "help": finding.advice(),
    })
}

fn accepted(accepted: &Accepted) -> Value {
    let mut value = finding(&accepted.finding);
    let by = &accepted.by;
    value["accepted"] = json!({
        "reason": by.reason,
        "expires": by.expires(),
        "place": place(&by.place),
    });
    value
}

fn place(place: &Place) -> Value {
    json!({"file": place.file.display().to_string(), "line": place.line})
}

fn unaudited(line: &Unaudited) -> Value {
    json!({"place": place(&line.place), "module": line.module, "reason": line.reason})
}
