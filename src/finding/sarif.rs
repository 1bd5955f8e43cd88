//! SARIF 2.1.0 for code-scanning tools (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
//!
//! Findings are results. Unchecked lines and a database that misbehaved are notifications of an unsuccessful run, so that no
//! tool treats missing results as a pass.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Code, Finding, Place, Report};

/// The characters of a URI path that are not percent-encoded (RFC 3986, section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn render(report: &Report) -> String {
    let mut codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let results: Vec<Value> = report.findings.iter().map(|finding| result(finding, &codes)).collect();
    let mut notifications: Vec<Value> = report
        .unchecked
        .iter()
        .map(|line| {
            let text = format!("{} was not checked: {}", line.module, line.reason);
            json!({"level": "error", "message": {"text": text}, "locations": [location(&line.place)]})
        })
        .collect();
    notifications.extend(report.misbehaviour.iter().map(|one| {
        let text = format!("{} (evidence: {})", one.message, one.evidence.display());
        json!({"level": "error", "message": {"text": text}})
    }));
    let is_finished = notifications.is_empty();
    notifications.extend(report.excluded.iter().map(|(path, why)| {
        let text = format!("{} was excluded ({why})", path.display());
        json!({"level": "note", "message": {"text": text}, "locations": [location(&path.into())]})
    }));
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "sumgate",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().copied().map(rule).collect::<Vec<_>>(),
            }},
            "properties": {
                "policies": report.policies.as_ref().map(ToString::to_string),
                "base": report.base.iter().map(|base| {
                    json!({"workTree": base.work_tree.display().to_string(), "commit": base.commit})
                }).collect::<Vec<_>>(),
            },
            "results": results,
            "invocations": [{
                "executionSuccessful": is_finished,
                "toolExecutionNotifications": notifications,
            }],
        }],
    });
    format!("{document:#}\n")
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.name(),
        "shortDescription": {"text": code.meaning()},
        "help": {"text": code.help()},
        "defaultConfiguration": {"level": code.severity().name()},
    })
}

fn result(finding: &Finding, codes: &[Code]) -> Value {
    let facts: String = finding.facts.iter().map(|(name, value)| format!("\n{name}: {value}")).collect();
    let mut result = json!({
        "ruleId": finding.code.name(),
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": finding.severity().name(),
        "message": {"text": format!("{}{facts}\n{}", finding.message, finding.advice())},
        "partialFingerprints": {"sumgate/1": fingerprint(finding)},
    });
    if let Some(place) = &finding.place {
        result["locations"] = json!([location(place)]);
    }
    result
}

fn location(place: &Place) -> Value {
    let mut physical = json!({"artifactLocation": artifact(&place.file)});
    if let Some(line) = place.line {
        physical["region"] = json!({"startLine": line});
    }
    json!({"physicalLocation": physical})
}

/// The location of a file. A relative path is relative to the root of the source tree.
fn artifact(file: &Path) -> Value {
    let path = percent_encode(file.as_os_str().as_encoded_bytes(), PATH).to_string();
    if file.is_absolute() {
        json!({"uri": format!("file://{path}")})
    } else {
        json!({"uri": path, "uriBaseId": "%SRCROOT%"})
    }
}

/// A fingerprint that does not change when lines move.
fn fingerprint(finding: &Finding) -> String {
    let mut hash = Sha256::new();
    let file = finding.place.as_ref().map(|place| place.file.display().to_string()).unwrap_or_default();
    for part in [finding.code.name(), &file, finding.module.as_deref().unwrap_or_default(), &finding.message] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}
