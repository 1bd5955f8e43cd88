//! Every format is complete, valid by its schema, and escapes untrusted text.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

use std::path::Path;

use serde_json::Value;

use super::*;

/// A text that attacks terminals, XML parsers, workflow commands and line-based readers.
pub(super) const HOSTILE: &str =
    "a\u{1b}[31m<b>&\"'\n::error::c%0A\u{0}\u{202e}\u{200b}\u{feff}\u{61c}\u{3164}\u{e0041}";

pub(super) fn place(line: u32) -> Place {
    Place { file: Path::new("sub dir/go.sum").into(), line: Some(line) }
}

pub(super) fn finding(code: Code, line: u32, text: &str) -> Finding {
    Finding {
        code,
        place: Some(place(line)),
        also: Vec::new(),
        module: Some("a.com/b@v1.0.0".to_owned()),
        message: text.to_owned(),
        facts: [("found", "h1:x"), ("proved hash", text)].into_iter().collect(),
        help: None,
        apart: false,
    }
}

pub(super) fn unaudited(line: u32, reason: &str) -> Unaudited {
    Unaudited { place: place(line), module: "a.com/c@v1.0.0".to_owned(), reason: reason.to_owned(), cause: None }
}

pub(super) fn accepted(finding: Finding) -> Accepted {
    let place = Place { file: Path::new(HOSTILE).into(), line: Some(9) };
    let until = finding.place.as_ref().map(|_| jiff::civil::date(2027, 6, 30));
    Accepted { finding, by: Arc::new(Acceptance { reason: HOSTILE.to_owned(), until, place }) }
}

fn base(digits: &str, work_tree: &str) -> ComparedWith {
    ComparedWith { work_tree: PathBuf::from(work_tree), commit: digits.repeat(4) }
}

pub(super) fn clean() -> Report {
    Report {
        files: vec![Path::new("sub dir/go.sum").into()],
        proved: 7,
        database: Some(ProofTree { name: "sum.golang.org".to_owned(), size: 57, is_current: true }),
        ..Report::default()
    }
}

/// Reports of each ending, with hostile text in every field.
pub(super) fn reports() -> Vec<(Report, Ending)> {
    let with = |finding: Finding| Report { findings: vec![finding], ..clean() };
    let misbehaviour = Misbehaviour { message: HOSTILE.to_owned(), evidence: PathBuf::from("/x/fork.txt") };
    let nowhere = Finding { place: None, module: None, ..finding(Code::SumdbOff, 1, "off") };
    vec![
        (clean(), Ending::Clean),
        (Report { skipped: vec![unaudited(3, HOSTILE)], ..clean() }, Ending::Clean),
        (Report { base: vec![base("0123456789", HOSTILE), base("abcdefabcd", "/y")], ..clean() }, Ending::Clean),
        (Report { excluded: vec![(PathBuf::from(HOSTILE), HOSTILE.to_owned())], ..clean() }, Ending::Clean),
        (Report { proved: 0, ..clean() }, Ending::Nothing),
        (with(finding(Code::DroppedLine, 2, "dropped")), Ending::Clean),
        (with(finding(Code::UnknownAlgorithm, 2, "unknown")), Ending::Findings),
        (with(finding(Code::HashMismatch, 2, HOSTILE)), Ending::Findings),
        (with(nowhere.clone()), Ending::Findings),
        (
            Report { accepted: vec![accepted(finding(Code::HashMismatch, 2, HOSTILE)), accepted(nowhere)], ..clean() },
            Ending::Clean,
        ),
        (
            Report { unchecked: vec![unaudited(4, HOSTILE)], ..with(finding(Code::HashMismatch, 2, "x")) },
            Ending::NotFinished,
        ),
        (
            Report { misbehaviour: Some(misbehaviour), unchecked: vec![unaudited(4, "x")], ..clean() },
            Ending::Misbehaviour,
        ),
    ]
}

pub(super) fn options() -> RenderOptions {
    let root = Root::new("/r/sub", vec!["/r".into()], "sub/go.mod");
    RenderOptions { root, width: 100, colour: false, verbose: true, deny: Severity::Warning }
}

pub(super) fn rendered(report: &Report, format: Format) -> String {
    rendered_with(report, format, &options())
}

