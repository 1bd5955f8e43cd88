//! The formats of reports. Each is a function in a file of its own, which writes as it goes: a report may have 200,000 findings.

use std::io::{self, Write};

use super::{RenderOptions, Report, github, human, json, junit, markdown, sarif};

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
    /// Markdown for a comment in a pull request
    Markdown,
}

/// Writes `report` to `out`, in many small pieces.
pub fn render(report: &Report, format: Format, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => human::write(report, options, out),
        Format::Json => json::write(report, options, out),
        Format::Sarif => sarif::write(report, options, out),
        Format::Junit => junit::write(report, options, out),
        Format::Github => github::write(report, options, out),
        Format::Markdown => markdown::write(report, options, out),
    }
}
