//! What is accepted, what is not any more, and what a policy cannot accept.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::policy::parse;

fn accept(code: &str, more: &str, expires: &str) -> String {
    format!("[[accept]]\ncode = \"{code}\"\n{more}reason = \"known\"\nexpires = {expires}\n")
}

fn of_module(code: &str, module: &str, expires: &str) -> String {
    accept(code, &format!("module = \"{module}\"\n"), expires)
}

fn accepting(now: &str, base: Option<&str>) -> Accepting {
    let policies = InForce { now: Some(parse(now).unwrap()), base: base.map(|text| parse(text).unwrap()) };
    Accepting::new(Path::new("sumgate.toml"), policies, Date::new(2026, 11, 27).unwrap())
}

fn about(code: Code, module: &str) -> Finding {
    Finding::new(code, "x").about(&ModuleVersion::parse(module).unwrap())
}

/// The findings that count, the accepted ones with the line of the policy, and the messages about unused ones.
fn sorted(now: &str, base: Option<&str>, findings: &[Finding]) -> (Vec<Finding>, Vec<u32>, Vec<String>) {
    let mut accepting = accepting(now, base);
    let counting = accepting.sort(findings.to_vec());
    let unused = accepting.unused(|_| true).into_iter().map(|finding| {
        assert_eq!(finding.code, Code::UnusedAccept);
        format!("{}: {}", finding.place.unwrap(), finding.message)
    });
    let unused = unused.collect();
    let lines = accepting.into_accepted().into_iter().map(|one| one.by.place.line.unwrap()).collect();
    (counting, lines, unused)
}

#[test]
fn code_module_and_versions_must_all_be_right() {
    let range = "module = \"a.com/x, b.com\"\nversions = \"<v1.2.0\"\n";
    let policy =
        format!("{}{}", accept("unknown-version", range, "2026-11-27"), accept("vendor-unproved", "", "\"never\""));
    let right = [
        about(Code::UnknownVersion, "a.com/x@v1.1.9"),
        about(Code::UnknownVersion, "b.com/y/z@v0.1.0"),
        Finding::new(Code::VendorUnproved, "x").at("vendor/modules.txt"),
    ];
    let wrong = [
        about(Code::UnknownVersion, "a.com/x@v1.2.0"),
        about(Code::UnknownVersion, "a.com/y@v1.1.9"),
        about(Code::DroppedLine, "a.com/x@v1.1.9"),
        // Of many, the last one says how many there are, and is about no module.
        Finding::new(Code::UnknownVersion, "7 more such lines"),
        Finding::new(Code::ReplacedUnproved, "x"),
    ];
    let (counting, lines, unused) = sorted(&policy, None, &[&right[..], &wrong].concat());
    assert_eq!((counting, lines, unused), (wrong.to_vec(), vec![1, 1, 7], Vec::new()));
    let mut accepting = accepting(&policy, None);
    accepting.sort(right.to_vec());
    let all = accepting.into_accepted();
    assert_eq!(all[0].by.in_words(), "accepted until 2026-11-27 (sumgate.toml:1): known");
    assert_eq!(all[2].by.in_words(), "accepted for good (sumgate.toml:7): known");
}

#[test]
fn an_expired_one_accepts_nothing_and_is_a_finding() {
    let findings = [about(Code::UnknownVersion, "a.com/x@v1.0.0")];
    let expired = of_module("unknown-version", "a.com/x", "2026-11-26");
    let (counting, lines, unused) = sorted(&expired, None, &findings);
    let words = "since the [[accept]] in line 1 of the policy expired on 2026-11-26";
    assert_eq!(counting[0].facts.iter().collect::<Vec<_>>(), [("no longer accepted", words)]);
    assert_eq!(lines, [0; 0]);
    assert_eq!(unused, ["sumgate.toml:1: the [[accept]] of unknown-version for a.com/x expired on 2026-11-26"]);
    // The one that expires last decides; none of the others is called unused because of it.
    let both = format!("{expired}{}", of_module("unknown-version", "a.com", "2026-11-28"));
    let (counting, lines, unused) = sorted(&both, None, &findings);
    assert_eq!((counting.len(), lines, unused.len()), (0, vec![6], 1));
}

