//! The facts as JSON. `docs/openapi.json` describes it. Fields may be added, but are never changed or removed.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tlog::{ProofStep, Side};

use super::audit::Audited;
use super::headers::answer;
use super::module_html::POLICY;
use crate::base::fault::Fault;
use crate::events::Counts;
use crate::finding::{Format, RenderOptions, Root, Severity, render};
use crate::mirror::{Activity, FileHere, LogAnswer, Look, Overview, ProvedAnswer};
use crate::policy::{Verdict, decided_in_words, rule_in_words};
use crate::sumdb::Inclusion;
use gomodule::artifact::Kind;
use gomodule::module::{ModulePath, Version};

/// The description of the API, for programs.
pub(super) const DESCRIPTION: &str = include_str!("../../docs/openapi.json");

const JSON: &str = "application/json";

pub(super) fn found(value: &Value) -> Response<Bytes> {
    answer(StatusCode::OK, JSON, format!("{value:#}\n"))
}

pub(super) fn description() -> Response<Bytes> {
    answer(StatusCode::OK, JSON, Bytes::from_static(DESCRIPTION.as_bytes()))
}

/// An error with what to do.
pub(super) fn error(status: StatusCode, message: &str) -> Response<Bytes> {
    answer(status, JSON, format!("{:#}\n", json!({"error": message})))
}

pub(super) fn overview(overview: &Overview, go_env: &str) -> Value {
    let databases = overview.databases.iter().map(|database| {
        json!({
            "name": database.name,
            "gosumdb": database.for_go,
            "tree_size": database.head.as_ref().map(|(size, _)| size),
            "root": database.head.as_ref().map(|(_, root)| root),
            "seen_seconds_ago": database.seen_before.map(|before| before.as_secs()),
            "growth": database.growth.iter().map(observed).collect::<Vec<_>>(),
            "current": database.is_shown,
            "fork_evidence": database.fork,
        })
    });
    let upstreams = overview.sources.iter().map(|source| {
        json!({
            "name": source.name,
            "disabled_for_seconds": source.disabled_for.map(|left| left.as_secs_f64()),
            "distrusted": source.distrusted,
            "last_failure": (!source.last_failure.is_empty()).then_some(&source.last_failure),
            "first_byte_seconds": source.first_byte.map(|time| time.as_secs_f64()),
        })
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "healthy": overview.is_healthy(),
        "offline": overview.is_offline,
        "go_env": go_env,
        "activity": overview.activity.as_ref().map(activity),
        "databases": databases.collect::<Vec<_>>(),
        "upstreams": upstreams.collect::<Vec<_>>(),
        "policy": {"present": overview.has_policy, "only_warns": overview.warns},
    })
}

fn observed((at, size): &(SystemTime, u64)) -> Value {
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({"unix_seconds": at.as_secs(), "tree_size": size})
}

fn activity(Activity { hour, day, counted_for }: &Activity) -> Value {
    let of = |Counts { served, downloaded, refused, failed }: &Counts| json!({"served": served, "downloaded": downloaded, "refused": refused, "failed": failed});
    json!({"last_hour": of(hour), "last_day": of(day), "counted_for_seconds": counted_for.as_secs()})
}

/// The stored versions of a path.
pub(super) fn versions(path: &str, found: &[(ModulePath, Vec<Version>)]) -> Value {
    let modules = found.iter().map(|(module, versions)| {
        let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
        json!({"path": module.to_string(), "versions": versions})
    });
    json!({"kind": "path", "path": path, "stored": modules.collect::<Vec<_>>()})
}

/// A module version.
pub(super) fn module(look: &Look) -> Value {
    json!({
        "kind": "version",
        "module": look.module.to_string(),
        "log": log(&look.log),
        "policy": look.policy.as_ref().map(policy),
        "files": look.files.iter().map(file).collect::<Vec<_>>(),
    })
}

fn log(answer: &LogAnswer) -> Value {
    match answer {
        LogAnswer::Proved(proved) => json!({"state": "proved", "message": null, "record": record(proved)}),
        LogAnswer::Exempt => json!({"state": "exempt", "message": null, "record": null}),
        LogAnswer::Failed(fault, why) => {
            let state = match fault {
                Fault::Absent => "no-record",
                Fault::Refused => "refused",
                _ => "unknown",
            };
            json!({"state": state, "message": why, "record": null})
        }
    }
}

fn record(ProvedAnswer { record, inclusion, age }: &ProvedAnswer) -> Value {
    json!({
        "database": record.database(),
        "number": record.proven().id().get(),
        "text": record.proven().text(),
        "zip": record.h1(Kind::Zip).map(|h1| h1.to_string()),
        "go_mod": record.h1(Kind::Mod).map(|h1| h1.to_string()),
        "at_least_seconds_in_log": age.map(|age| age.as_secs()),
        "proof": inclusion.as_ref().ok().map(proof),
    })
}

/// Each step has the sibling from the log and the hash that was computed from it.
fn proof(inclusion: &Inclusion) -> Value {
    let side = |side| if side == Side::Left { "left" } else { "right" };
    let step = |step: &ProofStep| {
        json!({
            "level": step.level,
            "side": side(step.side),
            "sibling": step.sibling.to_string(),
            "computed": step.computed.to_string(),
        })
    };
    json!({
        "tree_size": inclusion.head.size.get(),
        "root": inclusion.head.root.to_string(),
        "leaf": inclusion.leaf.to_string(),
        "steps": inclusion.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn policy(verdict: &Verdict) -> Value {
    let rules = verdict.steps.iter().map(|step| json!({"rule": step.rule.name(), "says": rule_in_words(step, POLICY)}));
    json!({
        "denied_by": verdict.denial.as_ref().map(|denial| denial.rule.name()),
        "says": decided_in_words(verdict, POLICY),
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn file(file: &FileHere) -> Value {
    json!({
        "kind": file.kind.extension(),
        "stored_bytes": file.bytes.as_ref().ok().copied().flatten(),
        "upstream": file.upstream,
        "pinned": file.pinned.map(|h1| h1.to_string()),
    })
}

/// The report in the JSON of `sumgate audit`.
pub(super) fn report(audited: &Audited) -> Response<Bytes> {
    let root = Root::new("/", Vec::new(), "go.mod");
    let options = RenderOptions { root, width: 0, colour: false, verbose: false, deny: Severity::Warning };
    let mut body = Vec::new();
    match render(&audited.report, Format::Json, &options, &mut body) {
        Ok(()) => answer(StatusCode::OK, JSON, body),
        Err(cause) => error(StatusCode::INTERNAL_SERVER_ERROR, &cause.to_string()),
    }
}
