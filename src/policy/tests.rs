//! All rules, all errors with their positions, and exceptions over time.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const DAY: u64 = 86_400;

fn module(text: &str) -> ModuleVersion {
    ModuleVersion::parse(text).unwrap()
}

fn today() -> Date {
    Date::new(2026, 11, 20).unwrap()
}

fn judge(policy: &str, facts: &Facts) -> Option<Denial> {
    super::judge(&parse(policy).unwrap(), facts, today()).denial
}

/// The rule and the line of a denial, and its reason.
fn denied(policy: &str, facts: &Facts) -> (Rule, u32, String) {
    match judge(policy, facts) {
        Some(Denial { rule, line, reason }) => (rule, line, reason),
        None => panic!("allowed: {facts:?}"),
    }
}

fn allowed(policy: &str, facts: &Facts) {
    assert_eq!(judge(policy, facts), None, "{facts:?}");
}

fn named(text: &str) -> Facts {
    Facts::of(module(text))
}

#[test]
fn an_empty_policy_allows_everything() {
    allowed("", &named("a.com/b@v1.0.0"));
    assert!(super::judge(&parse("").unwrap(), &named("a.com/b@v1.0.0"), today()).steps.is_empty());
}

#[test]
fn deny_has_a_pattern_a_range_and_a_reason() {
    let policy = "\n[[deny]]\nmodule = \"a.com/*\"\nversions = \"<v1.2.3\"\nreason = \"CVE-2026-0001\"\n";
    assert_eq!(denied(policy, &named("a.com/b/c@v1.2.2")), (Rule::Deny, 2, "CVE-2026-0001".to_owned()));
    allowed(policy, &named("a.com/b/c@v1.2.3"));
    allowed(policy, &named("b.com/b@v1.0.0"));
}

#[test]
fn default_deny_allows_only_what_is_listed() {
    let policy = "[policy]\ndefault = \"deny\"\n[[allow]]\nmodule = \"a.com\"\nreason = \"ours\"\n";
    allowed(policy, &named("a.com/b@v1.0.0"));
    let (rule, line, _) = denied(policy, &named("b.com/b@v1.0.0"));
    assert_eq!((rule, line), (Rule::Default, 2));
    assert_eq!(denied(policy, &named("golang.org/toolchain@v0.0.1-go1.26.6.linux-amd64")).0, Rule::Default);
}

#[test]
fn deny_overrides_allow() {
    let policy = "[policy]\ndefault = \"deny\"\n[[allow]]\nmodule = \"a.com\"\nreason = \"ours\"\n\
        [[deny]]\nmodule = \"a.com/b\"\nreason = \"bad\"\n";
    assert_eq!(denied(policy, &named("a.com/b@v1.0.0")), (Rule::Deny, 6, "bad".to_owned()));
    allowed(policy, &named("a.com/c@v1.0.0"));
}

#[test]
fn toolchains_have_a_rule_of_their_own() {
    let policy =
        "[policy]\ndefault = \"deny\"\npre-releases = \"deny\"\ntoolchains = [\">=go1.26.6\", \"go1.25.13\"]\n";
    for version in ["go1.26.6", "go1.27.3", "go1.25.13"] {
        allowed(policy, &named(&format!("golang.org/toolchain@v0.0.1-{version}.linux-amd64")));
    }
    for version in ["go1.26.5", "go1.25.14", "go1.26rc1"] {
        let facts = named(&format!("golang.org/toolchain@v0.0.1-{version}.linux-amd64"));
        let (rule, line, words) = denied(policy, &facts);
        assert_eq!((rule, line), (Rule::Toolchains, 4));
        assert!(words.contains(version), "{words}");
    }
}

