//! Rows of the table in BENCHMARKS.md: what was measured, the yardstick, the result, the goal.

use std::fmt;

/// Which rows are measured: those whose name contains the first word of the command line that is not a flag. `--test` is a smoke
/// test, which does not measure; `--quick` is a short look.
pub(crate) struct Rows {
    filter: String,
    pub(crate) length: Length,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Smoke,
    Quick,
    Full,
}

/// A result of at least, or at most, so much.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Rows {
    pub(crate) fn of_the_command_line() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| words.iter().any(|word| word == flag);
        let length = match (has("--test"), has("--quick")) {
            (true, _) => Length::Smoke,
            (_, true) => Length::Quick,
            _ => Length::Full,
        };
        let filter = words.into_iter().find(|word| !word.starts_with("--")).unwrap_or_default();
        println!("| what | reference in the same run | result | target | |\n|---|---|---|---|---|");
        Self { filter, length }
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    /// Prints a row of the table.
    pub(crate) fn print(&self, name: &str, yardstick: &str, result: (f64, &str), goal: Goal) {
        let verdict = match goal {
            _ if self.length == Length::Smoke => "not measured",
            _ if goal.is_met(result.0) => "met",
            _ => "MISSED",
        };
        println!("| {name} | {yardstick} | {} | {goal} | {verdict} |", result.1);
    }
}

impl Goal {
    fn is_met(self, result: f64) -> bool {
        match self {
            Self::AtLeast(least) => result >= least,
            Self::AtMost(most) => result <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}
