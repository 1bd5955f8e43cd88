//! The forms a report can take. Each is a pure function of the report, in a file of its own.

use super::{Report, Severity, human};

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person.
    Human,
}

/// What of a report is shown, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// With the colours of a terminal (human form only).
    pub colour: bool,
    /// What was skipped is listed, too.
    pub verbose: bool,
    /// The least severity that fails the run.
    pub deny: Severity,
}

/// Renders `report`.
pub fn render(report: &Report, format: Format, options: &RenderOptions) -> String {
    match format {
        Format::Human => human::render(report, options),
    }
}