#[test]
fn pseudo_versions_are_not_pre_releases() {
    let (pseudo, pre) = ("a.com/b@v0.0.0-20200101000000-0123456789ab", "a.com/b@v1.0.0-rc.1");
    assert_eq!(denied("[policy]\npseudo-versions = \"deny\"\n", &named(pseudo)).0, Rule::PseudoVersions);
    allowed("[policy]\npseudo-versions = \"deny\"\n", &named(pre));
    assert_eq!(denied("[policy]\npre-releases = \"deny\"\n", &named(pre)).0, Rule::PreReleases);
    allowed("[policy]\npre-releases = \"deny\"\n", &named(pseudo));
}

#[test]
fn age_decides_once_it_is_known() {
    let policy = "[policy]\nmin-age = \"7d\"\n";
    let aged = |age| Facts { age, ..named("a.com/b@v1.0.0") };
    allowed(policy, &aged(None));
    allowed(policy, &aged(Some(Age::AtLeast(Duration::from_secs(7 * DAY)))));
    let (rule, _, words) = denied(policy, &aged(Some(Age::AtLeast(Duration::from_secs(7 * DAY - 1)))));
    assert_eq!(rule, Rule::MinAge);
    assert!(words.contains("6 days") && words.contains("7 days"), "{words}");
    assert_eq!(denied(policy, &aged(Some(Age::Unknown))).0, Rule::MinAge);
    allowed("[policy]\nmin-age = \"7d\"\nunknown-age = \"old\"\n", &aged(Some(Age::Unknown)));
}

#[test]
fn the_other_facts_decide_once_they_are_known() {
    let facts = named("a.com/b@v1.0.0");
    let unknown = "[policy]\nunknown-modules = \"deny\"\n";
    allowed(unknown, &facts);
    allowed(unknown, &Facts { in_database: Some(true), ..facts.clone() });
    assert_eq!(denied(unknown, &Facts { in_database: Some(false), ..facts.clone() }).0, Rule::UnknownModules);

    let retracted = "[policy]\nretracted = \"deny\"\n";
    allowed(retracted, &Facts { retracted: Some(None), ..facts.clone() });
    let words = denied(retracted, &Facts { retracted: Some(Some("bad\n\x1b[2Jbug".to_owned())), ..facts.clone() }).2;
    assert_eq!(words, "its author retracted it: bad [2Jbug");

    let size = "[policy]\nmax-zip-size = \"1kB\"\n";
    allowed(size, &Facts { zip_size: Some(1000), ..facts.clone() });
    assert_eq!(denied(size, &Facts { zip_size: Some(1001), ..facts }).0, Rule::MaxZipSize);
}

