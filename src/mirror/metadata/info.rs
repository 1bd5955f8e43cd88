//! `.info` files: read as strictly as the strictest `go`, and written anew.
//!
//! `go` reads `Version`, `Time` and `Origin` with Go's `encoding/json`: field names match without regard to case, the last of
//! several wins, and an invalid field makes the whole answer an error, for as long as it is kept. So text that `go` could read in
//! another way, or not at all, is refused, and only these three fields are kept and passed on.

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::client_text::plain_json;
use gomodule::artifact::Kind;
use gomodule::module::{Version, VersionError};

/// What is read; the kept fields have about ten kilobytes at most.
const MAX_INFO: usize = Kind::Info.max_len();
/// The limit of a path (PATH_MAX), for a subfolder, a branch or the URL of a repository.
const MAX_FIELD: usize = 4096;
/// All fields of `Origin` together: two of the longest. Four others are hashes of less than a hundred bytes.
const MAX_ORIGIN: usize = 2 * MAX_FIELD;
/// `go` writes a fraction of nine digits, 35 bytes in all, and reads any number of digits.
const MAX_TIME: usize = 64;

/// The fields of `Origin` that `go` has (`cmd/go/internal/modfetch/codehost`, Origin, as of 1.27): all are strings.
const ORIGIN: [&str; 8] = ["VCS", "URL", "Subdir", "Hash", "TagPrefix", "TagSum", "Ref", "RepoSum"];

#[derive(Debug, thiserror::Error)]
pub(crate) enum InfoError {
    #[error("its .info cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("its .info: expected at most {MAX_INFO} bytes, found {0}")]
    Long(usize),
    #[error("its .info: expected a field Version, found none")]
    NoVersion,
    #[error("its .info names the version {0:?}: {1}")]
    Version(String, VersionError),
    #[error("its .info: expected one field {0}, found it spelled in more than one way")]
    Twice(String),
    #[error("its .info: expected a Time as in RFC 3339, found {0:?}")]
    Time(String),
    #[error("its .info: expected an Origin that is an object: {0}")]
    Origin(serde_json::Error),
    #[error("its .info: expected a string as the field {0} of Origin: {1}")]
    Field(&'static str, serde_json::Error),
    #[error("its .info: expected at most {MAX_FIELD} bytes in a field of Origin and {MAX_ORIGIN} in all, found more")]
    LongOrigin,
    #[error("its .info: expected a line of text as the field {0} of Origin, found {1:?} in it")]
    Character(&'static str, char),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) version: Version,
    /// As it was written.
    time: Option<String>,
    origin: Option<Map<String, Value>>,
}

impl Info {
    pub(crate) fn read(body: &[u8]) -> Result<Self, InfoError> {
        if body.len() > MAX_INFO {
            return Err(InfoError::Long(body.len()));
        }
        let Fields(fields) = serde_json::from_slice(body)?;
        let version = only(&fields, "version")?.ok_or(InfoError::NoVersion)?;
        let version: String = serde_json::from_str(version.get())?;
        let version = Version::parse(&version).map_err(|why| InfoError::Version(version, why))?;
        let time = only(&fields, "time")?.map(time).transpose()?.flatten();
        let origin = only(&fields, "origin")?.map(origin).transpose()?.flatten();
        Ok(Self { version, time, origin })
    }

    /// The shortest valid `.info`.
    pub(crate) fn of(version: Version) -> Self {
        Self { version, time: None, origin: None }
    }

    /// Written anew, from the fields that were read.
    pub(crate) fn text(&self) -> Bytes {
        let mut fields = Map::new();
        fields.insert("Version".to_owned(), self.version.as_ref().into());
        fields.extend(self.time.clone().map(|time| ("Time".to_owned(), time.into())));
        fields.extend(self.origin.clone().map(|origin| ("Origin".to_owned(), origin.into())));
        plain_json(&Value::from(fields).to_string()).into()
    }
}

/// The one field that `go` takes for `name`, which is in lower case.
fn only<'f>(fields: &'f [(String, Box<RawValue>)], name: &str) -> Result<Option<&'f RawValue>, InfoError> {
    let mut same = fields.iter().filter(|(field, _)| folded(field) == name);
    match (same.next(), same.next()) {
        (_, Some(_)) => Err(InfoError::Twice(name.to_owned())),
        (first, None) => Ok(first.map(|(_, value)| &**value)),
    }
}

