//! What the gate says on stderr: the output is the command's.

use super::caches::Kept;
use crate::base::fault::in_full;
use crate::base::limits::MAX_NAMED;
use crate::base::text::{safe, safe_path};
use crate::cli::exit::Failure;
use crate::cli::out;
use crate::finding::{Finding, Severity};
use crate::gate::{ChildError, Ended, Outcome, code};
use crate::release::RefusedFile;

/// A refusal, in one line, at the moment when it happens.
pub(super) fn refusal(file: &RefusedFile) {
    let first = safe(file.reason.lines().next().unwrap_or_default());
    out::complain(&format!("REFUSED [{}] {first}; {}", file.code, file.advice));
}

/// What of kept caches does not count.
pub(super) fn caches(kept: &Kept) {
    if let Some(key) = &kept.usage.key {
        let named: Vec<&str> = key.splitn(3, '+').take(2).collect();
        let files = kept.usage.sealed_files;
        out::complain(&format!(
            "{files} files of the kept caches are used: their seal is of the key {}",
            named.join("+")
        ));
    }
    if let Some(why) = &kept.sealed.invalid {
        out::complain(&format!("the kept caches are thrown away: {}", safe(why)));
    } else if !kept.sealed.thrown_away.is_empty() {
        let named: Vec<String> = kept.sealed.thrown_away.iter().take(MAX_NAMED).map(|name| safe(name)).collect();
        let count = kept.sealed.thrown_away.len();
        out::complain(&format!(
            "{count} files of the kept caches are thrown away, since the seal does not cover them: {}{}",
            named.join(", "),
            if count > MAX_NAMED { ", …" } else { "" }
        ));
    }
}

/// Variables that the command does not see.
pub(super) fn removed(removed: &[(String, &'static str)]) {
    for (name, why) in removed {
        out::complain(&format!("removed {} from the environment: {why}", safe(name)));
    }
}

/// Findings, in the order in which they were made.
pub(super) fn findings(findings: &[Finding]) {
    for finding in findings {
        let place = finding.place.as_ref().map(|place| format!("{}: ", safe(&place.to_string()))).unwrap_or_default();
        let mut line = format!("{}[{}] {place}{}", finding.severity(), finding.code.name(), safe(&finding.message));
        for (name, value) in &finding.facts {
            line.push_str(&format!("\n  {name}: {}", safe(value)));
        }
        // A note asks for nothing, unless it has something of its own to say.
        if finding.severity() > Severity::Note || finding.help.is_some() {
            line.push_str(&format!("\n  what to do: {}", finding.advice()));
        }
        out::complain(&line);
    }
}

/// The command did not start. The gate has its own codes for two ways of that.
pub(super) fn not_started(error: &ChildError) -> Result<Ended, Failure> {
    let code = match error {
        ChildError::NotFound(_) => code::NOT_FOUND,
        ChildError::NotExecutable(..) => code::NOT_EXECUTABLE,
        ChildError::Watch(_) => return Err(Failure::new(crate::base::fault::Fault::Host, in_full(error))),
    };
    out::complain(&in_full(error));
    Ok(Ended::NotStarted(code))
}

/// Everything that was refused, in full, and a line of figures.
pub(super) fn summary(outcome: &Outcome) {
    for file in outcome.events.refused.values() {
        let mut lines: Vec<String> = file.reason.lines().map(safe).collect();
        lines.extend(file.quarantine.iter().map(|case| format!("quarantine: {}", case.display())));
        out::complain(&lines.join("\n"));
    }
    for fork in outcome.databases.iter().filter_map(|database| database.fork.as_ref()) {
        out::complain(&format!("THE DATABASE MISBEHAVED, evidence in {}", fork.display()));
    }
    for exception in &outcome.unused {
        let (line, modules) = (exception.line(), exception.modules());
        out::complain(&format!("the exception in line {line} of the policy ({modules}) lifted nothing"));
    }
    for program in &outcome.installed {
        out::complain(&format!("installed {}", safe_path(program)));
    }
    out::complain(&figures(outcome));
}

fn figures(outcome: &Outcome) -> String {
    let (released, refused) = (&outcome.events.released, outcome.events.refused.len());
    let bytes: u64 = released.values().map(|file| file.bytes).sum();
    let unproved = outcome.unproved();
    let mut line = format!("{} files proved and released", released.len() - unproved);
    if unproved > 0 {
        line.push_str(&format!(", {unproved} exempt ones released UNPROVED"));
    }
    line.push_str(&format!(" ({bytes} bytes), {refused} refused, {} findings", outcome.findings.len()));
    if outcome.events.dropped > 0 {
        line.push_str(&format!(", {} not listed", outcome.events.dropped));
    }
    if outcome.caches.sealed_files > 0 {
        line.push_str(&format!(", {} cached files sealed", outcome.caches.sealed_files));
    }
    line.push_str(&format!(", {}", outcome.policies));
    for (name, value) in &outcome.kept {
        line.push_str(&format!(", {name}={value} kept"));
    }
    format!("{line}, {} ms", outcome.took.as_millis())
}

/// Whose code it is, where that could be asked. Returns the code.
pub(super) fn code(outcome: &Outcome, deny: Severity) -> u8 {
    let own = outcome.ended.code();
    let Some(code) = outcome.verdict(deny) else {
        if (code::FINDINGS..=code::MISBEHAVIOUR).contains(&own) {
            out::complain(&format!("exit code {own} of the command: sumgate has nothing to add"));
        }
        return own;
    };
    let why = match code {
        code::MISBEHAVIOUR => "the database signed two histories",
        code::NOT_EXECUTABLE => "the command cannot be executed",
        code::NOT_FOUND => "the command is not found",
        _ => "something was refused or found",
    };
    let theirs = if outcome.ended.has_run() {
        format!("the command's own code is {own}")
    } else {
        "the command was not started".to_owned()
    };
    out::complain(&format!("exit code {code} of sumgate: {why}; {theirs}"));
    code
}