#[test]
fn a_rule_that_warns_denies_nothing_and_says_what_it_would() {
    let text = "[policy]\npre-releases = \"deny\"\nmax-zip-size = \"1kB\"\nwarn = [\"pre-releases\"]\n\
        [[deny]]\nmodule = \"a.com/b\"\nreason = \"soon\"\nwarn = true\n\
        [[deny]]\nmodule = \"a.com/b\"\nversions = \"<v1.0.0\"\nreason = \"CVE\"\n";
    let judged = |text: &str, facts: &Facts| {
        let policy = parse(text).unwrap();
        let verdict = super::judge(&policy, facts, today());
        let warned = verdict.warnings.iter().map(|denial| (denial.rule, denial.line)).collect::<Vec<_>>();
        (verdict.denial.map(|denial| (denial.rule, denial.line)), warned)
    };
    let (strict, both) = (Some((Rule::Deny, 9)), vec![(Rule::Deny, 5), (Rule::PreReleases, 2)]);
    assert_eq!(judged(text, &named("a.com/b@v1.0.0-rc.1")), (strict, vec![(Rule::PreReleases, 2)]), "the strict one");
    assert_eq!(judged(text, &named("a.com/b@v1.1.0-rc.1")), (None, both));
    assert_eq!(judged(text, &named("c.com@v1.1.0")), (None, Vec::new()));
    let large = Facts { zip_size: Some(2000), ..named("c.com@v1.1.0") };
    assert_eq!(judged(text, &large).0, Some((Rule::MaxZipSize, 3)), "other rules deny as before");
    let only = parse(text).unwrap().only_warning();
    assert_eq!((only.warning_only().unwrap(), only.denies_by_record()), ("every rule".to_owned(), false));
    assert!(super::judge(&only, &large, today()).denial.is_none());
    assert_eq!(parse(text).unwrap().warning_only().unwrap(), "pre-releases, the [[deny]] in line 5");
    let beside = |base: &str| parse(text).unwrap().warning_only_beside(&parse(base).unwrap());
    assert_eq!(beside("[policy]\nmin-age = \"7d\"\n").unwrap(), "pre-releases, the [[deny]] in line 5");
    assert_eq!(beside("[policy]\npre-releases = \"deny\"\n").unwrap(), "the [[deny]] in line 5");
    assert_eq!(beside("[[deny]]\nmodule = \"a.com/b\"\nreason = \"x\"\n").unwrap(), "pre-releases");
    assert_eq!(only.warning_only_beside(&only).unwrap(), "every rule");
    let strict = parse("[policy]\nretracted = \"deny\"\n").unwrap();
    assert!(!only.warning_only_beside(&strict).unwrap().contains("retracted"));
    let young = Facts { age: Some(Age::Unknown), ..named("c.com@v1.1.0") };
    let min_age = parse("[policy]\nmin-age = \"7d\"\nwarn = [\"min-age\"]\n").unwrap();
    let words = super::judge(&min_age, &young, today()).warnings[0].as_warning();
    assert!(words.starts_with("would be denied by policy (min-age): its age is unknown"), "{words}");
    assert!(min_age.needs_record() && !min_age.denies_by_record());
    // An exception lifts a warning, too.
    let excepted = EXCEPTION.replace("[policy]\n", "[policy]\nwarn = [\"pseudo-versions\"]\n");
    assert_eq!(judged(&excepted, &named("a.com/b@v0.0.0-20200101000000-0123456789ab")), (None, Vec::new()));
}

const EXCEPTION: &str = "[policy]\npseudo-versions = \"deny\"\nmin-age = \"7d\"\n\n[[exception]]\nmodule = \"a.com/b\"\n\
    from = [\"pseudo-versions\"]\nreason = \"hotfix\"\nexpires = 2026-11-20\n";

#[test]
fn an_exception_lifts_its_rules_until_the_end_of_its_day() {
    let policy = parse(EXCEPTION).unwrap();
    let facts = named("a.com/b@v0.0.0-20200101000000-0123456789ab");
    let verdict = super::judge(&policy, &facts, today());
    assert_eq!((verdict.denial, verdict.used.as_slice()), (None, &[0][..]));
    assert!(matches!(
        verdict.steps[0],
        Step { rule: Rule::PseudoVersions, outcome: Outcome::Lifted { line: 5, .. }, .. }
    ));
    let Some(denial) = super::judge(&policy, &facts, today().tomorrow().unwrap()).denial else { panic!() };
    assert!(denial.reason.ends_with("(an exception for it expired on 2026-11-20)"), "{denial}");
    // It does not lift other rules, or denials of other modules.
    let young = Facts { age: Some(Age::Unknown), ..facts };
    assert_eq!(denied(EXCEPTION, &young).0, Rule::MinAge);
    assert_eq!(denied(EXCEPTION, &named("a.com/c@v0.0.0-20200101000000-0123456789ab")).0, Rule::PseudoVersions);
}

#[test]
fn unused_exceptions_are_found() {
    let policy = parse(EXCEPTION).unwrap();
    let used: BTreeSet<usize> = super::judge(&policy, &named("a.com/b@v1.0.0"), today()).used.into_iter().collect();
    let unused = policy.unused(&used);
    assert_eq!(unused.iter().map(|one| (one.line(), one.modules())).collect::<Vec<_>>(), [(5, "a.com/b".to_owned())]);
    assert!(policy.unused(&BTreeSet::from([0])).is_empty());
}

