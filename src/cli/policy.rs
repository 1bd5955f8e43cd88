//! `sumgate policy`: check a policy, or explain what it decides.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::args::PolicyCommand;
use super::config::{self, PathSource};
use super::exit::{Exit, Failure};
use super::out;
use crate::base::fault::Fault;
use crate::base::text::safe_start_of_line;
use crate::policy::{Age, Facts, Outcome, Policy, Rule, Verdict, decided_in_words, rule_in_words};
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
    for step in &verdict.steps {
        let message = if step.outcome == Outcome::NotKnown && step.rule == Rule::MinAge {
            "not evaluated (decided at download time): --age 6d evaluates it for a record of that age, --age unknown for \
             one whose age is unknown"
                .to_owned()
        } else {
            rule_in_words(step, &path.display().to_string())
        };
        text.push_str(&format!("{:16} {message}\n", step.rule.name()));
    }
    let (exit, message) = decided(&path, &verdict);
    out::print(&format!("{text}{module}: {message}\n"));
    Ok(exit)
}

/// The exit code for a verdict, and a message with the rule that decides and its line.
pub(super) fn decided(path: &Path, verdict: &Verdict) -> (Exit, String) {
    let exit = if verdict.denial.is_some() { Exit::Findings } else { Exit::Success };
    (exit, decided_in_words(verdict, &path.display().to_string()))
}
