//! Every output stays within the limits of its readers, and the worst findings are in it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::tests::{HOSTILE, clean, finding, options, rendered, rendered_with, reports, unaudited};
use super::*;

fn numbered(code: Code, count: u32, text: &str) -> Vec<Finding> {
    let one =
        |nth| finding(code, nth, text).at(Place { file: Path::new(&format!("m{nth}/go.sum")).into(), line: Some(nth) });
    (1..=count).map(one).collect()
}

/// A report of many findings, with the worst one at the end.
fn large(count: u32, text: &str) -> Report {
    let mut report = Report { findings: numbered(Code::UnknownVersion, count, text), ..clean() };
    report.findings.push(finding(Code::HashMismatch, 57, "forged"));
    report.findings.push(finding(Code::DroppedLine, 58, "dropped"));
    report.put_worst_first();
    report
}

#[test]
fn the_worst_findings_are_the_ten_annotations() {
    let text = rendered(&large(60, "##[error]x"), Format::Github);
    let is_command = |line: &&str| ["::error ", "::warning ", "::notice "].iter().any(|start| line.starts_with(start));
    let commands: Vec<&str> = text.lines().filter(is_command).collect();
    assert_eq!(commands.len(), 10, "{text}");
    assert!(commands[0].contains("title=hash-mismatch::forged"), "{text}");
    let last =
        "::error title=more findings::53 more, listed in the log of this step: 52 unknown-version, 1 dropped-line";
    assert_eq!(commands[9], last);
    // The log has all of them, and nothing in it is read as a command.
    let listed: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
    assert_eq!((listed.len(), listed.iter().any(|line| line.contains("##["))), (53, false), "{text}");
    assert!(text.contains("\n::group::53 more\n- ") && text.contains("\n::endgroup::\nfailed: "), "{text}");
    // Ten are shown as ten.
    let ten = Report { findings: numbered(Code::UnknownVersion, 10, "x"), ..clean() };
    let text = rendered(&ten, Format::Github);
    assert!(text.lines().count() == 11 && !text.contains("more findings"), "{text}");
    // Misbehaviour and lines that were not checked come before warnings.
    let mut report = reports().pop().unwrap().0;
    report.findings = numbered(Code::MissingLine, 20, "x");
    let text = rendered(&report, Format::Github);
    let titles: Vec<bool> =
        text.lines().map(|line| line.contains("misbehaved::") || line.contains("title=not checked::")).collect();
    assert_eq!(titles[..3], [true, true, false], "{text}");
}

/// What GitHub documents as required or limited, as a schema: a subset of SARIF.
fn subset() -> Value {
    let text = |max: u32| {
        json!({"type": "object", "required": ["text"], "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": max}}})
    };
    // A path relative to the top folder.
    let uri = json!({"type": "string", "pattern": "^[^/:.][^:]*$", "not": {"pattern": "(^|/)[.][.]?(/|$)"}});
    let location = json!({"type": "object", "required": ["physicalLocation"], "properties": {"physicalLocation": {
        "type": "object", "required": ["artifactLocation", "region"], "properties": {
            "artifactLocation": {"type": "object", "required": ["uri"], "properties": {"uri": uri}},
            "region": {"type": "object", "required": ["startLine"], "properties": {
                "startLine": {"type": "integer", "minimum": 1}}}}}}});
    let rule = json!({"type": "object",
        "required": ["id", "shortDescription", "fullDescription", "help", "helpUri"],
        "properties": {
            "id": {"type": "string", "maxLength": 255},
            "name": {"type": "string", "maxLength": 255},
            "shortDescription": text(1024), "fullDescription": text(1024), "help": text(10_000),
            "helpUri": {"type": "string", "pattern": format!("^{}/.+#[a-z-]+$", env!("CARGO_PKG_REPOSITORY"))},
            "properties": {"properties": {"tags": {"type": "array", "maxItems": 20}}}}});
    let result = json!({"type": "object",
        "required": ["ruleId", "message", "locations", "partialFingerprints"],
        "properties": {
            "message": text(10_000),
            "locations": {"type": "array", "minItems": 1, "maxItems": 10, "items": location},
            "partialFingerprints": {"type": "object", "required": ["primaryLocationLineHash"]}}});
    json!({"type": "object", "required": ["$schema", "version", "runs"], "properties": {
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "maxItems": 20, "items": {
            "type": "object", "required": ["tool", "results"], "properties": {
                "tool": {"type": "object", "required": ["driver"], "properties": {"driver": {
                    "type": "object", "required": ["name", "rules"], "properties": {
                        "rules": {"type": "array", "maxItems": 25_000, "items": rule}}}}},
                // 25,000 are accepted, of which 5,000 are shown.
                "results": {"type": "array", "maxItems": 5000, "items": result}}}}}})
}