#[test]
fn every_error_has_its_position() {
    for (text, place, words) in [
        ("[policy]\nmin-age = \"soon\"\n", (2, 11), "not a valid age"),
        ("[policy]\nmin-age = \"7é\"\n", (2, 11), "not a valid age"),
        ("[policy]\nmin-age = \"\"\n", (2, 11), "not a valid age"),
        // Ages are whole hours.
        ("[policy]\nmin-age = \"90m\"\n", (2, 11), "not a valid age"),
        ("[policy]\ndefault = \"maybe\"\n", (2, 11), "expected \"deny\""),
        ("[policy]\n# ä\nretracted = \"no\"\n", (3, 13), "expected \"deny\" or \"allow\", found \"no\""),
        ("[policy]\nmax-zip-size = \"big\"\n", (2, 16), "not a valid size"),
        ("[policy]\nmax-zip-size = \"99999999999GB\"\n", (2, 16), "not a valid size"),
        ("[policy]\ntoolchains = [\"go1.26.6\", \"1.27\"]\n", (2, 27), "not a valid version of go"),
        ("[policy]\nwarn = [\"age\"]\n", (2, 9), "is not a rule"),
        ("[[allow]]\nmodule = \"a.com\"\nreason = \"x\"\nwarn = true\n", (4, 1), "unknown key `warn`"),
        ("[[deny]]\nmodule = \"a.com\"\nreason = \"x\"\nwarn = \"yes\"\n", (4, 8), "expected a boolean"),
        ("[policy]\nminage = \"7d\"\n", (2, 1), "did you mean `min-age`?"),
        ("[policy]\nmin-age = 7\n", (2, 11), "expected a string"),
        ("[policy\n", (1, 8), "unclosed"),
        ("[[deny]]\nmodule = \"a.com/[\"\nreason = \"x\"\n", (2, 10), "is not a pattern"),
        ("[[deny]]\nmodule = \" , \"\nreason = \"x\"\n", (2, 10), "at least one"),
        ("[[deny]]\nmodule = \"a.com b.com\"\nreason = \"x\"\n", (2, 10), "commas"),
        ("[[deny]]\nmodule = \"a.com@v1.0.0\"\nreason = \"x\"\n", (2, 10), "'@' cannot be in a module path"),
        ("[[deny]]\nmodule = \"https://a.com/b\"\nreason = \"x\"\n", (2, 10), "is a URL"),
        ("[[deny]]\nmodule = \"a.com/...\"\nreason = \"x\"\n", (2, 10), "remove the /..."),
        ("[[deny]]\nmodule = \"a.com,GitHub.com/b\"\nreason = \"x\"\n", (2, 10), "has upper case"),
        ("[[deny]]\nmodule = \"*.Example.com\"\nreason = \"x\"\n", (2, 10), "has upper case"),
        (
            "[[deny]]\nmodule = \"corp/b\"\nreason = \"x\"\n",
            (2, 10),
            "\"corp\" cannot be the first element of a module path: it needs a dot",
        ),
        ("[[deny]]\nmodule = \"a.com/*/.git\"\nreason = \"x\"\n", (2, 10), "\".git\" cannot be an element"),
        ("[[deny]]\nmodule = \"a.com/\"\nversions = \"v1.0.0, v1.0.1\"\nreason = \"x\"\n", (3, 12), "write || for or"),
        ("[policy]\ntoolchains = [\"go1.26.6, go1.27.0\"]\n", (2, 15), "write || for or"),
        ("[[deny]]\nmodule = \"a.com\"\n", (1, 1), "reason"),
        ("[[deny]]\nmodule = \"a.com\"\nreason = \" \"\n", (3, 10), "missing reason"),
        ("[[allow]]\nmodule = \"a.com\"\n", (1, 1), "[[allow]] has no reason: add reason = "),
        ("[deny]\nmodule = \"a.com\"\nreason = \"x\"\n", (1, 1), "`deny` must be written [[deny]]"),
        ("[[deny]]\nmodule = \"a.com\"\nreason = \"a\\nb\"\n", (3, 10), "one line"),
        ("\u{feff}[policy]\r\nmin-age = \"x\"\r\n", (2, 11), "not a valid age"),
        ("[[deny]]\nmodule = \"a.com\"\nversions = \"<1.2\"\nreason = \"x\"\n", (3, 12), "canonical version"),
        ("[[allow]]\nmodule = \"a.com\"\nreason = \"x\"\n", (1, 1), "default = \"deny\""),
        (
            "[[exception]]\nmodule = \"a.com\"\nfrom = [\"age\"]\nreason = \"x\"\nexpires = 2027-01-01\n",
            (3, 9),
            "is not a rule: expected one of deny, default",
        ),
        (
            "[[exception]]\nmodule = \"a.com\"\nfrom = [\"deny\"]\nreason = \"x\"\nexpires = 2027-01-01T00:00:00Z\n",
            (5, 11),
            "such as 2027-01-31",
        ),
        ("[[exception]]\nmodule = \"a.com\"\nfrom = [\"deny\"]\nreason = \"x\"\n", (1, 1), "expires"),
    ] {
        let errors = parse(text).unwrap_err();
        let first = &errors.0[0];
        assert_eq!((first.line, first.column), place, "{text:?}: {errors}");
        assert!(first.words.contains(words), "{text:?}: {errors}");
    }
}

