//! JUnit XML for test reports, as Jenkins and GitLab read it. Each file is a suite, each finding a failure, each line that
//! could not be checked an error, each accepted finding a skipped test, and the proved lines together are one test that passed.
//! What a rule of the policy only warns of is a skipped test, too, unless --deny makes it fail.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Accepted, Code, Finding, Place, RenderOptions, Report, Root, Unaudited};

/// GitLab reads no file with more than 250,000 elements and attributes (issue 507482 of gitlab-org/gitlab).
/// A case has at most seven, and its suite, if it is the only one there, six.
const MAX_CASES: usize = 15_000;
/// GitLab reads no file of 30 MB or more (its page "Unit test reports"). The rest is for what is outside
/// the cases.
const MAX_BYTES: usize = 20_000_000;

/// What a case is about. Its text is made twice, and not kept.
#[derive(Clone, Copy)]
enum Case<'a> {
    Finding(&'a Finding),
    /// What a rule of the policy that only warns says, below the bar of --deny.
    Warned(&'a Finding),
    Accepted(&'a Accepted),
    NotChecked(&'a Unaudited),
    Excluded(&'a (PathBuf, String)),
}

/// The suites, in the order of their first cases, and the number of cases over the limits.
struct Suites<'a> {
    all: Vec<(String, Vec<Case<'a>>)>,
    more: usize,
}

pub(super) fn write(report: &Report, options: &RenderOptions, out: &mut dyn Write) -> io::Result<()> {
    let root = &options.root;
    let suites = suites(report, options);
    out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sumgate audit\">\n")?;
    for (name, cases) in &suites.all {
        let count = |is: fn(&Case<'_>) -> bool| cases.iter().filter(|case| is(case)).count();
        let failures = count(|case| matches!(case, Case::Finding(_)));
        let errors = count(|case| matches!(case, Case::NotChecked(_)));
        write_start(out, name, [cases.len(), failures, errors, cases.len() - failures - errors])?;
        cases.iter().try_for_each(|case| out.write_all(case.text(root).as_bytes()))?;
        writeln!(out, "  </testsuite>")?;
    }
    write_summary(report, suites.more, out)?;
    writeln!(out, "</testsuites>")
}

fn suites<'a>(report: &'a Report, RenderOptions { root, deny, .. }: &RenderOptions) -> Suites<'a> {
    let mut suites = Suites { all: Vec::new(), more: 0 };
    let (mut of_file, mut cases, mut bytes) = (HashMap::new(), 0, 0);
    let only_warns = |finding: &Finding| finding.code == Code::PolicyWarning && finding.severity() < *deny;
    let case = |finding: &'a Finding| if only_warns(finding) { Case::Warned(finding) } else { Case::Finding(finding) };
    let findings = report.findings.iter().map(case);
    let unchecked = report.unchecked.iter().map(Case::NotChecked);
    let accepted = report.accepted.iter().map(Case::Accepted);
    for case in findings.chain(unchecked).chain(accepted).chain(report.excluded.iter().map(Case::Excluded)) {
        let file = case.suite();
        // Each case may begin a suite, which has its name once more.
        let name = || escaped(&root.shown(file).display().to_string());
        if cases < MAX_CASES && bytes <= MAX_BYTES {
            bytes += case.text(root).len() + name().len();
        }
        if cases == MAX_CASES || bytes > MAX_BYTES {
            suites.more += 1;
            continue;
        }
        cases += 1;
        let at = *of_file.entry(file).or_insert(suites.all.len());
        if at == suites.all.len() {
            suites.all.push((name(), Vec::new()));
        }
        suites.all[at].1.push(case);
    }
    suites
}

/// What was proved, what is left out, and whether the database misbehaved.
fn write_summary(report: &Report, more: usize, out: &mut dyn Write) -> io::Result<()> {
    let (failures, errors) = (usize::from(more > 0), usize::from(report.misbehaviour.is_some()));
    write_start(out, "summary", [failures + 1, failures, errors, 0])?;
    if more > 0 {
        let message = format!("{more} more are not listed, the least severe ones: --format json has all");
        let failure = format!("<failure message=\"{message}\"/>");
        out.write_all(case("findings that are not listed", "", &failure).as_bytes())?;
    }
    let last = if let Some(one) = &report.misbehaviour {
        case("the database", "", &format!("<error message=\"{}\"/>", escaped(&one.message)))
    } else {
        let policies = report.policies.as_ref().map(|policies| format!(", {policies}")).unwrap_or_default();
        let since: String = report.base.iter().map(|base| format!(", new since {}", base.commit)).collect();
        case(&format!("{} hashes proved{since}{policies}", report.proved), "", "")
    };
    out.write_all(last.as_bytes())?;
    writeln!(out, "  </testsuite>")
}

fn write_start(out: &mut dyn Write, name: &str, counts: [usize; 4]) -> io::Result<()> {
    let [tests, failures, errors, skipped] = counts;
    write!(out, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" ")?;
    writeln!(out, "errors=\"{errors}\" skipped=\"{skipped}\">")
}

impl<'a> Case<'a> {
    /// The file that names its suite.
    fn suite(self) -> &'a Path {
        match self {
            Self::Finding(finding) | Self::Warned(finding) | Self::Accepted(Accepted { finding, .. }) => {
                finding.place.as_ref().map_or(Path::new("the environment"), |place| &place.file)
            }
            Self::NotChecked(line) => &line.place.file,
            Self::Excluded(_) => Path::new("excluded"),
        }
    }

    fn text(self, root: &Root) -> String {
        let shown = |place: &Place| Place { file: root.shown(&place.file).into(), line: place.line }.to_string();
        let attribute = |place: &Place| {
            let inside = root.inside(&place.file)?;
            Some(format!(" file=\"{}\"", escaped(&inside.display().to_string())))
        };
        let skipped = |finding: &Finding, words: &str| {
            let place = finding.place.as_ref();
            let skipped = format!("<skipped message=\"{}\"/>", escaped(words));
            let name = format!("{} {}", finding.code.name(), place.map(shown).unwrap_or_default());
            case(&name, &place.and_then(attribute).unwrap_or_default(), &skipped)
        };
        match self {
            Self::Finding(finding) => {
                let (place, code) = (finding.place.as_ref(), finding.code.name());
                let (message, text) = (escaped(&finding.message), escaped(&finding.text()));
                let failure = format!("<failure type=\"{code}\" message=\"{message}\">{text}</failure>");
                let name = format!("{code} {}", place.map(shown).unwrap_or_default());
                case(&name, &place.and_then(attribute).unwrap_or_default(), &failure)
            }
            Self::NotChecked(line) => {
                let error = format!("<error message=\"not checked: {}\"/>", escaped(&line.reason));
                let name = format!("{} {}", line.module, shown(&line.place));
                case(&name, &attribute(&line.place).unwrap_or_default(), &error)
            }
            Self::Warned(finding) => skipped(finding, &finding.message),
            Self::Accepted(Accepted { finding, by }) => {
                skipped(finding, &format!("{}; {}", by.in_words(), finding.message))
            }
            // A skipped test.
            Self::Excluded((path, why)) => {
                let skipped = format!("<skipped message=\"{}\"/>", escaped(why));
                case(&root.shown(path).display().to_string(), "", &skipped)
            }
        }
    }
}

fn case(name: &str, attribute: &str, result: &str) -> String {
    format!("    <testcase name=\"{}\"{attribute}>{result}</testcase>\n", escaped(name))
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