#[test]
fn one_that_accepts_nothing_is_a_finding_where_its_code_is_searched() {
    let policy = of_module("private-name", "a.corp", "\"never\"");
    let (.., unused) = sorted(&policy, None, &[]);
    assert_eq!(unused, ["sumgate.toml:1: the [[accept]] of private-name for a.corp accepted nothing"]);
    assert_eq!(accepting(&policy, None).unused(|code| code == Code::DroppedLine), []);
    let used = [about(Code::PrivateName, "a.corp/x@v1.0.0")];
    assert_eq!(sorted(&policy, None, &used).2, [""; 0]);
}

#[test]
fn both_policies_must_accept() {
    let findings = [about(Code::UnknownVersion, "a.com/x@v1.0.0")];
    let now = of_module("unknown-version", "a.com/x", "2027-01-01");
    for (base, accepted) in [
        (now.clone(), true),
        (of_module("unknown-version", "a.com", "\"never\""), true),
        (String::new(), false),
        (of_module("unknown-version", "a.com/x", "2026-11-26"), false),
        (of_module("unknown-version", "a.com/xy", "\"never\""), false),
        (of_module("dropped-line", "a.com/x", "\"never\""), false),
    ] {
        let (counting, lines, _) = sorted(&now, Some(&base), &findings);
        assert_eq!((counting.is_empty(), lines.len()), (accepted, usize::from(accepted)), "{base}");
        assert!(accepted || counting[0].facts.iter().any(|(name, _)| name == "not accepted"), "{base}");
    }
    // What only the base accepts was removed.
    assert_eq!(sorted("", Some(&now), &findings).1, [0; 0]);
}

#[test]
fn what_no_policy_can_accept_is_an_error_with_its_line_and_the_reason() {
    let error = |text: &str| parse(text).unwrap_err().to_string();
    for (code, why) in [
        ("hash-mismatch", "other code than everybody else has would be built"),
        ("not-a-regular-file", "the file was not opened"),
        ("policy-loosened", "a policy must not accept its own change"),
        ("module-not-released", "code that nobody checked would be built"),
        ("unused-accept", "remove the [[accept]] that it names"),
    ] {
        let said = error(&of_module(code, "a.com", "\"never\""));
        assert!(said.starts_with(&format!("2:8: {code} cannot be accepted: {why}")), "{said}");
    }
    for code in Code::all() {
        let more = if code.is_about_a_module() { "module = \"a.com\"\n" } else { "" };
        let is_valid = parse(&accept(code.name(), more, "\"never\"")).is_ok();
        assert_eq!(is_valid, code.why_never_accepted().is_none(), "{}", code.name());
    }
}

#[test]
fn every_error_has_its_line_and_says_what_to_write() {
    let error = |text: &str| parse(text).unwrap_err().to_string();
    let valid = of_module("unknown-version", "a.com", "\"never\"");
    for (text, expected) in [
        (
            valid.replace("unknown-version", "unkown-version"),
            "2:8: \"unkown-version\" is not the code of a finding: did you mean \"unknown-version\"?",
        ),
        (
            valid.replace("unknown-version", "*"),
            "2:8: \"*\" is not the code of a finding: `sumgate audit` prints it in []",
        ),
        (valid.replace("module = \"a.com\"\n", ""), "1:1: [[accept]] of unknown-version has no module: add module = …"),
        (
            valid.replace("unknown-version", "sumdb-off"),
            "3:10: findings of sumdb-off are not about one module: remove module and versions",
        ),
        (
            accept("sumdb-off", "versions = \"v1.0.0\"\n", "\"never\""),
            "3:12: findings of sumdb-off are not about one module: remove module and versions",
        ),
        (valid.replace("a.com", "https://a.com"), "3:10: \"https://a.com\" is a URL"),
        (valid.replace("known\"\n", "\"\n"), "4:10: missing reason"),
        (valid.replace("\"never\"", "\"soon\""), "5:11: expected a date such as 2027-01-31, or \"never\""),
        (valid.replace("reason = \"known\"\n", ""), "1:1: [[accept]] has no reason: add reason = …"),
        (valid.replace("expires = \"never\"\n", ""), "1:1: [[accept]] has no expires: add expires = …"),
        (valid.replace("reason", "because"), "4:1: unknown key `because`"),
        (valid.replace("[[accept]]", "[accept]"), "1:1: `accept` must be written [[accept]]"),
        (valid.repeat(101), "501:1: expected at most 100 [[accept]], found 101"),
    ] {
        let said = error(&text);
        assert!(said.starts_with(expected), "expected {expected}\nfound {said}");
    }
    assert!(parse(&valid.repeat(100)).is_ok());
}
