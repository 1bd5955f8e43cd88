//! Markdown for a comment in a pull request, as GitHub and GitLab show it: what changed, what was proved, what was found.
//!
//! All text from elsewhere is in code spans, in which nothing is a link, a mention, HTML or the end of a table cell.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::unchecked::by_cause;
use super::{Accepted, Change, Ending, Finding, InLog, Place, RenderOptions, Report, Retracted};
use crate::base::text::{counted, safe, without_commands};

/// The bytes of each part. GitHub accepts 65,536 characters in a comment (REST API, "Create an issue comment"), and GitLab more. The
/// parts have 60,000 together; the rest is for the head, and for what a workflow adds.
const MAX_FINDINGS: usize = 22_000;
const MAX_CHANGES: usize = 14_000;
const MAX_UNCHECKED: usize = 8_000;
const MAX_ACCEPTED: usize = 8_000;
const MAX_ADVICE: usize = 6_000;
const MAX_EXCLUDED: usize = 2_000;
/// Characters of one text. Our own choice: more is not read in a table.
const MAX_TEXT: usize = 300;
/// The same for paths and names.
const MAX_NAME: usize = 120;
/// Values of one finding, and commits of repositories. Our own choice.
const MAX_EACH: usize = 4;
/// In place of a value that does not exist.
const NONE: &str = "–";

pub(super) fn write(report: &Report, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    write_head(report, options, out)?;
    let place = |place: &Place| {
        code(&Place { file: options.root.shown(&place.file).into(), line: place.line }.to_string(), MAX_NAME)
    };
    if !report.base.is_empty() {
        let what = "| module | from | to | in the log | retracted |\n|---|---|---|---|---|\n";
        let rows = report.changes.iter().map(|change| row_of_change(change, &place));
        write_part(out, "What changed", what, rows, MAX_CHANGES)?;
    }
    let what = "| | finding | where | what |\n|---|---|---|---|\n";
    let shown =
        write_part(out, "Findings", what, report.findings.iter().map(|one| row_of_finding(one, &place)), MAX_FINDINGS)?;
    write_advice(&report.findings[..shown], out)?;
    let groups = by_cause(&report.unchecked);
    let rows = groups.iter().map(|group| match (group.summary(), group.lines.first()) {
        (None, Some(line)) => {
            format!("- {} in {}: {}\n", code(&line.module, MAX_NAME), place(&line.place), code(&line.reason, MAX_TEXT))
        }
        (summary, _) => format!("- {}\n", code(&summary.unwrap_or_default(), MAX_TEXT)),
    });
    write_part(out, "Not checked", "", rows, MAX_UNCHECKED)?;
    let what = "| | finding | where | what | accepted |\n|---|---|---|---|---|\n";
    write_part(
        out,
        "Accepted by the policy",
        what,
        report.accepted.iter().map(|one| row_of_accepted(one, &place)),
        MAX_ACCEPTED,
    )?;
    let rows = report.excluded.iter().map(|(path, why)| {
        format!("- {} ({})\n", code(&options.root.shown(path).to_string_lossy(), MAX_NAME), code(why, MAX_NAME))
    });
    write_part(out, "Excluded", "", rows, MAX_EXCLUDED)?;
    Ok(())
}

/// The verdict, and what was proved.
fn write_head(report: &Report, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    let verdict = match report.ending(options.deny) {
        Ending::Misbehaviour => "THE DATABASE MISBEHAVED",
        Ending::NotFinished => "NOT FINISHED",
        Ending::Findings => "failed",
        Ending::Clean => "clean",
        Ending::Nothing => "nothing to check",
    };
    writeln!(out, "### sumgate: {verdict}\n")?;
    if let Some(one) = &report.misbehaviour {
        let evidence = code(&one.evidence.to_string_lossy(), MAX_NAME);
        writeln!(out, "- {}, evidence in {evidence}: nothing else here is reliable", code(&one.message, MAX_TEXT))?;
    }
    if !report.files.is_empty() {
        let database = report.database.as_ref().filter(|tree| tree.size > 0).map(|tree| {
            let stored = if tree.is_current { "" } else { "stored " };
            format!(", in the {stored}tree of {} records of {}", tree.size, code(&tree.name, MAX_NAME))
        });
        let (proved, files) = (counted(report.proved, "line"), counted(report.files.len(), "file"));
        writeln!(out, "- proved: {proved} of {files}{}", database.unwrap_or_default())?;
    }
    if !report.unchecked.is_empty() {
        writeln!(out, "- not checked: {}", counted(report.unchecked.len(), "line"))?;
    }
    if !report.skipped.is_empty() {
        writeln!(
            out,
            "- private, so no server was asked, and nothing is proved: {}",
            counted(report.skipped.len(), "line")
        )?;
    }
    for base in report.base.iter().take(MAX_EACH) {
        let of = if report.base.len() > 1 {
            format!(" of {}", code(&base.work_tree.to_string_lossy(), MAX_NAME))
        } else {
            String::new()
        };
        writeln!(out, "- only what is new since {}{of}", code(&base.commit, MAX_NAME))?;
    }
    if let Some(policies) = &report.policies {
        writeln!(out, "- {}", code(&policies.to_string(), MAX_TEXT))?;
    }
    Ok(())
}

