//! A verdict in words: what each rule says, and what decides.

use super::verdict::{Denial, Outcome, Step, Verdict};

/// What one rule says. `file` is the name of the policy for a reader.
pub(crate) fn rule_in_words(Step { outcome, expired, .. }: &Step, file: &str) -> String {
    let mut message = match outcome {
        Outcome::Passed => "allows it".to_owned(),
        Outcome::NotKnown => "not evaluated (decided at download time)".to_owned(),
        Outcome::Denies(denial) => format!("denies ({file}:{}): {}", denial.line, denial.reason),
        Outcome::Warns(denial) => format!("warns ({file}:{}), and would deny: {}", denial.line, denial.reason),
        Outcome::Lifted { denial: Denial { line: own, reason, .. }, line, until } => {
            format!("would deny ({file}:{own}): {reason}; lifted by the exception in line {line} {}", until.in_words())
        }
    };
    if let Some(line) = expired {
        message.push_str(&format!("; that exception is in line {line}"));
    }
    message
}

/// What the policy decides, with the rule and its line.
pub(crate) fn decided_in_words(verdict: &Verdict, file: &str) -> String {
    if let Some(Denial { rule, reason, line }) = &verdict.denial {
        return format!("denied by {rule} ({file}:{line}): {reason}");
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
    message
}
