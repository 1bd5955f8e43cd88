//! `sumgate.toml` as it is written → a checked [`Policy`], or everything that is wrong with it, each with its place.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use super::{At, Exception, Policy, Range, RangeError, Rule, Selection};
use crate::base::duration::duration;
use crate::base::toml_file::{self, Diagnostics, Reader, Text, patterns};
use gomodule::goversion::GoVersion;
use gomodule::module::Version;

/// `go` shows about 600 bytes of a refusal, with the name and our own words in it.
const MAX_REASON: usize = 300;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: Settings,
    #[serde(default)]
    deny: Vec<Spanned<Chosen>>,
    #[serde(default)]
    allow: Vec<Spanned<Chosen>>,
    #[serde(default)]
    exception: Vec<Spanned<Excepted>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    default: Option<Text>,
    min_age: Option<Text>,
    unknown_age: Option<Text>,
    pseudo_versions: Option<Text>,
    pre_releases: Option<Text>,
    retracted: Option<Text>,
    unknown_modules: Option<Text>,
    max_zip_size: Option<Text>,
    toolchains: Option<Spanned<Vec<Text>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    module: Text,
    versions: Option<Text>,
    reason: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Excepted {
    module: Text,
    versions: Option<Text>,
    from: Vec<Text>,
    reason: Text,
    expires: Spanned<toml::value::Datetime>,
}

/// Reads `sumgate.toml`.
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
    fn policy(&mut self, file: &File) -> Policy {
        let settings = &file.policy;
        let policy = Policy {
            deny: file.deny.iter().map(|chosen| self.chosen(chosen)).collect(),
            allow: file.allow.iter().map(|chosen| self.chosen(chosen)).collect(),
            exceptions: file.exception.iter().map(|excepted| self.excepted(excepted)).collect(),
            default_deny: self.one_of(settings.default.as_ref(), "deny", "allow"),
            min_age: self.value(settings.min_age.as_ref(), age),
            unknown_age_is_old: self.one_of(settings.unknown_age.as_ref(), "old", "new").is_some(),
            pseudo_versions: self.one_of(settings.pseudo_versions.as_ref(), "deny", "allow"),
            pre_releases: self.one_of(settings.pre_releases.as_ref(), "deny", "allow"),
            retracted: self.one_of(settings.retracted.as_ref(), "deny", "allow"),
            unknown_modules: self.one_of(settings.unknown_modules.as_ref(), "deny", "absent"),
            max_zip_size: self.value(settings.max_zip_size.as_ref(), size),
            toolchains: settings.toolchains.as_ref().map(|toolchains| {
                let ranges = toolchains.get_ref().iter().filter_map(|text| self.0.checked(text, toolchain));
                At { value: ranges.collect(), line: self.line_of(toolchains) }
            }),
        };
        if let (None, Some(allow)) = (policy.default_deny, file.allow.first()) {
            let words =
                "an [[allow]] means nothing unless everything else is denied: set default = \"deny\" in [policy]";
            self.0.complain(allow.span().start, words);
        }
        policy
    }

    fn line_of<T>(&self, value: &Spanned<T>) -> u32 {
        self.0.line(value.span().start)
    }

    /// The line of a setting that has the word `yes`; a third word is a complaint.
    fn one_of(&mut self, text: Option<&Text>, yes: &str, no: &str) -> Option<u32> {
        let text = text?;
        match text.get_ref() {
            word if word == yes => Some(self.line_of(text)),
            word if word == no => None,
            word => {
                self.0.complain(text.span().start, format!("{word:?} is neither \"{yes}\" nor \"{no}\""));
                None
            }
        }
    }

    fn value<T, E: fmt::Display>(
        &mut self,
        text: Option<&Text>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let text = text?;
        self.0.checked(text, parse).map(|value| At { value, line: self.line_of(text) })
    }

    fn chosen(&mut self, chosen: &Spanned<Chosen>) -> Selection {
        let Chosen { module, versions, reason } = chosen.get_ref();
        self.selection(module, versions.as_ref(), reason, self.0.line(chosen.span().start))
    }

    fn selection(&mut self, module: &Text, versions: Option<&Text>, reason: &Text, line: u32) -> Selection {
        let modules = self.0.checked(module, patterns).unwrap_or_default();
        let range = |text: &str| Range::parse(text, |text| Ok(Version::parse(text)?), Version::precedence);
        let versions = versions.and_then(|text| self.0.checked(text, range));
        let reason = self.0.checked(reason, |text| match text.trim() {
            "" => Err(ValueError::Reason("give a reason: it is shown to whoever is refused")),
            text if text.chars().any(char::is_control) => Err(ValueError::Reason("write the reason on one line")),
            text if text.chars().count() > MAX_REASON => Err(ValueError::LongReason),
            text => Ok(text.to_owned()),
        });
        Selection { modules, versions, reason: reason.unwrap_or_default(), line }
    }

    fn excepted(&mut self, excepted: &Spanned<Excepted>) -> Exception {
        let Excepted { module, versions, from, reason, expires } = excepted.get_ref();
        let selection = self.selection(module, versions.as_ref(), reason, self.0.line(excepted.span().start));
        let rules = from.iter().filter_map(|text| self.0.checked(text, rule)).collect();
        if from.is_empty() {
            self.0.complain(excepted.span().start, "from names no rule, so the exception lifts nothing");
        }
        let date = match expires.get_ref() {
            toml::value::Datetime { date: Some(date), time: None, offset: None } => {
                let part = |n: u8| i8::try_from(n).unwrap_or_default();
                let year = i16::try_from(date.year).unwrap_or_default();
                Date::new(year, part(date.month), part(date.day)).ok()
            }
            _ => None,
        };
        if date.is_none() {
            self.0.complain(expires.span().start, "expires is a day, such as 2027-01-31");
        }
        Exception { selection, from: rules, expires: date.unwrap_or(Date::MIN) }
    }
}

/// Why a value means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Of an exception.
    #[error("{0:?} is not a rule: expected one of {names}", names = Rule::all().map(Rule::name).collect::<Vec<_>>().join(", "))]
    Rule(String),
    /// Of a record.
    #[error("{0:?} is not a valid age: expected a number and h, d or w, such as \"7d\"")]
    Age(String),
    /// Of a zip.
    #[error("{0:?} is not a valid size: expected a number and kB, MB, GB, KiB, MiB or GiB, such as \"100MB\"")]
    Size(String),
    /// Of a refusal: none, or one on several lines.
    #[error("{0}")]
    Reason(&'static str),
    /// Of a refusal: more than is shown.
    #[error("the reason has more than {MAX_REASON} characters, and go shows only some 600 bytes")]
    LongReason,
}

fn rule(text: &str) -> Result<Rule, ValueError> {
    Rule::all().find(|rule| rule.name() == text).ok_or_else(|| ValueError::Rule(text.to_owned()))
}

/// Reads an age in whole hours: `7d`, `36h`, `2w`.
///
/// ```
/// assert_eq!(sumgate::policy::age("2d"), sumgate::policy::age("48h"));
/// assert!(sumgate::policy::age("2").is_err() && sumgate::policy::age("90m").is_err());
/// ```
pub fn age(text: &str) -> Result<Duration, ValueError> {
    let whole_hours = |age: &Duration| age.subsec_nanos() == 0 && age.as_secs().is_multiple_of(3600);
    duration(text).filter(whole_hours).ok_or_else(|| ValueError::Age(text.to_owned()))
}

/// `100MB`, `64MiB`, or bytes.
fn size(text: &str) -> Result<u64, ValueError> {
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
