//! The comment can be read, has no text from elsewhere outside of code spans, and fits.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use super::super::tests::{HOSTILE, accepted, clean, finding, rendered, reports, unaudited};
use super::super::{Code, ComparedWith, Format};
use super::*;
use gomodule::module::ModuleVersion;

/// What would be a link, a mention, a reference, HTML, a command or the end of a cell.
const MARKUP: &str = "`` @org/team #1 !2 [x](https://evil.example) <img src=x onerror=y> | \\| \\\\| ``` **b** _i_ ~~s~~ &lt; \n/close\n# h";

fn change(text: &str) -> Change {
    Change {
        place: Place { file: Path::new(text).into(), line: Some(3) },
        others: 2,
        module: text.to_owned(),
        from: Some(text.to_owned()),
        to: Some(text.to_owned()),
        taken: Some(ModuleVersion::parse("a.com/b@v1.0.0").unwrap()),
        in_log: InLog::Record { number: 7, age: None },
        retracted: Retracted::Yes(text.to_owned()),
    }
}

/// A report with this text in every field.
fn full(text: &str, count: usize) -> Report {
    let base = ComparedWith { work_tree: text.into(), commit: text.to_owned() };
    let found = finding(Code::MissingLine, 2, text);
    let found = Finding { help: Some(text.to_owned()), also: found.place.clone().into_iter().collect(), ..found };
    Report {
        base: vec![base; count.min(50)],
        changes: vec![change(text); count],
        findings: vec![found.clone(); count],
        accepted: vec![accepted(found); count],
        unchecked: vec![super::super::Unaudited { module: text.to_owned(), ..unaudited(4, text) }; count],
        excluded: vec![(text.into(), text.to_owned()); count],
        skipped: vec![unaudited(5, text)],
        database: Some(super::super::ProofTree { name: text.to_owned(), size: 57, is_current: false }),
        policies: Some(super::super::PoliciesInForce { now: Some(text.into()), base: Some(text.into()), warn: None }),
        misbehaviour: Some(super::super::Misbehaviour { message: text.to_owned(), evidence: text.into() }),
        ..clean()
    }
}

#[test]
fn no_text_from_elsewhere_is_outside_of_code_spans() {
    for text in [HOSTILE, MARKUP, "\\", "`", "|", " ", "", "a\\", "##[error]x", "\u{2028}- [ ] x"] {
        let shown = rendered(&full(text, 2), Format::Markdown);
        let mut columns = 0;
        for line in shown.lines() {
            assert!(line.matches('`').count().is_multiple_of(2), "{line}");
            let outside: String = line.split('`').step_by(2).collect();
            let ours = |c: char| c.is_ascii_alphanumeric() || "–…<>:|-*#.,() ".contains(c);
            assert!(outside.chars().all(ours), "{line:?}");
            let outside = outside.replace("<br>", "").replace("**yes**", "");
            assert!(!outside.contains(['<', '>', '*']), "{line:?}");
            assert!(
                !outside.contains('#') || line.starts_with("### sumgate: ") || line.starts_with("#### "),
                "{line:?}"
            );
            assert!(!line.contains("##["), "{line:?}");
            // GFM counts each pipe that has no backslash before it, also in code spans.
            let pipes = line.matches('|').count();
            if line.starts_with('|') {
                columns = if columns == 0 { pipes } else { columns };
                assert!(pipes == columns && !line.contains("\\|"), "{line:?}");
            } else {
                assert_eq!(pipes, 0, "{line:?}");
                columns = 0;
            }
        }
        assert!(!shown.chars().any(|c| c != '\n' && c.is_control()), "{shown:?}");
    }
}

#[test]
fn a_comment_is_never_longer_than_github_accepts() {
    let wide = "\u{1f980}".repeat(2000);
    for text in ["x", MARKUP, &wide] {
        let shown = rendered(&full(text, 3_000), Format::Markdown);
        assert!(shown.chars().count() <= 65_536 && shown.len() <= 65_536, "{}", shown.len());
        let left = shown.lines().filter(|line| line.ends_with(" more are not shown: `--format json` has all.")).count();
        assert!(left >= 4, "{left}: {shown}");
    }
    let many: Vec<Finding> = Code::all().iter().map(|code| Finding::new(*code, "x")).collect();
    let shown = rendered(&Report { findings: many, ..clean() }, Format::Markdown);
    assert!(!shown.contains("are not shown") || shown.len() < 65_536, "{shown}");
    // What is left out is counted, and the worst is shown.
    let mut report = Report { findings: vec![finding(Code::UnknownVersion, 1, &wide); 500], ..clean() };
    report.findings.push(finding(Code::HashMismatch, 2, "forged"));
    report.put_worst_first();
    let shown = rendered(&report, Format::Markdown);
    let rows = shown.lines().filter(|line| line.starts_with("| error")).count();
    assert!(shown.contains("| error | `hash-mismatch` | `sub/sub dir/go.sum:2` | `forged`"), "{shown}");
    assert!(shown.contains(&format!("\n{} more are not shown", 501 - rows)), "{rows}: {shown}");
}

#[test]
fn every_ending_has_its_heading() {
    for (report, ending) in reports() {
        let shown = rendered(&report, Format::Markdown);
        let heading = match ending {
            Ending::Nothing => "nothing to check",
            Ending::Clean => "clean",
            Ending::Findings => "failed",
            Ending::NotFinished => "NOT FINISHED",
            Ending::Misbehaviour => "THE DATABASE MISBEHAVED",
        };
        assert!(shown.starts_with(&format!("### sumgate: {heading}\n\n")), "{shown}");
    }
}

#[test]
fn a_short_comment() {
    let base = ComparedWith { work_tree: "/x".into(), commit: "0123".to_owned() };
    let new = Change {
        others: 0,
        from: None,
        to: Some("v1.0.0".to_owned()),
        in_log: InLog::Record { number: 7, age: Some("30 days".to_owned()) },
        retracted: Retracted::No,
        ..change("go.mod")
    };
    let folder = Change {
        to: Some("../x".to_owned()),
        taken: None,
        in_log: InLog::NotKnown,
        retracted: Retracted::NotKnown,
        ..new.clone()
    };
    let report = Report {
        base: vec![base],
        changes: vec![new, folder],
        findings: vec![Finding::new(Code::DroppedLine, "an old line").at(Path::new("go.sum"))],
        ..clean()
    };
    let expected = "\
### sumgate: clean

- proved: 7 lines of 1 file, in the tree of 57 records of `sum.golang.org`
- only what is new since `0123`

#### What changed

| module | from | to | in the log | retracted |
|---|---|---|---|---|
| `go.mod`<br>`sub/go.mod:3` | – | `v1.0.0` | record 7, at least 30 days | no |
| `go.mod`<br>`sub/go.mod:3` | – | `../x` | no hash covers it | – |

#### Findings

| | finding | where | what |
|---|---|---|---|
| note | `dropped-line` | `sub/go.sum` | `an old line` |

#### What to do

- `dropped-line`: Run `go mod tidy`.
";
    assert_eq!(rendered(&report, Format::Markdown), expected);
}
