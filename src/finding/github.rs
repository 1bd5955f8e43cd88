//! For GitHub Actions: one workflow command for each finding, and the verdict as text
//! (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).

use super::human::verdict;
use super::unchecked::by_cause;
use super::{Place, RenderOptions, Report, Severity};
use crate::base::text::{safe, safe_path};

pub(super) fn render(report: &Report, options: RenderOptions) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let command = match finding.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let facts: String =
            finding.facts.iter().map(|(name, value)| format!("\n{}: {}", safe(name), safe(value))).collect();
        let message = format!("{}{facts}\n{}", safe(&finding.message), finding.advice());
        text.push_str(&annotation(command, finding.place.as_ref(), finding.code.name(), &message));
    }
    for (path, why) in &report.excluded {
        text.push_str(&annotation("notice", Some(&path.into()), "excluded", &safe(&format!("excluded ({why})"))));
    }
    for group in by_cause(&report.unchecked) {
        if let Some(summary) = group.summary() {
            text.push_str(&annotation("error", None, "not checked", &summary));
            continue;
        }
        for line in group.lines {
            let message = format!("{}: {}", safe(&line.module), safe(&line.reason));
            text.push_str(&annotation("error", Some(&line.place), "not checked", &message));
        }
    }
    if let Some(one) = &report.misbehaviour {
        text.push_str(&annotation("error", None, "the database misbehaved", &safe(&one.message)));
    }
    text + &verdict(report, RenderOptions { colour: false, ..options })
}

fn annotation(command: &str, place: Option<&Place>, title: &str, message: &str) -> String {
    let mut properties = Vec::new();
    if let Some(place) = place {
        properties.push(format!("file={}", property(&safe_path(&place.file))));
        properties.extend(place.line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(title)));
    format!("::{command} {}::{}\n", properties.join(","), data(message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
