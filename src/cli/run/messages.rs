//! Messages of `run` on stderr; stdout belongs to the command.

use super::caches::RunCaches;
use crate::base::fault::in_full;
use crate::base::limits::MAX_NAMED;
use crate::base::text::{counted, safe, safe_path};
use crate::cli::exit::Failure;
use crate::cli::out;
use crate::finding::{Accepted, Finding, Severity};
use crate::gate::{ChildError, Ended, Outcome, code};
use crate::release::RefusedFile;
use crate::sumdb::check_of;

/// Reports a refusal in one line, at once.
pub(super) fn refusal(file: &RefusedFile) {
    let first = safe(file.reason.lines().next().unwrap_or_default());
    out::message(&format!("REFUSED [{}] {first}; {}", file.code, file.advice));
}

/// Reports which kept caches are used, and what is deleted.
pub(super) fn caches(kept: &RunCaches) {
    if let Some(key) = &kept.usage.key {
        let named: Vec<&str> = key.splitn(3, '+').take(2).collect();
        let files = kept.usage.sealed_files;
        out::message(&format!("{files} files of the kept caches are used, sealed with the key {}", named.join("+")));
    }
    if let Some(why) = &kept.sealed.invalid {
        out::message(&format!("the kept caches are deleted: {}", safe(why)));
    } else if !kept.sealed.thrown_away.is_empty() {
        let named: Vec<String> = kept.sealed.thrown_away.iter().take(MAX_NAMED).map(|name| safe(name)).collect();
        let count = kept.sealed.thrown_away.len();
        out::message(&format!(
            "{count} files of the kept caches are deleted, because the seal does not cover them: {}{}",
            named.join(", "),
            if count > MAX_NAMED { ", …" } else { "" }
        ));
    }
}

/// Reports the variables that were removed.
pub(super) fn removed(removed: &[(String, &'static str)]) {
    for (name, why) in removed {
        out::message(&format!("removed {} from the environment: {why}", safe(name)));
    }
}

/// Reports findings, in order.
pub(super) fn findings(findings: &[Finding]) {
    for finding in findings {
        let place = finding.place.as_ref().map(|place| format!("{}: ", safe(&place.to_string()))).unwrap_or_default();
        let mut line = format!("{}[{}] {place}{}", finding.severity(), finding.code.name(), safe(&finding.message));
        for (name, value) in finding.facts.iter() {
            line.push_str(&format!("\n  {name}: {}", safe(value)));
        }
        // Notes need no action, unless they have their own help.
        if finding.severity() > Severity::Note || finding.help.is_some() {
            line.push_str(&format!("\n  what to do: {}", finding.advice()));
        }
        out::message(&line);
    }
}

/// Reports what the policy accepts, in order.
fn accepted(accepted: &[Accepted]) {
    for Accepted { finding, by } in accepted {
        let place = finding.place.as_ref().map(|place| format!("{}: ", safe(&place.to_string()))).unwrap_or_default();
        let (code, message) = (finding.code.name(), safe(&finding.message));
        out::message(&format!("{place}{}[{code}] {message}; {}", finding.severity(), safe(&by.in_words())));
    }
}

/// Reports that the command did not start. Two cases have exit codes.
pub(super) fn not_started(error: &ChildError) -> Result<Ended, Failure> {
    let code = match error {
        ChildError::NotFound(_) => code::NOT_FOUND,
        ChildError::NotExecutable(..) => code::NOT_EXECUTABLE,
        ChildError::Watch(_) => return Err(Failure::new(crate::base::fault::Fault::Host, in_full(error))),
    };
    out::message(&in_full(error));
    Ok(Ended::NotStarted(code))
}

/// Reports all refusals in full, and a line of figures.
pub(super) fn summary(outcome: &Outcome) {
    for file in outcome.events.refused.values() {
        let mut lines: Vec<String> = file.reason.lines().map(safe).collect();
        lines.extend(file.quarantine.iter().map(|case| format!("quarantine: {}", case.display())));
        out::message(&lines.join("\n"));
    }
    for (key, fork) in outcome.databases.iter().filter_map(|database| Some((&database.key, database.fork.as_ref()?))) {
        let check = check_of(key, fork);
        out::message(&format!("THE DATABASE MISBEHAVED, evidence in {}\nCheck it with\n{check}", fork.display()));
    }
    for exception in &outcome.unused {
        let (line, modules) = (exception.line(), exception.modules());
        out::message(&format!("the exception in line {line} of the policy ({modules}) matched nothing"));
    }
    accepted(&outcome.accepted);
    for program in &outcome.installed {
        out::message(&format!("installed {}", safe_path(program)));
    }
    out::message(&figures(outcome));
}

fn figures(outcome: &Outcome) -> String {
    let (released, refused) = (&outcome.events.released, outcome.events.refused.len());
    let bytes: u64 = released.values().map(|file| file.bytes).sum();
    let unproved = outcome.unproved();
    let mut line = format!("{} proved and released", counted(released.len() - unproved, "file"));
    if unproved > 0 {
        line.push_str(&format!(", {} released UNPROVED", counted(unproved, "exempt one")));
    }
    line.push_str(&format!(" ({bytes} bytes), {refused} refused, {}", counted(outcome.findings.len(), "finding")));
    if !outcome.accepted.is_empty() {
        line.push_str(&format!(", {} accepted", outcome.accepted.len()));
    }
    if outcome.events.dropped > 0 {
        line.push_str(&format!(", {} not listed", outcome.events.dropped));
    }
    if outcome.caches.sealed_files > 0 {
        line.push_str(&format!(", {} sealed", counted(outcome.caches.sealed_files, "cached file")));
    }
    line.push_str(&format!(", {}", outcome.policies));
    for (name, value) in &outcome.kept {
        line.push_str(&format!(", {name}={value} kept"));
    }
    format!("{line}, {} ms", outcome.took.as_millis())
}

/// Returns the exit code, and reports whose it is if that is not obvious.
pub(super) fn code(outcome: &Outcome, deny: Severity) -> u8 {
    let own = outcome.ended.code();
    let Some(code) = outcome.verdict(deny) else {
        if (code::FINDINGS..=code::MISBEHAVIOUR).contains(&own) {
            out::message(&format!("exit code {own} of the command: sumgate reports no problem"));
        }
        return own;
    };
    let why = match code {
        code::MISBEHAVIOUR => "the database signed two histories",
        code::NOT_EXECUTABLE => "the command cannot be executed",
        code::NOT_FOUND => "the command is not found",
        _ => "something was refused, or there are findings",
    };
    let theirs = if outcome.ended.has_run() {
        format!("the exit code of the command is {own}")
    } else {
        "the command was not started".to_owned()
    };
    out::message(&format!("exit code {code} of sumgate: {why}; {theirs}"));
    code
}
