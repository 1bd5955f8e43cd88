//! Text for terminals: findings by file, the advice for each kind once, and a verdict in the last line.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};

use super::unchecked::by_cause;
use super::{Ending, Finding, ProofTree, RenderOptions, Report, Severity, Unaudited};
use crate::base::text::{safe, safe_lines, safe_start_of_line, without_commands};

/// Lines with one cause that are listed all the same: they do not hide what else is shown.
const FEW: usize = 5;

pub(super) fn write(report: &Report, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    let mut explained = BTreeSet::new();
    let first_apart = report.findings.iter().position(|finding| finding.apart);
    for (at, finding) in report.findings.iter().enumerate() {
        if first_apart == Some(at) {
            out.write_all(b"In files that `go` does not read for this repository:\n\n")?;
        }
        put(out, &shown(finding, options))?;
        if explained.insert((finding.code, finding.help.as_deref())) {
            let advice = if finding.help.is_some() { "" } else { finding.code.meaning() };
            put(out, &wrapped(&format!("{advice} {}", finding.advice()), options.width))?;
        }
        writeln!(out)?;
    }
    for accepted in &report.accepted {
        put(out, &format!("{}    {}\n\n", shown(&accepted.finding, options), safe(&accepted.by.in_words())))?;
    }
    if options.verbose {
        report.skipped.iter().try_for_each(|skipped| put(out, &unaudited("skipped", skipped)))?;
    }
    for (path, why) in &report.excluded {
        put(out, &format!("{}: excluded ({})\n", safe_start_of_line(&path.to_string_lossy()), safe(why)))?;
    }
    for group in by_cause(&report.unchecked) {
        let summary = group.summary();
        if summary.is_none() || options.verbose || group.lines.len() <= FEW {
            group.lines.iter().try_for_each(|line| put(out, &unaudited("not checked", line)))?;
        }
        if let Some(summary) = summary {
            put(out, &format!("{summary}\n"))?;
        }
    }
    if let Some(one) = &report.misbehaviour {
        put(out, &format!("{}\n\n", safe_lines(&one.message).replace('\n', "\n    ")))?;
    }
    put(out, &verdict(report, options))
}

/// Writes whole lines.
fn put(out: &mut dyn Write, lines: &str) -> io::Result<()> {
    out.write_all(without_commands(lines).as_bytes())
}

fn shown(finding: &Finding, options: &RenderOptions) -> String {
    let colour = match finding.severity() {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    let place = finding
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!("{}: ", safe_start_of_line(&place.to_string())));
    let label = painted(&format!("{}[{}]", finding.severity(), finding.code.name()), colour, options);
    let mut text = format!("{place}{label}: {}\n", safe(&finding.message));
    text.extend(finding.also.iter().map(|place| format!("    also in {}\n", safe(&place.to_string()))));
    let width = finding.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in finding.facts.iter() {
        text.push_str(&format!("    {:width$}  {}\n", safe(name), safe(value)));
    }
    text
}

fn unaudited(what: &str, line: &Unaudited) -> String {
    format!(
        "{}: {what}: {} ({})\n",
        safe_start_of_line(&line.place.to_string()),
        safe(&line.module),
        safe(&line.reason)
    )
}

/// One line with the ending and the counts.
pub(super) fn verdict(report: &Report, options: &RenderOptions) -> String {
    let mut words = Vec::new();
    let count = |severity| report.findings.iter().filter(|finding| finding.severity() == severity).count();
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        match count(severity) {
            0 => {}
            1 => words.push(format!("1 {severity}")),
            n => words.push(format!("{n} {severity}s")),
        }
    }
    if !report.accepted.is_empty() {
        words.push(format!("{} accepted", report.accepted.len()));
    }
    if !report.files.is_empty() {
        words.push(format!("{} proved", report.proved));
    }
    if !report.skipped.is_empty() {
        words.push(format!("{} exempt", report.skipped.len()));
    }
    for base in &report.base {
        let of = if report.base.len() > 1 { format!(" of {}", base.work_tree.display()) } else { String::new() };
        words.push(safe(&format!("new since {}{of}", base.commit)));
    }
    if let Some(ProofTree { name, size, is_current }) = &report.database {
        let stored = if *is_current { "" } else { "stored " };
        if *size > 0 {
            words.push(format!("{stored}tree of {size} records of {}", safe(name)));
        }
    }
    words.extend(report.policies.as_ref().map(ToString::to_string));
    let evidence = report.misbehaviour.as_ref().map(|one| safe(&one.evidence.display().to_string()));
    let (colour, head) = match report.ending(options.deny) {
        Ending::Misbehaviour => {
            (AnsiColor::Red, format!("THE DATABASE MISBEHAVED, evidence in {}", evidence.unwrap_or_default()))
        }
        Ending::NotFinished => (AnsiColor::Red, format!("NOT FINISHED, {} not checked", report.unchecked.len())),
        Ending::Findings => (AnsiColor::Red, "failed".to_owned()),
        Ending::Clean => (AnsiColor::Green, "clean".to_owned()),
        Ending::Nothing => (AnsiColor::Yellow, "nothing to check".to_owned()),
    };
    let separator = if words.is_empty() { "" } else { ": " };
    format!("{}{separator}{}\n", painted(&head, colour, options), words.join(", "))
}

fn painted(text: &str, colour: AnsiColor, options: &RenderOptions) -> String {
    let style = Style::new().bold().fg_color(Some(colour.into()));
    if options.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Wraps a text into indented lines of at most `width` characters. A longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> String {
    const INDENT: usize = 4;
    let mut lines = String::new();
    let (mut line, mut length) = (String::new(), 0);
    for word in text.split_whitespace() {
        let more = word.chars().count();
        if length > 0 && INDENT + length + 1 + more > width {
            lines.push_str(&format!("    {line}\n"));
            (line, length) = (String::new(), 0);
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += more;
    }
    if line.is_empty() { lines } else { lines + &format!("    {line}\n") }
}