pub(super) fn rendered_with(report: &Report, format: Format, options: &RenderOptions) -> String {
    let mut out = Vec::new();
    render(report, format, options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_worst_ending_wins_and_deny_moves_the_bar() {
    for (report, ending) in reports() {
        assert_eq!(report.ending(Severity::Warning), ending, "{report:?}");
    }
    let (warning, _) = &reports()[6];
    assert_eq!(warning.ending(Severity::Error), Ending::Clean);
    let (note, _) = &reports()[5];
    assert_eq!(note.ending(Severity::Note), Ending::Findings);
}

#[test]
fn human_reports_have_facts_advice_once_and_a_verdict_last() {
    let mut report = clean();
    report.findings = vec![finding(Code::HashMismatch, 2, "one"), finding(Code::HashMismatch, 9, "two")];
    let text = rendered(&report, Format::Human);
    assert!(text.starts_with("sub dir/go.sum:2: error[hash-mismatch]: one\n    found        h1:x\n"), "{text}");
    assert_eq!(text.matches("The usual causes").count(), 1, "{text}");
    assert!(text.ends_with("\nfailed: 2 errors, 7 proved, tree of 57 records of sum.golang.org\n"), "{text}");
    let last = |report: &Report| rendered(report, Format::Human).lines().last().unwrap().to_owned();
    assert_eq!(last(&clean()), "clean: 7 proved, tree of 57 records of sum.golang.org");
    assert!(last(&reports()[10].0).starts_with("NOT FINISHED, 1 not checked: 1 error"));
    assert!(last(&reports()[11].0).starts_with("THE DATABASE MISBEHAVED, evidence in /x/fork.txt"));
    let since = Report { base: vec![base("0123456789", "/x")], ..clean() };
    let commit = "0123456789".repeat(4);
    assert_eq!(last(&since), format!("clean: 7 proved, new since {commit}, tree of 57 records of sum.golang.org"));
    let coloured = rendered_with(&clean(), Format::Human, &RenderOptions { colour: true, ..options() });
    assert!(coloured.contains("\u{1b}[1m\u{1b}[32mclean\u{1b}[0m"), "{coloured:?}");
}

#[test]
fn many_lines_of_one_cause_are_one_sentence_except_in_formats_for_programs() {
    let cause = Some("sum.golang.org cannot be reached (connection refused)".to_owned());
    let lines = (1..=616).map(|nth| Unaudited { cause: cause.clone(), ..unaudited(nth, "refused at /lookup") });
    let unchecked: Vec<Unaudited> = lines.chain([unaudited(700, "damaged")]).collect();
    let tree = ProofTree { name: "sum.golang.org".to_owned(), size: 57, is_current: false };
    let report = Report { unchecked, database: Some(tree), ..clean() };
    let quiet = RenderOptions { verbose: false, ..options() };
    let shown =
        |format, options| rendered_with(&report, format, &options).lines().map(str::to_owned).collect::<Vec<_>>();
    let summary = "616 lines not checked: sum.golang.org cannot be reached (connection refused)";
    let damaged = "sub dir/go.sum:700: not checked: a.com/c@v1.0.0 (damaged)";
    let verdict = "NOT FINISHED, 617 not checked: 7 proved, stored tree of 57 records of sum.golang.org";
    assert_eq!(shown(Format::Human, quiet), [summary, damaged, verdict]);
    let all = shown(Format::Human, options());
    assert_eq!((all.len(), &*all[616]), (616 + 3, summary), "{all:?}");
    let github = shown(Format::Github, options());
    assert_eq!(github[0], format!("::error title=not checked::{summary}"));
    assert_eq!((github.len(), &*github[2]), (3, verdict));
    for format in [Format::Json, Format::Sarif, Format::Junit] {
        assert_eq!(rendered(&report, format).matches("refused at /lookup").count(), 616, "{format:?}");
    }
}

#[test]
fn findings_in_files_that_go_does_not_read_are_last_and_warnings() {
    let other = Finding {
        place: Some(Place { file: Path::new("go.sum").into(), line: Some(1) }),
        ..finding(Code::HashMismatch, 1, "b")
    };
    let mut report = Report { findings: vec![finding(Code::HashMismatch, 2, "a"), other], ..clean() };
    report.put_apart(&HashMap::from([(Path::new("sub dir/go.sum").into(), "it lies below testdata")]));
    report.put_worst_first();
    let severities: Vec<Severity> = report.findings.iter().map(Finding::severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warning]);
    let text = rendered(&report, Format::Human);
    let (counts, apart) = text.split_once("In files that `go` does not read for this repository:\n").unwrap();
    assert!(counts.starts_with("go.sum:1: error[hash-mismatch]: b"), "{text}");
    assert!(apart.contains("warning[hash-mismatch]: a") && apart.contains("it lies below testdata, so"), "{text}");
    assert!(text.contains("failed: 1 error, 1 warning"), "{text}");
    report.findings.remove(0);
    assert_eq!(report.ending(Severity::Error), Ending::Clean);
    assert!(rendered(&report, Format::Github).starts_with("::warning "));
}

#[test]
fn nothing_proved_is_not_called_clean() {
    let report = Report { proved: 0, database: None, ..clean() };
    assert_eq!(rendered(&report, Format::Human), "nothing to check: 0 proved\n");
    assert!(rendered(&report, Format::Json).contains("\"ending\": \"nothing-to-check\""));
    assert_eq!(rendered(&Report::default(), Format::Human), "clean\n", "the doctor reads no files");
}

#[test]
fn hostile_text_is_escaped_for_terminals_and_workflows() {
    for (report, _) in reports() {
        for format in [Format::Human, Format::Github] {
            let text = rendered(&report, format);
            let invisible = ['\u{202e}', '\u{200b}', '\u{feff}', '\u{61c}', '\u{3164}', '\u{e0041}'];
            assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || invisible.contains(&c))), "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("::error::c")), "{text}");
        }
    }
}