#[test]
fn patterns_that_can_match_are_valid() {
    for module in
        ["*", "*.com", "gopkg.in/yaml.v3", "gopkg.in/user", "a.com/b/v2", "a.com/B_c/", "a.com/*/v1", "[a-c].com/\\\\x"]
    {
        let policy = format!("[[deny]]\nmodule = \"{module}\"\nreason = \"x\"\n");
        assert!(parse(&policy).is_ok(), "{policy}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = parse("[policy]\nmin-age = \"x\"\nretracted = \"y\"\n").unwrap_err();
    assert_eq!(errors.0.iter().map(|complaint| complaint.line).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_range_compares_incompatible_versions_by_their_numbers() {
    for range in ["<=v2.0.0", "=v2.0.0", "v2.0.0", "=v2.0.0+incompatible", "<v2.0.1", ">=v2.0.0"] {
        let policy = format!("[[deny]]\nmodule = \"a.com\"\nversions = \"{range}\"\nreason = \"x\"\n");
        assert_eq!(denied(&policy, &named("a.com/b@v2.0.0+incompatible")).0, Rule::Deny, "{range}");
    }
    let above = "[[deny]]\nmodule = \"a.com\"\nversions = \">v2.0.0\"\nreason = \"x\"\n";
    allowed(above, &named("a.com/b@v2.0.0+incompatible"));
}

#[test]
fn a_toolchain_without_a_valid_version_is_denied() {
    let policy = "[policy]\ntoolchains = [\">=go1.26.6\"]\n";
    for version in ["v0.0.1-go1.x.linux-amd64", "v0.0.2-go1.27.3.linux-amd64", "v0.0.1", "v0.0.1-devel"] {
        let (rule, line, words) = denied(policy, &named(&format!("golang.org/toolchain@{version}")));
        assert_eq!((rule, line), (Rule::Toolchains, 2), "{version}");
        assert!(words.contains(version), "{words}");
    }
    allowed(policy, &named("golang.org/x/text@v0.3.0"));
}

#[test]
fn rules_about_libraries_do_not_apply_to_toolchains() {
    let policy = "[policy]\nmax-zip-size = \"1MB\"\nretracted = \"deny\"\npre-releases = \"deny\"\nmin-age = \"7d\"\n";
    let facts = Facts {
        zip_size: Some(90_000_000),
        retracted: Some(Some("x".to_owned())),
        ..named("golang.org/toolchain@v0.0.1-go1.26.6.linux-amd64")
    };
    allowed(policy, &facts);
    assert_eq!(denied(policy, &Facts { age: Some(Age::Unknown), ..facts }).0, Rule::MinAge);
}

#[test]
fn matching_exceptions_are_all_used_and_the_last_day_counts() {
    let exception = |expires: &str| {
        format!("[[exception]]\nmodule = \"a.com\"\nfrom = [\"pre-releases\"]\nreason = \"x\"\nexpires = {expires}\n")
    };
    let facts = named("a.com/b@v1.0.0-rc.1");
    let judge = |days: [&str; 3]| {
        let text = format!("[policy]\npre-releases = \"deny\"\n{}", days.map(exception).concat());
        let policy = parse(&text).unwrap();
        let verdict = super::judge(&policy, &facts, today());
        assert_eq!(policy.unused(&verdict.used.iter().copied().collect()), Vec::<&Exception>::new());
        verdict
    };
    let verdict = judge(["2026-01-01", "2026-12-01", "2027-12-01"]);
    assert_eq!(verdict.denial, None);
    let until = Expiry::After(Date::new(2027, 12, 1).unwrap());
    assert!(matches!(verdict.steps[0].outcome, Outcome::Lifted { line: 13, until: day, .. } if day == until));
    let verdict = judge(["2027-12-01", "\"never\"", "9999-12-31"]);
    assert!(matches!(verdict.steps[0].outcome, Outcome::Lifted { line: 8, until: Expiry::Never, .. }));
    let verdict = judge(["2026-02-01", "2026-03-01", "2026-01-01"]);
    let Outcome::Denies(denial) = &verdict.steps[0].outcome else { panic!("{verdict:?}") };
    assert!(denial.reason.ends_with("(an exception for it expired on 2026-03-01)"), "{denial}");
    assert_eq!(verdict.steps[0].expired, Some(8));
}

#[test]
fn text_of_a_policy_is_escaped_in_errors() {
    for text in [
        "\"\\u001b[2J\" = 1\n",
        "[policy]\n\"a\\nb\\u001b\" = 1\n",
        "[policy]\ndefault = \"\\u001b[2J\"\n",
        "[policy]\nmin-age = \"\\u202e7d\"\n",
        "[[deny]]\nmodule = \"a.com/\\u001b[2J]\"\nreason = \"x\"\n",
        "[policy]\n\u{1b}[2J\n",
        "[policy\n\n",
        "a = \n\u{202e}",
    ] {
        let errors = parse(text).unwrap_err();
        for complaint in &errors.0 {
            let words = &complaint.words;
            assert!(!words.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}: {words:?}");
        }
    }
    let facts = Facts { retracted: Some(Some("a\u{202e}b\u{2028}c\td".to_owned())), ..named("a.com/b@v1.0.0") };
    assert_eq!(denied("[policy]\nretracted = \"deny\"\n", &facts).2, "its author retracted it: a b c d");
}

#[test]
fn a_denied_repository_is_denied_in_every_spelling() {
    let policy = |table: &str| format!("{table}\nmodule = \"github.com/evil, example.com/evil\"\nreason = \"x\"\n");
    let denies = |text: &str, module: &str| judge(text, &Facts::of(ModuleVersion::parse(module).unwrap())).is_some();
    let deny = policy("[[deny]]");
    assert!(denies(&deny, "github.com/evil/a@v1.0.0") && denies(&deny, "github.com/Evil/a@v1.0.0"));
    assert!(!denies(&deny, "example.com/Evil/a@v1.0.0"), "another host may have two of them");
    let allow = policy("[policy]\ndefault = \"deny\"\n[[allow]]");
    assert!(!denies(&allow, "github.com/evil/a@v1.0.0") && denies(&allow, "github.com/Evil/a@v1.0.0"));
}
