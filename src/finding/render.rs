//! The forms a report can take. Each is a pure function of the report, in a file of its own.

use super::{RenderOptions, Report, github, human, json, junit, sarif};

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person
    Human,
    /// For a program; the schema is in the documentation
    Json,
    /// For code-scanning tools: SARIF 2.1.0
    Sarif,
    /// For test reports: JUnit XML
    Junit,
    /// For GitHub Actions: workflow annotations
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