#[test]
fn sarif_is_in_the_subset_that_code_scanning_reads() {
    let schema = jsonschema::validator_for(&subset()).unwrap();
    let document = |report: &Report| {
        let text = rendered(report, Format::Sarif);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        assert!(gzip.finish().unwrap().len() <= 10_000_000);
        let document: Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> =
            schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new());
        document
    };
    for (report, _) in reports() {
        document(&report);
    }
    let all = Code::all().iter().map(|code| Finding::new(*code, "a setting"));
    let elsewhere =
        ["/root/go/pkg/mod/x", "../../x", "..", "/r"].map(|file| Finding::new(Code::HashMismatch, "x").at(file));
    let report = Report { findings: all.chain(elsewhere).collect(), ..clean() };
    let found = document(&report);
    let results = found["runs"][0]["results"].as_array().unwrap();
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
            (&json!("sub/go.mod"), &json!(1))
        );
    }
    assert!(results.iter().any(|result| result["message"]["text"].as_str().unwrap().contains("/root/go/pkg/mod/x")));

    let found = document(&large(25_000, "x"));
    let run = &found["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 5000);
    assert_eq!(run["results"][0]["ruleId"], "hash-mismatch");
    let note = &run["invocations"][0]["toolExecutionNotifications"][0];
    assert!(
        note["message"]["text"].as_str().unwrap().starts_with("20002 more findings are not in this file"),
        "{note}"
    );
    // Texts that do not get smaller, and unchecked lines.
    let mut noise = 1_u64;
    let long: Vec<String> = (0..6000)
        .map(|_| {
            let letter = |_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (noise >> 58) as u8)
            };
            (0..4000).map(letter).collect()
        })
        .collect();
    let findings = long.iter().map(|text| finding(Code::MalformedLine, 1, text)).collect();
    let unchecked = long.iter().map(|text| unaudited(1, text)).collect();
    let found = document(&Report { findings, unchecked, ..clean() });
    assert_eq!(found["runs"][0]["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn junit_stays_below_the_limits_of_gitlab() {
    let report = |text: &str| Report { unchecked: vec![unaudited(1, "no answer"); 30_000], ..large(30_000, text) };
    for text in ["x", &HOSTILE.repeat(100)] {
        let shown = rendered(&report(text), Format::Junit);
        assert!(shown.len() < 30_000_000, "{}", shown.len());
        let mut reader = quick_xml::Reader::from_str(&shown);
        let (mut objects, mut cases, mut failures) = (0, 0, 0);
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                    objects += 1 + tag.attributes().count();
                    cases += usize::from(tag.name().as_ref() == "testcase");
                    failures += usize::from(tag.name().as_ref() == "failure");
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        // Each failure has one text.
        objects += failures;
        assert!(objects < 250_000 && failures > 500, "{objects} {cases}");
        let more = 60_002 - (cases - 2);
        assert!(shown.contains(&format!("{more} more are not listed")), "{cases}");
        assert!(shown.find("forged").unwrap() < shown.find("unknown-version").unwrap());
    }
}

#[test]
fn running_text_follows_the_width() {
    let report = Report { findings: vec![finding(Code::HashMismatch, 2, "one")], ..clean() };
    for width in [30, 60, 140] {
        let text = rendered_with(&report, Format::Human, &RenderOptions { width, ..options() });
        let prose: Vec<usize> =
            text.lines().filter(|line| line.starts_with("    ")).map(|line| line.chars().count()).collect();
        let longest = *prose.iter().max().unwrap();
        assert!(longest <= width && longest > width - 15, "{width}: {text}");
    }
}

#[test]
fn places_with_one_cause_are_shown_in_every_format() {
    let mut one = finding(Code::UnknownVersion, 2, "x");
    one.also.push(super::tests::place(3));
    let report = Report { findings: vec![one], ..clean() };
    for (format, shown) in [
        (Format::Human, "    also in sub dir/go.sum:3\n"),
        (Format::Github, "also in sub dir/go.sum:3%0A"),
        (Format::Json, "\"also\": ["),
        (Format::Sarif, "\"startLine\": 3"),
        (Format::Junit, "also in sub dir/go.sum:3"),
    ] {
        assert!(rendered(&report, format).contains(shown), "{format:?}");
    }
}