#[test]
fn no_path_begins_a_workflow_command() {
    for hostile in ["::notice title=x::all good/go.sum", "\u{3000}::stop-commands::x", " ::x", "##[error]x/go.sum"] {
        let place = Place { file: Path::new(hostile).into(), line: Some(1) };
        let unaudited = || Unaudited { place: place.clone(), ..unaudited(1, "x") };
        let one = Finding { place: Some(place.clone()), ..finding(Code::HashMismatch, 2, "##[warning]##vso[x]") };
        let excluded = vec![(PathBuf::from(hostile), "--exclude".to_owned())];
        let (findings, skipped) = (vec![one], vec![unaudited()]);
        let report = Report { findings, skipped, excluded, unchecked: vec![unaudited()], ..clean() };
        let text = rendered(&report, Format::Human);
        assert_eq!(text.lines().filter(|line| line.starts_with("./")).count(), 4, "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
        assert!(!text.contains("##[") && !text.contains("##vso["), "{text}");
    }
}

#[test]
fn workflow_commands_have_file_line_and_title() {
    let (report, _) = &reports()[10];
    let text = rendered(report, Format::Github);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("::error file=sub/sub dir/go.sum,line=2,title=hash-mismatch::x%0Afound: h1:x%0A"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("::error file=sub/sub dir/go.sum,line=4,title=not checked::a.com/c@v1.0.0: "),
        "{text}"
    );
}

#[test]
fn json_is_valid_by_its_schema() {
    let schema = jsonschema::validator_for(&serde_json::from_str(AUDIT_SCHEMA).unwrap()).unwrap();
    for (report, _) in reports() {
        let document: Value = serde_json::from_str(&rendered(&report, Format::Json)).unwrap();
        let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        // The schema does not accept everything.
        for field in document.as_object().unwrap().keys() {
            let mut broken = document.clone();
            broken[field] = Value::Bool(true);
            assert!(!schema.is_valid(&broken), "{field}");
        }
    }
}

/// The official schema, from a package that contains it.
fn sarif_schema() -> Value {
    // Offline, only packages for this platform are available.
    let version = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--offline", "--filter-platform", host, "--manifest-path"]);
    let output = cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|one| one["name"] == "serde-sarif").unwrap();
    let schema = Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src").join("schema.json");
    // The pattern of one field, which is not used here, has an extra bracket that the validator refuses.
    let text = std::fs::read_to_string(schema).unwrap().replace("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}?$");
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert!(schema["title"].as_str().unwrap().contains("2.1.0"));
    schema
}

#[test]
fn sarif_is_valid_by_its_schema_and_reports_failures() {
    let schema = jsonschema::validator_for(&sarif_schema()).unwrap();
    for (report, ending) in reports() {
        let document: Value = serde_json::from_str(&rendered(&report, Format::Sarif)).unwrap();
        let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        let successful = document["runs"][0]["invocations"][0]["executionSuccessful"].as_bool().unwrap();
        assert_eq!(successful, ending < Ending::NotFinished, "{ending:?}");
        let mut broken = document.clone();
        broken["runs"][0]["tool"] = Value::Null;
        assert!(!schema.is_valid(&broken));
    }
    let sarif = |report: &Report| -> Value { serde_json::from_str(&rendered(report, Format::Sarif)).unwrap() };
    let result = |report: &Report| sarif(report)["runs"][0]["results"][0].clone();
    let found = result(&reports()[7].0);
    let place = &found["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"sub/sub%20dir/go.sum".into(), &2.into())
    );
    let mut moved = reports()[7].0.clone();
    moved.findings[0].place = Some(self::place(99));
    assert_eq!(result(&moved)["partialFingerprints"], found["partialFingerprints"]);
}

