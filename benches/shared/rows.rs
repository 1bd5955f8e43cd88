//! Rows of the table in BENCHMARKS.md: what was measured, the yardstick, the result, the goal.

use std::ops::RangeInclusive;

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

    /// Prints a row of the table. A goal without an end is a least result, any other one a most.
    pub(crate) fn print(&self, name: &str, yardstick: &str, result: (f64, &str), goal: &RangeInclusive<f64>) {
        let verdict = match self.length {
            Length::Smoke => "not measured",
            _ if result.0.is_nan() => "not measured",
            _ if goal.contains(&result.0) => "met",
            _ => "MISSED",
        };
        let (least, most) = (goal.start(), goal.end());
        let goal = if most.is_infinite() { format!("at least {least}") } else { format!("at most {most}") };
        println!("| {name} | {yardstick} | {} | {goal} | {verdict} |", result.1);
    }
}
