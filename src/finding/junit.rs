//! For test reports: JUnit XML, as Jenkins and GitLab read it. One suite a file; every finding is a failed case, every line
//! that could not be checked a broken one, and the proved lines together are one that passed.

use std::path::Path;

use super::{Finding, Report, Unaudited};

pub(super) fn render(report: &Report) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sumgate audit\">\n".to_owned();
    for file in &report.files {
        let findings = report.findings.iter().filter(|finding| file_of(finding) == Some(file.as_path()));
        let unchecked = report.unchecked.iter().filter(|line| line.place.file == *file);
        text.push_str(&suite(
            &file.display().to_string(),
            &findings.collect::<Vec<_>>(),
            &unchecked.collect::<Vec<_>>(),
        ));
    }
    // A go.mod beside a go.sum, a file of the module cache.
    let elsewhere = |file: Option<&Path>| file.is_none_or(|file| !report.files.iter().any(|known| known == file));
    let findings: Vec<_> = report.findings.iter().filter(|finding| elsewhere(file_of(finding))).collect();
    let unchecked: Vec<_> = report.unchecked.iter().filter(|line| elsewhere(Some(&line.place.file))).collect();
    if !findings.is_empty() || !unchecked.is_empty() {
        text.push_str(&suite("other files", &findings, &unchecked));
    }
    text.push_str(&left_out(report));
    text.push_str("  <testsuite name=\"summary\" tests=\"1\"");
    match &report.misbehaviour {
        None => {
            let policies = report.policies.as_ref().map(|policies| format!(", {policies}")).unwrap_or_default();
            let since: String = report.base.iter().map(|base| format!(", new since {}", base.commit)).collect();
            let proved = escaped(&format!("{} hashes proved{since}{policies}", report.proved));
            text.push_str(&format!(" failures=\"0\" errors=\"0\">\n    <testcase name=\"{proved}\"/>\n"));
        }
        Some(one) => {
            let message = escaped(&format!("{} ({})", one.message, one.evidence.display()));
            text.push_str(" failures=\"0\" errors=\"1\">\n    <testcase name=\"the database\">");
            text.push_str(&format!("<error message=\"{message}\"/></testcase>\n"));
        }
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// What nobody looked at, as tests that were skipped.
fn left_out(report: &Report) -> String {
    let Some(count) = Some(report.excluded.len()).filter(|count| *count > 0) else { return String::new() };
    let mut text =
        format!("  <testsuite name=\"left out\" tests=\"{count}\" skipped=\"{count}\" failures=\"0\" errors=\"0\">\n");
    for (path, why) in &report.excluded {
        let (path, why) = (escaped(&path.display().to_string()), escaped(why));
        text.push_str(&format!("    <testcase name=\"{path}\"><skipped message=\"{why}\"/></testcase>\n"));
    }
    text + "  </testsuite>\n"
}

fn file_of(finding: &Finding) -> Option<&Path> {
    finding.place.as_ref().map(|place| place.file.as_path())
}

fn suite(name: &str, findings: &[&Finding], unchecked: &[&Unaudited]) -> String {
    let (failures, errors) = (findings.len(), unchecked.len());
    let mut text = format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">\n",
        escaped(name),
        failures + errors
    );
    for finding in findings {
        let place = finding.place.as_ref().map(ToString::to_string).unwrap_or_default();
        let facts: String = finding.facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        text.push_str(&format!(
            "    <testcase name=\"{} {}\"><failure type=\"{}\" message=\"{}\">{}</failure></testcase>\n",
            finding.code.name(),
            escaped(&place),
            finding.code.name(),
            escaped(&finding.message),
            escaped(&format!("{facts}{}", finding.advice()))
        ));
    }
    for line in unchecked {
        let (place, module, reason) = (escaped(&line.place.to_string()), escaped(&line.module), escaped(&line.reason));
        text.push_str(&format!(
            "    <testcase name=\"{module} {place}\"><error message=\"not checked: {reason}\"/></testcase>\n"
        ));
    }
    text + "  </testsuite>\n"
}

/// For attributes and text alike. XML 1.0 has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