/// As `encoding/json` folds names. `ſ` is the only character outside ASCII that it folds to a letter of these names.
fn folded(name: &str) -> String {
    name.to_lowercase().replace('ſ', "s")
}

/// A time of bounded length that Go's `time.Time.UnmarshalJSON` reads. Like it, this reads the raw text, so an escape is invalid.
fn time(value: &RawValue) -> Result<Option<String>, InfoError> {
    if value.get() == "null" {
        return Ok(None);
    }
    let text = value.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    if text.len() <= MAX_TIME && is_rfc_3339(text) {
        return Ok(Some(text.to_owned()));
    }
    Err(InfoError::Time(value.get().chars().take(40).collect()))
}

/// `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, with each number in its range (Go's `parseRFC3339`).
fn is_rfc_3339(text: &str) -> bool {
    let Some((seconds, rest)) = text.split_at_checked(19) else { return false };
    if !has_form(seconds, "####-##-##T##:##:##") || seconds[..10].parse::<jiff::civil::Date>().is_err() {
        return false;
    }
    let is_time = &seconds[11..13] < "24" && &seconds[14..16] < "60" && &seconds[17..] < "60";
    let is_digit = |c: char| c.is_ascii_digit();
    let zone = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(is_digit) => fraction.trim_start_matches(is_digit),
        _ => rest,
    };
    let is_offset = |offset: &str| has_form(offset, "##:##") && &offset[..2] < "24" && &offset[3..] < "60";
    is_time && (zone == "Z" || zone.strip_prefix(['+', '-']).is_some_and(is_offset))
}

