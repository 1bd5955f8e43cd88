//! Parses `sumgate.toml` into a [`Policy`], or returns all errors with their positions.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use super::{Accept, At, Exception, Expiry, Policy, Range, RangeError, Rule, Selection};
use crate::base::duration::duration;
use crate::base::nearest::nearest;
use crate::base::toml_file::{self, Diagnostics, Reader, Text, patterns};
use crate::finding::Code;
use gomodule::goversion::GoVersion;
use gomodule::module::{Patterns, Version};

/// Longest reason, in characters. `go` shows about 600 bytes of an error, including the module name and other text.
const MAX_REASON: usize = 300;

/// Most `[[accept]]` of a policy: each of 200,000 findings may be compared with all of them, and nobody reviews more. Our own choice.
const MAX_ACCEPTS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    policy: PolicyTable,
    #[serde(default)]
    deny: Vec<Spanned<DenyTable>>,
    #[serde(default)]
    allow: Vec<Spanned<SelectionTable>>,
    #[serde(default)]
    exception: Vec<Spanned<ExceptionTable>>,
    #[serde(default)]
    accept: Vec<Spanned<AcceptTable>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PolicyTable {
    default: Option<Text>,
    min_age: Option<Text>,
    unknown_age: Option<Text>,
    pseudo_versions: Option<Text>,
    pre_releases: Option<Text>,
    retracted: Option<Text>,
    unknown_modules: Option<Text>,
    max_zip_size: Option<Text>,
    toolchains: Option<Spanned<Vec<Text>>>,
    #[serde(default)]
    warn: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyTable {
    module: Text,
    versions: Option<Text>,
    reason: Text,
    #[serde(default)]
    warn: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectionTable {
    module: Text,
    versions: Option<Text>,
    reason: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceptionTable {
    module: Text,
    versions: Option<Text>,
    from: Vec<Text>,
    reason: Text,
    expires: Spanned<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptTable {
    code: Text,
    module: Option<Text>,
    versions: Option<Text>,
    reason: Text,
    expires: Spanned<toml::Value>,
}

/// Parses `sumgate.toml`.
///
/// ```
/// use sumgate::policy;
/// assert!(policy::parse("[policy]\nmin-age = \"7d\"\n").is_ok());
/// let errors = policy::parse("[policy]\nmin-age = \"soon\"\n").unwrap_err();
/// assert!(errors.to_string().starts_with("2:11: "));
/// ```
pub fn parse(text: &str) -> Result<Policy, Diagnostics> {
    toml_file::read(text, "policy", |reader, file| PolicyReader(reader).policy(file))
}

struct PolicyReader<'a, 't>(&'a mut Reader<'t>);

impl PolicyReader<'_, '_> {
    fn policy(&mut self, file: &PolicyFile) -> Policy {
        let table = &file.policy;
        let policy = Policy {
            deny: file.deny.iter().map(|table| self.denied(table)).collect(),
            allow: file.allow.iter().map(|table| self.allowed(table)).collect(),
            exceptions: file.exception.iter().map(|table| self.exception(table)).collect(),
            accepts: file.accept.iter().take(MAX_ACCEPTS).filter_map(|table| self.accept(table)).collect(),
            default_deny: self.one_of(table.default.as_ref(), "deny", "allow"),
            min_age: self.value(table.min_age.as_ref(), age),
            unknown_age_is_old: self.one_of(table.unknown_age.as_ref(), "old", "new").is_some(),
            pseudo_versions: self.one_of(table.pseudo_versions.as_ref(), "deny", "allow"),
            pre_releases: self.one_of(table.pre_releases.as_ref(), "deny", "allow"),
            retracted: self.one_of(table.retracted.as_ref(), "deny", "allow"),
            unknown_modules: self.one_of(table.unknown_modules.as_ref(), "deny", "absent"),
            max_zip_size: self.value(table.max_zip_size.as_ref(), size),
            toolchains: table.toolchains.as_ref().map(|toolchains| {
                let ranges = toolchains.get_ref().iter().filter_map(|text| self.0.checked(text, toolchain));
                At { value: ranges.collect(), line: self.line_of(toolchains) }
            }),
            lines_of_go: table
                .toolchains
                .iter()
                .flat_map(Spanned::get_ref)
                .flat_map(|text| self.lines_of_go(text))
                .collect(),
            warn: table.warn.iter().filter_map(|text| self.value(Some(text), rule)).collect(),
        };
        if let (None, Some(allow)) = (policy.default_deny, file.allow.first()) {
            self.0.report(allow.span().start, "[[allow]] has no effect without default = \"deny\" in [policy]");
        }
        if let Some(more) = file.accept.get(MAX_ACCEPTS) {
            self.0.report(
                more.span().start,
                format!("expected at most {MAX_ACCEPTS} [[accept]], found {}", file.accept.len()),
            );
        }
        policy
    }

    fn line_of<T>(&self, value: &Spanned<T>) -> u32 {
        self.0.line(value.span().start)
    }

    /// The line of a setting with the value `yes`. Reports an error for values other than `yes` and `no`.
    fn one_of(&mut self, text: Option<&Text>, yes: &str, no: &str) -> Option<u32> {
        let text = text?;
        match text.get_ref() {
            word if word == yes => Some(self.line_of(text)),
            word if word == no => None,
            word => {
                self.0.report(text.span().start, format!("expected \"{yes}\" or \"{no}\", found {word:?}"));
                None
            }
        }
    }

    /// The comparisons with a version of two numbers that mean its first release; `>=` and `<` have the same meaning for its line.
    fn lines_of_go(&self, text: &Text) -> Vec<At<String>> {
        let comparisons = text.get_ref().split([',', '|']).map(str::trim);
        let is_line = |comparison: &&str| {
            let version = comparison.trim_start_matches(['<', '>', '=']).trim();
            let is_bound =
                comparison.starts_with(">=") || (comparison.starts_with('<') && !comparison.starts_with("<="));
            !is_bound
                && version.bytes().all(|byte| !matches!(byte, b'-' | b' '))
                && version.matches('.').count() == 1
                && GoVersion::parse(version).is_some()
                && GoVersion::parse(&format!("{version}.0")).is_some()
        };
        comparisons.filter(is_line).map(|value| At { value: value.to_owned(), line: self.line_of(text) }).collect()
    }

    fn value<T, E: fmt::Display>(
        &mut self,
        text: Option<&Text>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let text = text?;
        self.0.checked(text, parse).map(|value| At { value, line: self.line_of(text) })
    }

    fn denied(&mut self, table: &Spanned<DenyTable>) -> Selection {
        let DenyTable { module, versions, reason, warn } = table.get_ref();
        let selection = self.selection(module, versions.as_ref(), reason, self.line_of(table));
        Selection { warns: *warn, ..selection.ignoring_case() }
    }

    fn allowed(&mut self, table: &Spanned<SelectionTable>) -> Selection {
        let SelectionTable { module, versions, reason } = table.get_ref();
        self.selection(module, versions.as_ref(), reason, self.line_of(table))
    }

    fn selection(&mut self, module: &Text, versions: Option<&Text>, reason: &Text, line: u32) -> Selection {
        let modules = self.0.checked(module, patterns).unwrap_or_default();
        Selection { modules, ..self.without_modules(versions, reason, line) }
    }

    fn without_modules(&mut self, versions: Option<&Text>, reason: &Text, line: u32) -> Selection {
        let range = |text: &str| Range::parse(text, |text| Ok(Version::parse(text)?), Version::precedence);
        let versions = versions.and_then(|text| self.0.checked(text, range));
        let reason = self.0.checked(reason, |text| match text.trim() {
            "" => Err(ValueError::Reason("missing reason: it is shown to users")),
            text if text.chars().any(char::is_control) => Err(ValueError::Reason("the reason must be on one line")),
            text if text.chars().count() > MAX_REASON => Err(ValueError::LongReason),
            text => Ok(text.to_owned()),
        });
        let (modules, reason) = (Patterns::default(), reason.unwrap_or_default());
        Selection { modules, versions, reason, line, warns: false }
    }

    fn exception(&mut self, table: &Spanned<ExceptionTable>) -> Exception {
        let ExceptionTable { module, versions, from, reason, expires } = table.get_ref();
        let selection = self.selection(module, versions.as_ref(), reason, self.line_of(table));
        let rules = from.iter().filter_map(|text| self.0.checked(text, rule)).collect();
        if from.is_empty() {
            self.0.report(table.span().start, "from is empty: expected at least one rule");
        }
        Exception { selection, from: rules, expires: self.expires(expires) }
    }

    fn expires(&mut self, expires: &Spanned<toml::Value>) -> Expiry {
        let end = expiry(expires.get_ref());
        if end.is_none() {
            self.0.report(expires.span().start, "expected a date such as 2027-01-31, or \"never\"");
        }
        end.unwrap_or(Expiry::After(Date::MIN))
    }

    fn accept(&mut self, table: &Spanned<AcceptTable>) -> Option<Accept> {
        let AcceptTable { code, module, versions, reason, expires } = table.get_ref();
        let line = self.line_of(table);
        let named = self.0.checked(code, acceptable);
        let selection = match module {
            Some(module) => self.selection(module, versions.as_ref(), reason, line),
            None => self.without_modules(versions.as_ref(), reason, line),
        };
        let expires = self.expires(expires);
        let code = named?;
        match (code.is_about_a_module(), module, versions) {
            (true, None, _) => {
                let words = format!("[[accept]] of {} has no module: add module = …", code.name());
                self.0.report(table.span().start, words);
            }
            (false, Some(key), _) | (false, None, Some(key)) => {
                let words = format!("findings of {} are not about one module: remove module and versions", code.name());
                self.0.report(key.span().start, words);
            }
            _ => {}
        }
        Some(Accept { code, selection, expires })
    }
}

fn expiry(value: &toml::Value) -> Option<Expiry> {
    match value {
        toml::Value::String(text) if text == "never" => Some(Expiry::Never),
        toml::Value::Datetime(toml::value::Datetime { date: Some(date), time: None, offset: None }) => {
            let part = |n: u8| i8::try_from(n).unwrap_or_default();
            let year = i16::try_from(date.year).unwrap_or_default();
            Date::new(year, part(date.month), part(date.day)).ok().map(Expiry::After)
        }
        _ => None,
    }
}

/// The code of an `[[accept]]`.
fn acceptable(text: &str) -> Result<Code, ValueError> {
    let names = || Code::all().iter().map(|code| code.name());
    let Some(code) = Code::all().iter().copied().find(|code| code.name() == text) else {
        return Err(ValueError::Code(text.to_owned(), nearest(text, names())));
    };
    match code.why_never_accepted() {
        Some(why) => Err(ValueError::NeverAccepted(code.name(), why)),
        None => Ok(code),
    }
}

/// Why a value is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A rule in `from` or `warn`.
    #[error("{0:?} is not a rule: expected one of {names}", names = Rule::all().map(Rule::name).collect::<Vec<_>>().join(", "))]
    Rule(String),
    /// No code of a finding, and the most similar one.
    #[error("{0:?} is not the code of a finding: {hint}", hint = .1.map_or_else(|| "`sumgate audit` prints it in []".to_owned(), |name| format!("did you mean {name:?}?")))]
    Code(String, Option<&'static str>),
    /// A code that no policy can accept, and why.
    #[error("{0} cannot be accepted: {1}")]
    NeverAccepted(&'static str, &'static str),
    /// `min-age`.
    #[error("{0:?} is not a valid age: expected a duration in whole hours, such as \"36h\", \"7d\" or \"1d 12h\"")]
    Age(String),
    /// `max-zip-size`.
    #[error("{0:?} is not a valid size: expected a number and kB, MB, GB, KiB, MiB or GiB, such as \"100MB\"")]
    Size(String),
    /// A reason that is missing or has several lines.
    #[error("{0}")]
    Reason(&'static str),
    /// A reason that is too long.
    #[error("the reason has more than {MAX_REASON} characters; go shows about 600 bytes of an error")]
    LongReason,
}

fn rule(text: &str) -> Result<Rule, ValueError> {
    Rule::all().find(|rule| rule.name() == text).ok_or_else(|| ValueError::Rule(text.to_owned()))
}

/// Parses an age in whole hours: `7d`, `36h`, `2w`.
///
/// ```
/// assert_eq!(sumgate::policy::age("2d"), sumgate::policy::age("48h"));
/// assert!(sumgate::policy::age("2").is_err() && sumgate::policy::age("90m").is_err());
/// ```
pub fn age(text: &str) -> Result<Duration, ValueError> {
    let whole_hours = |age: &Duration| age.subsec_nanos() == 0 && age.as_secs().is_multiple_of(3600);
    duration(text).filter(whole_hours).ok_or_else(|| ValueError::Age(text.to_owned()))
}

/// Parses a size: `100MB`, `64MiB`, or a number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, ValueError> {
    const UNITS: [(&str, u64); 6] =
        [("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let number: Option<u64> = number.trim().parse().ok();
    number.and_then(|number| number.checked_mul(bytes)).ok_or_else(|| ValueError::Size(text.to_owned()))
}

fn toolchain(text: &str) -> Result<Range<GoVersion>, RangeError> {
    let version = |text: &str| GoVersion::parse(text).ok_or_else(|| RangeError::GoVersion(text.to_owned()));
    Range::parse(text, version, GoVersion::cmp)
}