/// Writes a heading and as many rows as the part has room for. Returns their number.
fn write_part(
    out: &mut dyn Write,
    title: &str,
    head: &str,
    rows: impl ExactSizeIterator<Item = String>,
    max: usize,
) -> io::Result<usize> {
    let count = rows.len();
    if count == 0 {
        return Ok(0);
    }
    write!(out, "\n#### {title}\n\n{head}")?;
    let (mut bytes, mut shown) = (0, 0);
    for row in rows {
        bytes += row.len();
        if bytes > max {
            break;
        }
        out.write_all(row.as_bytes())?;
        shown += 1;
    }
    if shown < count {
        writeln!(out, "\n{} more are not shown: `--format json` has all.", count - shown)?;
    }
    Ok(shown)
}

fn row_of_change(change: &Change, place: &dyn Fn(&Place) -> String) -> String {
    let value = |text: &Option<String>| text.as_ref().map_or_else(|| NONE.to_owned(), |text| code(text, MAX_NAME));
    let others =
        if change.others > 0 { format!(" and {}", counted(change.others, "other file")) } else { String::new() };
    let log = match (&change.in_log, &change.taken, &change.to) {
        (InLog::Record { number, age: Some(age) }, ..) => format!("record {number}, at least {age}"),
        (InLog::Record { number, age: None }, ..) => format!("record {number}, age not known"),
        (InLog::NoRecord, ..) => "**no record**".to_owned(),
        (InLog::Private, ..) => "private, not asked".to_owned(),
        (InLog::NotKnown, Some(_), _) => "not known".to_owned(),
        (InLog::NotKnown, None, Some(_)) => "no hash covers it".to_owned(),
        (InLog::NotKnown, None, None) => NONE.to_owned(),
    };
    let retracted = match &change.retracted {
        Retracted::Yes(why) if why.is_empty() => "**yes**".to_owned(),
        Retracted::Yes(why) => format!("**yes**: {}", code(why, MAX_TEXT)),
        Retracted::No => "no".to_owned(),
        Retracted::NotKnown if change.in_log == InLog::Private => "not asked".to_owned(),
        Retracted::NotKnown if change.taken.is_some() => "not known".to_owned(),
        Retracted::NotKnown => NONE.to_owned(),
    };
    let (module, place) = (code(&change.module, MAX_NAME), place(&change.place));
    let (from, to) = (value(&change.from), value(&change.to));
    format!("| {module}<br>{place}{others} | {from} | {to} | {log} | {retracted} |\n")
}

fn row_of_finding(finding: &Finding, place: &dyn Fn(&Place) -> String) -> String {
    format!("| {} |\n", cells(finding, place))
}

fn row_of_accepted(Accepted { finding, by }: &Accepted, place: &dyn Fn(&Place) -> String) -> String {
    let (until, policy) = (by.until(), place(&by.place));
    format!("| {} | {until} ({policy}): {} |\n", cells(finding, place), code(&by.reason, MAX_TEXT))
}

/// Severity, code, place, and the message with the values.
fn cells(finding: &Finding, place: &dyn Fn(&Place) -> String) -> String {
    let mut places: Vec<String> = finding.place.iter().chain(&finding.also).take(MAX_EACH).map(place).collect();
    let more = (finding.also.len() + 1).saturating_sub(MAX_EACH);
    if more > 0 {
        places.push(format!("{more} more"));
    }
    let places = if places.is_empty() { NONE.to_owned() } else { places.join("<br>") };
    let facts = finding.facts.iter().take(MAX_EACH);
    let facts: String =
        facts.map(|(name, value)| format!("<br>{}: {}", code(name, MAX_NAME), code(value, MAX_TEXT))).collect();
    let (severity, name, message) = (finding.severity(), finding.code.name(), code(&finding.message, MAX_TEXT));
    format!("{severity} | `{name}` | {places} | {message}{facts}")
}

/// What to do about each kind of finding, once.
fn write_advice(findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    let mut seen = BTreeSet::new();
    let first = findings.iter().filter(|finding| seen.insert((finding.code, finding.help.as_deref())));
    let advice = |finding: &Finding| {
        // Our own words, in which code spans are marked already.
        let text = finding
            .help
            .as_deref()
            .map_or_else(|| finding.code.help().replace('*', "\\*"), |help| code(help, MAX_TEXT));
        format!("- `{}`: {text}\n", finding.code.name())
    };
    let all: Vec<String> = first.map(advice).collect();
    write_part(out, "What to do", "", all.into_iter(), MAX_ADVICE).map(|_| ())
}

/// Text from elsewhere as a code span of at most `max` characters.
fn code(text: &str, max: usize) -> String {
    // Neither can be escaped in a code span: one ends it, the other one the cell of a table.
    let text = without_commands(&safe(text)).replace('`', "\\u{60}").replace('|', "\\u{7c}");
    let cut = match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    };
    if cut.trim().is_empty() { NONE.to_owned() } else { format!("`{cut}`") }
}

#[cfg(test)]
mod tests;
