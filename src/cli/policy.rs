//! `sumgate policy`: check one, or explain what it says.

use std::path::PathBuf;
use std::time::SystemTime;

use super::args::PolicyCommand;
use super::config::{self, Come};
use super::exit::{Exit, Failure};
use super::out;
use crate::base::fault::Fault;
use crate::policy::{Age, Denial, Facts, Outcome, Rule, Step};
use gomodule::module::ModuleVersion;

pub(super) fn run(command: &PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Check { file } => {
            let (path, how) = named(file.as_ref())?;
            Ok(match config::check_policy(&path, how)? {
                Ok(_) => {
                    out::print(&format!("{} can be used\n", path.display()));
                    Exit::Fine
                }
                Err(complaints) => {
                    out::print(&format!("{}\n", complaints.join("\n")));
                    Exit::Findings
                }
            })
        }
        PolicyCommand::Explain { module, policy, age } => explain(module, policy.as_ref(), *age),
    }
}

fn named(file: Option<&PathBuf>) -> Result<(PathBuf, Come), Failure> {
    let found = || config::find_policy().map(|path| (path, Come::Found));
    file.map(|path| (path.clone(), Come::Named))
        .or_else(found)
        .ok_or_else(|| Failure::new(Fault::Request, "there is no sumgate.toml here or above; name the file"))
}

fn explain(module: &str, policy: Option<&PathBuf>, age: Option<Age>) -> Result<Exit, Failure> {
    let (path, how) = named(policy)?;
    let policy = config::check_policy(&path, how)?;
    let policy = policy.map_err(|complaints| Failure::new(Fault::Request, complaints.join("\n")))?;
    let module = ModuleVersion::parse(module).map_err(Failure::usage)?;
    let mut facts = Facts::of(module.clone());
    facts.age = age;
    let verdict = crate::policy::judge(&policy, &facts, crate::policy::day(SystemTime::now()));
    let mut text = String::new();
    for Step { rule, outcome, expired } in &verdict.steps {
        let mut words = match outcome {
            Outcome::Passed => "nothing against it".to_owned(),
            Outcome::NotKnown if *rule == Rule::MinAge => {
                "decides when it is downloaded, by the tree heads that were seen: --age 6d shows what it says to a record of \
                 that age, --age unknown what it says where no head was seen long enough ago"
                    .to_owned()
            }
            Outcome::NotKnown => "decides when it is downloaded: what it asks for is not known here".to_owned(),
            Outcome::Denies(denial) => format!("denies ({}:{}): {}", path.display(), denial.line, denial.reason),
            Outcome::Lifted { denial: Denial { line: own, reason, .. }, line, until } => {
                let file = path.display();
                format!("would deny ({file}:{own}): {reason}; lifted by the exception in line {line} until {until}")
            }
        };
        if let Some(line) = expired {
            words.push_str(&format!("; that exception is in line {line}"));
        }
        text.push_str(&format!("{:16} {words}\n", rule.name()));
    }
    let (exit, verdict) = match &verdict.denial {
        Some(denial) => (Exit::Findings, format!("denied by {}", denial.rule)),
        None if verdict.steps.iter().any(|step| step.outcome == Outcome::NotKnown) => {
            (Exit::Fine, "allowed, as far as is known here".to_owned())
        }
        None => (Exit::Fine, "allowed".to_owned()),
    };
    out::print(&format!("{text}{module}: {verdict}\n"));
    Ok(exit)
}
