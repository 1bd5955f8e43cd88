//! SARIF 2.1.0 for code-scanning tools (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>), in the subset and
//! within the limits of GitHub (its page "SARIF support for code scanning").
//!
//! Findings are results; accepted ones have a suppression with the reason. Unchecked lines and a database that misbehaved are notifications of an unsuccessful run, so that no
//! tool treats missing results as a pass.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::each::Each;
use super::{Acceptance, Code, Finding, Misbehaviour, Place, RenderOptions, Report, Root, Unaudited};

/// GitHub shows the first 5,000 results of a run, and rejects 25,001. Also the limit of notifications, which is our own.
const MAX_RESULTS: usize = 5000;
/// GitHub rejects a file of more than 10 MB after gzip, which never makes text longer. The results, and the notifications, may have
/// 4 MB each before it, without white space.
const MAX_BYTES: usize = 4_000_000;
/// GitHub accepts ten locations of a result.
const MAX_LOCATIONS: usize = 10;
/// Characters of a message: three times those of the longest so far. Our own limit.
const MAX_TEXT: usize = 3000;

/// The characters of a URI path that are not percent-encoded (RFC 3986, section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
struct Run<'a> {
    tool: Value,
    properties: Value,
    results: Each<'a, One<'a>>,
    invocations: [Invocation<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    tool_execution_notifications: Each<'a, Notification<'a>>,
}

/// A result: a finding, and why it is accepted.
struct One<'a> {
    finding: &'a Finding,
    by: Option<&'a Acceptance>,
}

/// Something to say that is not a result.
enum Notification<'a> {
    Misbehaviour(&'a Misbehaviour),
    NotChecked(&'a Unaudited),
    Excluded(&'a (PathBuf, String)),
    /// What the limits leave out.
    More(String),
}

pub(super) fn write(report: &Report, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    let findings = report.findings.iter().map(|finding| One { finding, by: None });
    let accepted = report.accepted.iter().map(|one| One { finding: &one.finding, by: Some(&*one.by) });
    let all: Vec<One<'_>> = findings.chain(accepted).collect();
    let mut codes: Vec<Code> = all.iter().map(|one| one.finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let result = |one: &One<'_>| {
        let mut value = result(one.finding, &codes, &options.root);
        // Either all results of a run have this property, or none (section 3.27.23).
        if !report.accepted.is_empty() {
            value["suppressions"] = one.by.into_iter().map(suppression).collect();
        }
        value
    };
    let results = fitting(&all, &result);
    let more = all.len() - results.len();
    let notifications = notifications(report, more, &options.root);
    let policies = report.policies.as_ref().map(ToString::to_string);
    let base =
        report.base.iter().map(|base| json!({"workTree": base.work_tree.display().to_string(), "commit": base.commit}));
    let run = Run {
        tool: json!({"driver": {
            "name": "sumgate",
            "version": env!("CARGO_PKG_VERSION"),
            "informationUri": env!("CARGO_PKG_REPOSITORY"),
            "rules": codes.iter().copied().map(rule).collect::<Vec<_>>(),
        }}),
        properties: json!({"policies": policies, "base": base.collect::<Vec<_>>()}),
        results: Each { items: results, value: &result },
        invocations: [Invocation {
            execution_successful: report.unchecked.is_empty() && report.misbehaviour.is_none(),
            tool_execution_notifications: Each { items: &notifications, value: &|one| one.value(&options.root) },
        }],
    };
    let schema = "https://json.schemastore.org/sarif-2.1.0.json";
    serde_json::to_writer_pretty(&mut *out, &Document { schema, version: "2.1.0", runs: [run] })?;
    writeln!(out)
}

/// The first items, as many as the limits allow.
fn fitting<'a, T>(items: &'a [T], value: &dyn Fn(&T) -> Value) -> &'a [T] {
    let mut bytes = 0;
    let fits = |item: &&T| {
        bytes += value(item).to_string().len();
        bytes <= MAX_BYTES
    };
    let count = items.iter().take(MAX_RESULTS).take_while(fits).count();
    &items[..count]
}

