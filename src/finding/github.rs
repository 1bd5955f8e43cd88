//! For GitHub Actions: workflow commands for the worst findings, all others as lines of the log, and the verdict
//! (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).

use std::io::{self, Write};
use std::path::PathBuf;

use super::human::verdict;
use super::unchecked::{Group, by_cause};
use super::{Accepted, Finding, Misbehaviour, Place, RenderOptions, Report, Severity, Unaudited};
use crate::base::text::{safe, safe_path, without_commands};

/// GitHub shows ten annotations of a kind for each step, and drops the others without a word (actions/toolkit,
/// docs/problem-matchers.md).
const MAX: usize = 10;

/// One thing to tell.
enum Told<'a> {
    Misbehaviour(&'a Misbehaviour),
    Finding(&'a Finding),
    Accepted(&'a Accepted),
    NotChecked(&'a Unaudited),
    /// Lines that were not checked for one cause.
    Lines(String),
    Excluded(&'a (PathBuf, String)),
}

pub(super) fn write(report: &Report, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    let groups = by_cause(&report.unchecked);
    let count = told(report, &groups).count();
    let shown = if count > MAX { MAX - 1 } else { count };
    for one in told(report, &groups).take(shown) {
        let place = one.place().map(|place| properties(&place, options)).unwrap_or_default();
        write_command(out, one.level(), &format!("{place}title={}", property(one.title())), &one.text())?;
    }
    let rest = || told(report, &groups).skip(shown);
    if let Some(first) = rest().next() {
        let more = count - shown;
        let text = format!("{more} more, listed in the log of this step: {}", counted(rest()));
        write_command(out, first.level(), "title=more findings", &text)?;
        writeln!(out, "::group::{more} more")?;
        rest().try_for_each(|one| out.write_all(one.line().as_bytes()))?;
        writeln!(out, "::endgroup::")?;
    }
    let plain = RenderOptions { colour: false, ..options.clone() };
    out.write_all(verdict(report, &plain).as_bytes())
}

/// All there is to tell, worst first.
fn told<'a>(report: &'a Report, groups: &'a [Group<'a>]) -> impl Iterator<Item = Told<'a>> {
    let errors = report.findings.iter().take_while(|finding| finding.severity() == Severity::Error).count();
    let (errors, others) = report.findings.split_at(errors);
    let misbehaviour = report.misbehaviour.iter().map(Told::Misbehaviour);
    let unchecked = groups.iter().flat_map(|group| {
        let summary = group.summary();
        // A group without a summary is one line.
        let lines = if summary.is_some() { &[][..] } else { &group.lines };
        summary.map(Told::Lines).into_iter().chain(lines.iter().map(|line| Told::NotChecked(line)))
    });
    let findings = |findings: &'a [Finding]| findings.iter().map(Told::Finding);
    let excluded = report.excluded.iter().map(Told::Excluded);
    let accepted = report.accepted.iter().map(Told::Accepted);
    misbehaviour.chain(findings(errors)).chain(unchecked).chain(findings(others)).chain(accepted).chain(excluded)
}

/// How many there are of each kind.
fn counted<'a>(told: impl Iterator<Item = Told<'a>>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for one in told {
        // There are few more kinds than codes.
        match counts.iter_mut().find(|(title, _)| *title == one.title()) {
            Some((_, count)) => *count += 1,
            None => counts.push((one.title(), 1)),
        }
    }
    counts.iter().map(|(title, count)| format!("{count} {title}")).collect::<Vec<_>>().join(", ")
}

impl Told<'_> {
    fn level(&self) -> Severity {
        match self {
            Self::Misbehaviour(_) | Self::NotChecked(_) | Self::Lines(_) => Severity::Error,
            Self::Finding(finding) => finding.severity(),
            Self::Accepted(_) | Self::Excluded(_) => Severity::Note,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Misbehaviour(_) => "the database misbehaved",
            Self::Finding(finding) => finding.code.name(),
            Self::Accepted(_) => "accepted",
            Self::NotChecked(_) | Self::Lines(_) => "not checked",
            Self::Excluded(_) => "excluded",
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Finding(finding) => finding.place.clone(),
            Self::Accepted(accepted) => accepted.finding.place.clone(),
            Self::NotChecked(line) => Some(line.place.clone()),
            Self::Excluded((path, _)) => Some(path.into()),
            Self::Misbehaviour(_) | Self::Lines(_) => None,
        }
    }

    fn text(&self) -> String {
        let text = match self {
            Self::Misbehaviour(one) => one.message.clone(),
            Self::Finding(finding) => finding.text(),
            Self::Accepted(Accepted { finding, by }) => {
                format!("{}: {}\n{}", finding.code.name(), finding.message, by.in_words())
            }
            Self::NotChecked(line) => format!("{}: {}", line.module, line.reason),
            Self::Lines(summary) => summary.clone(),
            Self::Excluded((_, why)) => format!("excluded ({why})"),
        };
        text.split('\n').map(safe).collect::<Vec<_>>().join("\n")
    }

    /// A line of the log. It begins with a dash, and has no `##[`: neither form of a workflow command.
    fn line(&self) -> String {
        let place = self.place().map(|place| format!("{}: ", safe(&place.to_string()))).unwrap_or_default();
        let text = self.text().replace('\n', "; ");
        without_commands(&format!("- {place}{}[{}]: {text}\n", self.level(), self.title()))
    }
}

fn properties(place: &Place, options: &RenderOptions) -> String {
    let line = place.line.map(|line| format!("line={line},")).unwrap_or_default();
    format!("file={},{line}", property(&safe_path(&options.root.shown(&place.file))))
}

fn write_command(out: &mut dyn Write, level: Severity, properties: &str, message: &str) -> io::Result<()> {
    let command = match level {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    writeln!(out, "::{command} {properties}::{}", data(message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
