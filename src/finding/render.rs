//! The formats of reports. Each is a pure function in a file of its own.

use super::{RenderOptions, Report, github, human, json, junit, sarif};

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text for terminals
    Human,
    /// JSON for programs; its schema is src/finding/audit.schema.json in the source
    Json,
    /// SARIF 2.1.0 for code-scanning tools
    Sarif,
    /// JUnit XML for test reports
    Junit,
    /// Workflow annotations for GitHub Actions
    Github,
}

/// Renders `report`.
pub fn render(report: &Report, format: Format, options: RenderOptions) -> String {
    match format {
        Format::Human => human::render(report, options),
        Format::Json => json::render(report, options),
        Format::Sarif => sarif::render(report),
        Format::Junit => junit::render(report),
        Format::Github => github::render(report, options),
    }
}