#[test]
fn junit_is_valid_xml_with_the_right_counts() {
    for (report, _) in reports() {
        let text = rendered(&report, Format::Junit);
        let mut reader = quick_xml::Reader::from_str(&text);
        let (mut failures, mut errors) = (0, 0);
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                    for attribute in tag.attributes() {
                        attribute.unwrap();
                    }
                    failures += usize::from(tag.name().as_ref() == "failure");
                    errors += usize::from(tag.name().as_ref() == "error");
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(failures, report.findings.len());
        assert_eq!(errors, report.unchecked.len() + usize::from(report.misbehaviour.is_some()));
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    }
}

#[test]
fn in_junit_a_warning_of_the_policy_fails_only_if_it_is_denied() {
    let report = Report {
        findings: vec![finding(Code::PolicyWarning, 2, "young"), finding(Code::DroppedLine, 2, "x")],
        ..clean()
    };
    let text = rendered(&report, Format::Junit);
    assert!(text.contains("failures=\"1\" errors=\"0\" skipped=\"1\""), "{text}");
    assert!(text.contains("<skipped message=\"young\"/>") && text.contains("<failure type=\"dropped-line\""), "{text}");
    let text = rendered_with(&report, Format::Junit, &RenderOptions { deny: Severity::Note, ..options() });
    assert!(text.contains("failures=\"2\" errors=\"0\" skipped=\"0\""), "{text}");
}

#[test]
fn an_accepted_finding_is_in_every_format_with_its_reason_and_does_not_fail() {
    let by =
        Acceptance { reason: "ours, not public yet".to_owned(), until: None, place: Path::new("sumgate.toml").into() };
    let one = Accepted { finding: finding(Code::UnknownVersion, 3, "the old one"), by: Arc::new(by) };
    let report = Report { findings: vec![finding(Code::DroppedLine, 2, "dropped")], accepted: vec![one], ..clean() };
    assert_eq!(report.ending(Severity::Warning), Ending::Clean);
    let words = "accepted for good (sumgate.toml): ours, not public yet";
    let text = rendered(&report, Format::Human);
    assert!(text.contains("sub dir/go.sum:3: error[unknown-version]: the old one\n"), "{text}");
    assert!(
        text.contains(&format!("\n    {words}\n")) && text.contains("\nclean: 1 note, 1 accepted, 7 proved"),
        "{text}"
    );
    let text = rendered(&report, Format::Github);
    let command =
        "::notice file=sub/sub dir/go.sum,line=3,title=accepted::unknown-version: the old one%0Aaccepted for good";
    assert!(text.contains(command), "{text}");
    let text = rendered(&report, Format::Junit);
    assert!(text.contains(&format!("<skipped message=\"{words}; the old one\"/>")), "{text}");
    assert!(text.contains("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{text}");
    let of = |format| -> Value { serde_json::from_str(&rendered(&report, format)).unwrap() };
    let json = of(Format::Json);
    assert_eq!((json["findings"].as_array().unwrap().len(), &json["ending"]), (1, &"clean".into()));
    let expected = serde_json::json!({"reason": "ours, not public yet", "expires": "never", "place": {"file": "sumgate.toml", "line": null}});
    assert_eq!(
        (&json["accepted"][0]["accepted"], &json["accepted"][0]["code"]),
        (&expected, &"unknown-version".into())
    );
    let results = of(Format::Sarif)["runs"][0]["results"].clone();
    assert_eq!(results[0]["suppressions"], serde_json::json!([]), "all results of a run have it, or none");
    let expected = "ours, not public yet (for good, sumgate.toml)";
    let suppression = serde_json::json!([{"kind": "external", "status": "accepted", "justification": expected}]);
    assert_eq!((&results[1]["ruleId"], &results[1]["suppressions"]), (&"unknown-version".into(), &suppression));
    let without = Report { accepted: Vec::new(), ..report };
    assert!(!rendered(&without, Format::Sarif).contains("suppressions"));
}