/// Whether a text has this form; `#` is a digit.
fn has_form(text: &str, form: &str) -> bool {
    let fits = |(c, f): (u8, u8)| if f == b'#' { c.is_ascii_digit() } else { c == f };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

/// The fields of `Origin` that `go` has.
fn origin(value: &RawValue) -> Result<Option<Map<String, Value>>, InfoError> {
    let fields: Option<Fields> = serde_json::from_str(value.get()).map_err(InfoError::Origin)?;
    let Some(Fields(fields)) = fields else { return Ok(None) };
    let (mut kept, mut len) = (Map::new(), 0);
    for name in ORIGIN {
        let Some(value) = only(&fields, &name.to_lowercase())? else { continue };
        let text: Option<String> = serde_json::from_str(value.get()).map_err(|why| InfoError::Field(name, why))?;
        let Some(text) = text else { continue };
        len += text.len();
        if text.len() > MAX_FIELD || len > MAX_ORIGIN {
            return Err(InfoError::LongOrigin);
        }
        if let Some(odd) = text.chars().find(|c| c.is_control()) {
            return Err(InfoError::Character(name, odd));
        }
        kept.insert(name.to_owned(), text.into());
    }
    Ok(Some(kept))
}

/// The fields of an object, with duplicates.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn anew(text: &str) -> Result<String, String> {
        let read = Info::read(text.as_bytes()).map_err(|error| error.to_string());
        read.map(|info| String::from_utf8(info.text().to_vec()).unwrap())
    }

    #[test]
    fn an_info_must_name_one_canonical_version() {
        assert_eq!(anew(r#"{"version":"v1.0.0"}"#).unwrap(), r#"{"Version":"v1.0.0"}"#);
        for bad in
            ["<html>", "{}", "[]", "null", r#"{"Version":null}"#, r#"{"Version":1}"#, r#"{"Version":"v1.0.0"} x"#]
        {
            assert!(anew(bad).is_err(), "{bad}");
        }
        assert!(anew(r#"{"Version":"main"}"#).unwrap_err().contains("main"));
        for second in ["Version", "version", "verſion", "VERSION"] {
            let twice = format!(r#"{{"Version":"v1.0.0","{second}":"v9.9.9"}}"#);
            assert!(anew(&twice).unwrap_err().contains("more than one way"), "{second}");
        }
        assert!(anew(&format!(r#"{{"Version":"v1.0.0","x":"{}"}}"#, "x".repeat(MAX_INFO))).is_err());
    }

    #[test]
    fn only_the_three_fields_that_go_reads_are_kept() {
        let said = r#" {"Extra":["x"], "origin":{"VCS":"git","URL":"https://a.example","Else":{"a":[1]}},
            "TIME":"2020-01-01T00:00:00.5+01:00", "Version":"v1.0.0", "Name":"x"}"#;
        let written = r#"{"Version":"v1.0.0","Time":"2020-01-01T00:00:00.5+01:00","Origin":{"VCS":"git","URL":"https://a.example"}}"#;
        assert_eq!(anew(said).unwrap(), written);
        assert_eq!(anew(written).unwrap(), written);
        assert_eq!(anew(r#"{"Version":"v1.0.0","Time":null,"Origin":null}"#).unwrap(), r#"{"Version":"v1.0.0"}"#);
    }

    #[test]
    fn only_the_fields_of_origin_that_go_has_are_kept_with_a_bound() {
        let large = "x".repeat(MAX_INFO / 2);
        let said = format!(
            r#"{{"Version":"v1.0.0","Origin":{{"Extra":"{large}","vcs":"git","URL":"u","Subdir":"s","Hash":"h","TagPrefix":"p/",
            "TagSum":"t","REF":"refs/tags/v1.0.0","RepoSum":null}}}}"#
        );
        let written = r#"{"Version":"v1.0.0","Origin":{"VCS":"git","URL":"u","Subdir":"s","Hash":"h","TagPrefix":"p/","TagSum":"t","Ref":"refs/tags/v1.0.0"}}"#;
        assert_eq!(anew(&said).unwrap(), written);
        let of = |lens: [usize; 3]| {
            let [url, subdir, name] = lens.map(|len| "x".repeat(len));
            anew(&format!(r#"{{"Version":"v1.0.0","Origin":{{"URL":"{url}","Subdir":"{subdir}","Ref":"{name}"}}}}"#))
        };
        assert!(of([MAX_FIELD, MAX_FIELD, 0]).is_ok());
        for lens in [[MAX_FIELD + 1, 0, 0], [0, 0, MAX_FIELD + 1], [MAX_FIELD, MAX_FIELD, 1]] {
            assert!(of(lens).unwrap_err().contains("at most 4096 bytes"), "{lens:?}");
        }
        let time = format!(r#"{{"Version":"v1.0.0","Time":"2020-01-01T00:00:00.{}Z"}}"#, "0".repeat(MAX_TIME));
        assert!(anew(&time).unwrap_err().contains("expected a Time"));
    }

    #[test]
    fn a_field_that_go_cannot_read_is_refused() {
        for field in [
            r#""Time":"""#,
            r#""Time":"yesterday""#,
            r#""Time":1577836800"#,
            r#""Time":"2020-01-01T00:00:00Z","time":"2020-01-01T00:00:00Z""#,
            r#""Time":"2020-01-01T00:00:00Z","Time":"2020-01-01T00:00:00Z""#,
            r#""Time":"2020\u002d01-01T00:00:00Z""#,
            r#""Origin":"git""#,
            r#""Origin":[]"#,
            r#""Origin":{"VCS":5}"#,
            r#""Origin":{"tagſum":{}}"#,
            r#""Origin":{},"origin":{}"#,
            r#""Origin":{"VCS":"git","vcs":"hg"}"#,
            r#""Origin":{"URL":"a\nb"}"#,
            r#""Origin":{"Ref":"\u001b[2J"}"#,
            r#""Origin":{"Hash":"\u009b"}"#,
        ] {
            assert!(anew(&format!(r#"{{"Version":"v1.0.0",{field}}}"#)).is_err(), "{field}");
        }
    }

    #[test]
    fn times_must_be_valid_in_rfc_3339() {
        for good in [
            "2020-02-29T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2020-01-01T00:00:00.123456789012Z",
            "2020-12-31T00:00:00-23:59",
        ] {
            assert!(is_rfc_3339(good), "{good}");
        }
        for bad in [
            "2021-02-29T00:00:00Z",
            "2020-13-01T00:00:00Z",
            "2020-00-01T00:00:00Z",
            "2020-01-00T00:00:00Z",
            "2020-04-31T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:60:00Z",
            "2020-01-01T00:00:60Z",
            "2020-01-01t00:00:00Z",
            "2020-01-01 00:00:00Z",
            "2020-01-01T00:00:00z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00,5Z",
            "2020-01-01T00:00:00+24:00",
            "2020-01-01T00:00:00+00:60",
            "2020-01-01T00:00:00+0000",
            "2020-01-01T0:00:00Z",
            "+020-01-01T00:00:00Z",
            "2020-01-01T00:00:0éZ",
        ] {
            assert!(!is_rfc_3339(bad), "{bad}");
        }
    }
}