/// What there is to say besides the results, of which `more` are left out.
fn notifications<'a>(report: &'a Report, more: usize, root: &Root) -> Vec<Notification<'a>> {
    let mut all: Vec<Notification<'a>> = report.misbehaviour.iter().map(Notification::Misbehaviour).collect();
    all.extend(report.unchecked.iter().map(Notification::NotChecked));
    all.extend(report.excluded.iter().map(Notification::Excluded));
    let (count, fitting) = (all.len(), fitting(&all, &|one| one.value(root)).len());
    all.truncate(fitting);
    if count > fitting {
        let text = format!("{} more notifications are not in this file: --format json has all", count - fitting);
        all.push(Notification::More(text));
    }
    if more > 0 {
        let text = format!("{more} more findings are not in this file, the least severe ones: --format json has all");
        all.push(Notification::More(text));
    }
    all
}

impl Notification<'_> {
    fn value(&self, root: &Root) -> Value {
        let (level, text, place) = match self {
            Self::Misbehaviour(one) => ("error", one.message.clone(), None),
            Self::NotChecked(line) => {
                ("error", format!("{} was not checked: {}", line.module, line.reason), Some(line.place.clone()))
            }
            Self::Excluded((path, why)) => {
                ("note", format!("{} was excluded ({why})", path.display()), Some(Place::from(path)))
            }
            Self::More(text) => ("note", text.clone(), None),
        };
        let mut value = json!({"level": level, "message": {"text": cut(&text)}});
        if let Some(place) = place {
            value["locations"] = json!([location(&place, root)]);
        }
        value
    }
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.name(),
        "name": code.name(),
        "shortDescription": {"text": code.meaning()},
        "fullDescription": {"text": format!("{} {}", code.meaning(), code.help())},
        "help": {"text": code.help()},
        "helpUri": code.page(),
        "defaultConfiguration": {"level": code.severity().name()},
    })
}

fn result(finding: &Finding, codes: &[Code], root: &Root) -> Value {
    let mut text = finding.text();
    let places: Vec<&Place> = finding.place.iter().chain(&finding.also).collect();
    for place in places.iter().filter(|place| root.inside(&place.file).is_none()) {
        text.push_str(&format!("\nfound in {place}"));
    }
    let mut locations: Vec<Value> = places.iter().take(MAX_LOCATIONS).map(|place| location(place, root)).collect();
    if locations.is_empty() {
        locations.push(location_in(root.module(), 1));
    }
    let fingerprint = fingerprint(finding, root);
    json!({
        "ruleId": finding.code.name(),
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": finding.severity().name(),
        "message": {"text": cut(&text)},
        // GitHub reads this one only.
        "partialFingerprints": {"primaryLocationLineHash": format!("{fingerprint}:1"), "sumgate/1": fingerprint},
        "locations": locations,
    })
}

/// The policy is a file of its own, not the source of the result (section 3.35.2).
fn suppression(by: &Acceptance) -> Value {
    let justification = format!("{} ({}, {})", by.reason, by.until(), by.place);
    json!({"kind": "external", "status": "accepted", "justification": cut(&justification)})
}

/// A location in the repository; of a file elsewhere, that of the module. GitHub rejects a result without a file in the repository,
/// and one without a line.
fn location(place: &Place, root: &Root) -> Value {
    match root.inside(&place.file) {
        Some(file) => location_in(&file, place.line.unwrap_or(1)),
        None => location_in(root.module(), 1),
    }
}

/// A location of a file, relative to the top folder.
fn location_in(file: &Path, line: u32) -> Value {
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(file), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": line},
    }})
}

fn uri(file: &Path) -> String {
    percent_encode(file.as_os_str().as_bytes(), PATH).to_string()
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A fingerprint that does not change when lines move.
fn fingerprint(finding: &Finding, root: &Root) -> String {
    let mut hash = Sha256::new();
    let file = finding.place.as_ref().map(|place| root.shown(&place.file).display().to_string()).unwrap_or_default();
    for part in [finding.code.name(), &file, finding.module.as_deref().unwrap_or_default(), &finding.message] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}
