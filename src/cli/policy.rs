//! `sumgate policy`: check a policy, or explain what it decides.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::args::PolicyCommand;
use super::config::{self, PathSource};
use super::exit::{Exit, Failure};
use super::out;
use crate::base::fault::Fault;
use crate::base::text::safe_start_of_line;
use crate::policy::{Age, Denial, Facts, Outcome, Policy, Rule, Step, Verdict};
use crate::sumdb::known_since;
use gomodule::module::ModuleVersion;

pub(super) fn run(command: &PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Check { file } => {
            let (path, how) = found(file.as_ref()).ok_or_else(none)?;
            Ok(match config::check_policy(&path, how)? {
                Ok(policy) => {
                    let (file, today) =
                        (safe_start_of_line(&path.to_string_lossy()), crate::policy::day(SystemTime::now()));
                    let doubts = crate::policy::doubtful(&policy, today, crate::policy::day(known_since()));
                    let lines: String = doubts.iter().map(|doubt| format!("{file}:{doubt}\n")).collect();
                    let warns =
                        policy.warning_only().map(|what| format!("; warn is on for {what}: it lets pass, and warns"));
                    out::print(&format!("{lines}{file} is valid{}\n", warns.unwrap_or_default()));
                    Exit::Success
                }
                Err(diagnostics) => {
                    out::print(&format!("{}\n", diagnostics.join("\n")));
                    Exit::Findings
                }
            })
        }
        PolicyCommand::Explain { module, policy, age } => explain(module, policy.as_ref(), *age),
    }
}

fn found(file: Option<&PathBuf>) -> Option<(PathBuf, PathSource)> {
    let found = || config::find_policy().map(|path| (path, PathSource::Found));
    file.map(|path| (path.clone(), PathSource::Named)).or_else(found)
}

fn none() -> Failure {
    Failure::new(
        Fault::Request,
        "there is no sumgate.toml at or above the working folder: name the file, or change to its folder",
    )
}

/// The given policy, or else the nearest one, if any.
pub(super) fn in_force(file: Option<&PathBuf>) -> Result<Option<(PathBuf, Policy)>, Failure> {
    let read = |(path, how): (PathBuf, PathSource)| config::read_policy(&path, how).map(|policy| (path, policy));
    found(file).map(read).transpose()
}

fn explain(module: &ModuleVersion, policy: Option<&PathBuf>, age: Option<Age>) -> Result<Exit, Failure> {
    let (path, policy) = in_force(policy)?.ok_or_else(none)?;
    let mut facts = Facts::of(module.clone());
    facts.age = age;
    let verdict = crate::policy::judge(&policy, &facts, crate::policy::day(SystemTime::now()));
    let mut text = String::new();
    for Step { rule, outcome, expired } in &verdict.steps {
        let mut message = match outcome {
            Outcome::Passed => "allows it".to_owned(),
            Outcome::NotKnown if *rule == Rule::MinAge => {
                "not evaluated (decided at download time): --age 6d evaluates it for a record of that age, --age unknown for \
                 one whose age is unknown"
                    .to_owned()
            }
            Outcome::NotKnown => "not evaluated (decided at download time)".to_owned(),
            Outcome::Denies(denial) => format!("denies ({}:{}): {}", path.display(), denial.line, denial.reason),
            Outcome::Warns(denial) => {
                format!("warns ({}:{}), and would deny: {}", path.display(), denial.line, denial.reason)
            }
            Outcome::Lifted { denial: Denial { line: own, reason, .. }, line, until } => {
                let file = path.display();
                format!("would deny ({file}:{own}): {reason}; lifted by the exception in line {line} {}", until.in_words())
            }
        };
        if let Some(line) = expired {
            message.push_str(&format!("; that exception is in line {line}"));
        }
        text.push_str(&format!("{:16} {message}\n", rule.name()));
    }
    let (exit, message) = decided(&path, &verdict);
    out::print(&format!("{text}{module}: {message}\n"));
    Ok(exit)
}

/// The exit code for a verdict, and a message with the rule that decides and its line.
pub(super) fn decided(path: &Path, verdict: &Verdict) -> (Exit, String) {
    let file = path.display();
    if let Some(Denial { rule, reason, line }) = &verdict.denial {
        return (Exit::Findings, format!("denied by {rule} ({file}:{line}): {reason}"));
    }
    let mut message = format!("allowed by {file}");
    for Denial { rule, reason, line } in &verdict.warnings {
        message.push_str(&format!(", with a warning: {rule} ({file}:{line}) would deny it: {reason}"));
    }
    for step in &verdict.steps {
        if let Outcome::Lifted { denial, line, until } = &step.outcome {
            message.push_str(&format!("; the exception in line {line} lifts {} {}", denial.rule, until.in_words()));
        }
    }
    let open = verdict.steps.iter().filter(|step| step.outcome == Outcome::NotKnown).map(|step| step.rule.name());
    let open: Vec<String> = open.collect();
    if !open.is_empty() {
        message.push_str(&format!("; not evaluated: {}", open.join(", ")));
    }
    (Exit::Success, message)
}
