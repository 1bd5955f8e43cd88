//! JUnit XML for test reports, as Jenkins and GitLab read it. Each file is a suite, each finding a failure, each line that
//! could not be checked an error, and the proved lines together are one test that passed.

use std::path::{Path, PathBuf};

use super::{Place, Report};

pub(super) fn render(report: &Report) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sumgate audit\">\n".to_owned();
    let is_in = |file: &Path, place: Option<&Place>| place.is_some_and(|place| place.file == file);
    for file in &report.files {
        text.push_str(&of_files(&file.display().to_string(), report, |place| is_in(file, place)));
    }
    // Such as a go.mod next to a go.sum, or a file of the module cache.
    let others = of_files("other files", report, |place| !report.files.iter().any(|file| is_in(file, place)));
    text.push_str(if others.contains("<testcase") { &others } else { "" });
    if !report.excluded.is_empty() {
        // Excluded files are skipped tests.
        let count = report.excluded.len();
        let case = |(path, why): &(PathBuf, String)| {
            case(&path.display().to_string(), &format!("<skipped message=\"{}\"/>", escaped(why)))
        };
        let counts = format!("tests=\"{count}\" skipped=\"{count}\" failures=\"0\" errors=\"0\"");
        text.push_str(&suite("excluded", &counts, &report.excluded.iter().map(case).collect::<String>()));
    }
    let (errors, case) = match &report.misbehaviour {
        None => {
            let policies = report.policies.as_ref().map(|policies| format!(", {policies}")).unwrap_or_default();
            let since: String = report.base.iter().map(|base| format!(", new since {}", base.commit)).collect();
            let proved = escaped(&format!("{} hashes proved{since}{policies}", report.proved));
            (0, format!("    <testcase name=\"{proved}\"/>\n"))
        }
        Some(one) => {
            let message = escaped(&format!("{} ({})", one.message, one.evidence.display()));
            (1, case("the database", &format!("<error message=\"{message}\"/>")))
        }
    };
    text + &suite("summary", &format!("tests=\"1\" failures=\"0\" errors=\"{errors}\""), &case) + "</testsuites>\n"
}

/// A suite of the findings and the unchecked lines whose place satisfies `is_here`.
fn of_files(name: &str, report: &Report, is_here: impl Fn(Option<&Place>) -> bool) -> String {
    let findings: Vec<_> = report.findings.iter().filter(|finding| is_here(finding.place.as_ref())).collect();
    let unchecked: Vec<_> = report.unchecked.iter().filter(|line| is_here(Some(&line.place))).collect();
    let (failures, errors, mut cases) = (findings.len(), unchecked.len(), String::new());
    for finding in findings {
        let (place, code) = (finding.place.as_ref().map(ToString::to_string).unwrap_or_default(), finding.code.name());
        let facts: String = finding.facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let (message, text) = (escaped(&finding.message), escaped(&format!("{facts}{}", finding.advice())));
        let failure = format!("<failure type=\"{code}\" message=\"{message}\">{text}</failure>");
        cases.push_str(&case(&format!("{code} {place}"), &failure));
    }
    for line in unchecked {
        let error = format!("<error message=\"not checked: {}\"/>", escaped(&line.reason));
        cases.push_str(&case(&format!("{} {}", line.module, line.place), &error));
    }
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", failures + errors);
    suite(name, &counts, &cases)
}

fn suite(name: &str, counts: &str, cases: &str) -> String {
    format!("  <testsuite name=\"{}\" {counts}>\n{cases}  </testsuite>\n", escaped(name))
}

fn case(name: &str, result: &str) -> String {
    format!("    <testcase name=\"{}\">{result}</testcase>\n", escaped(name))
}

/// Escapes attributes and text. XML 1.0 cannot represent most control characters.
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
