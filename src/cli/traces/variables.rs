//! The variables of the specification of OpenTelemetry that are obeyed here, checked before anything starts: the SDK ignores most
//! wrong values silently.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::ENDPOINTS;
use crate::base::without_login::typed_address_without_login;
use crate::upstream::may_log_in;

const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const COMPRESSIONS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
/// With `true` nothing is sent.
const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];
/// For one batch of spans, connection and answer, in milliseconds: the default of the specification.
const DEFAULT_TIMEOUT: u64 = 10_000;
/// Spans that are older help nobody who looks at them now; the queue is full long before.
const MAX_TIMEOUT: u64 = 60_000;
/// Numbers that the SDK reads, and the largest value of each: as many spans as 128 MB hold, at up to 2 kB, and ten minutes.
const NUMBERS: [(&str, u64); 3] = [
    ("OTEL_BSP_MAX_QUEUE_SIZE", 65_536),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 65_536),
    ("OTEL_BSP_SCHEDULE_DELAY", 600_000),
];

/// A wrong value. No message shows a header.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("{0}: expected a URL such as http://127.0.0.1:4318, found {1:?}")]
    Url(&'static str, String),
    #[error(
        "{0}: expected a URL without a login, found one for {1}: put it into OTEL_EXPORTER_OTLP_HEADERS, as \
         authorization=Basic%20…"
    )]
    Login(&'static str, String),
    #[error("{0}: expected {1}, found {2:?}")]
    Value(&'static str, String, String),
    #[error(
        "{0}: expected NAME=VALUE, with commas between entries, and %20 for a space; entry {1} is not of this form"
    )]
    Header(&'static str, usize),
    #[error("{0} has headers, which are not sent over plain http, except to this machine: make {1} https")]
    Plain(&'static str, &'static str),
}

/// Where traces are sent, and how long one request may take.
pub(super) struct Receiver {
    /// The variable that names it.
    pub(super) variable: &'static str,
    pub(super) url: Url,
    pub(super) headers: HashMap<String, String>,
    pub(super) timeout: Duration,
}

impl fmt::Debug for Receiver {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl Receiver {
    /// The one that the environment names, if it names one. `variable` returns the value of a variable that is not empty.
    pub(super) fn named(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Wrong> {
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
        let Some((name, value)) = first(ENDPOINTS) else { return Ok(None) };
        if variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match variable(EXPORTER) {
            Some(none) if none == "none" => return Ok(None),
            Some(found) if found != "otlp" => {
                return Err(Wrong::Value(EXPORTER, "otlp or none".to_owned(), found));
            }
            _ => {}
        }
        let url = endpoint(name, &value)?;
        let mut headers = HashMap::new();
        if let Some((of, value)) = first(HEADERS) {
            headers = read_headers(of, &value)?;
            if !may_log_in(&url) {
                return Err(Wrong::Plain(of, name));
            }
        }
        for (names, only) in [(PROTOCOLS, "http/protobuf"), (COMPRESSIONS, "none")] {
            match first(names) {
                Some((name, found)) if found != only => return Err(Wrong::Value(name, only.to_owned(), found)),
                _ => {}
            }
        }
        check_sampler(variable)?;
        for (name, most) in NUMBERS {
            variable(name).map(|value| number(name, value, most)).transpose()?;
        }
        let timeout = first(TIMEOUTS).map(|(name, value)| number(name, value, MAX_TIMEOUT)).transpose()?;
        Ok(Some(Self {
            variable: name,
            url,
            headers,
            timeout: Duration::from_millis(timeout.unwrap_or(DEFAULT_TIMEOUT)),
        }))
    }

    /// The server alone: the path of the URL may be a secret.
    pub(super) fn server(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// The URL for traces.
fn endpoint(name: &'static str, value: &str) -> Result<Url, Wrong> {
    // A query may be a secret.
    let shown = || typed_address_without_login(value.split('?').next().unwrap_or_default());
    let url = Url::parse(value).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    let mut url = url.ok_or_else(|| Wrong::Url(name, shown()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::Login(name, url.origin().ascii_serialization()));
    }
    if name == ENDPOINTS[1]
        && let Ok(mut path) = url.path_segments_mut()
    {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    Ok(url)
}

/// Every header: none may be lost.
fn read_headers(name: &'static str, value: &str) -> Result<HashMap<String, String>, Wrong> {
    let entries = value.split_terminator(',').enumerate();
    entries.map(|(at, entry)| read_header(entry).ok_or(Wrong::Header(name, at + 1))).collect()
}

fn read_header(entry: &str) -> Option<(String, String)> {
    let (name, value) = entry.split_once('=')?;
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let name = HeaderName::from_str(name.trim()).ok()?;
    let decoded = percent_decode_str(value.trim()).decode_utf8().ok()?;
    let is_valid = !decoded.is_empty() && HeaderValue::from_str(&decoded).is_ok();
    (value.split('%').skip(1).all(is_escape) && is_valid).then(|| (name.as_str().to_owned(), decoded.into_owned()))
}

fn check_sampler(variable: &dyn Fn(&str) -> Option<String>) -> Result<(), Wrong> {
    let Some(sampler) = variable(SAMPLER) else { return Ok(()) };
    if !SAMPLERS.contains(&sampler.as_str()) {
        return Err(Wrong::Value(SAMPLER, format!("one of {}", SAMPLERS.join(", ")), sampler));
    }
    let Some(ratio) = variable(RATIO).filter(|_| sampler.ends_with("traceidratio")) else { return Ok(()) };
    if ratio.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio)) {
        return Ok(());
    }
    Err(Wrong::Value(RATIO, "a number from 0 to 1".to_owned(), ratio))
}

fn number(name: &'static str, value: String, most: u64) -> Result<u64, Wrong> {
    let number = value.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Wrong::Value(name, format!("a number from 1 to {most}"), value))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const HTTPS: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://traces.example.com");

    fn named(variables: &[(&str, &str)]) -> Result<Option<Receiver>, String> {
        let value = |name: &str| {
            variables
                .iter()
                .find(|(found, value)| *found == name && !value.is_empty())
                .map(|(_, value)| (*value).to_owned())
        };
        Receiver::named(&value).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn the_url_of_everything_gets_a_path_and_that_of_traces_none() {
        assert!(named(&[]).unwrap().is_none());
        let url = |name, value| named(&[(name, value)]).unwrap().unwrap().url.to_string();
        for (value, found) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://a.example/otlp/", "https://a.example/otlp/v1/traces"),
        ] {
            assert_eq!(url(ENDPOINTS[1], value), found);
            assert_eq!(url(ENDPOINTS[0], found), found);
        }
        let both = named(&[HTTPS, (ENDPOINTS[0], "https://b.example/x")]).unwrap().unwrap();
        assert_eq!((both.url.as_str(), both.server().as_str()), ("https://b.example/x", "https://b.example"));
        assert_eq!(both.timeout, Duration::from_secs(10));
        for off in [("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert!(named(&[HTTPS, off]).unwrap().is_none(), "{off:?}");
        }
        assert!(named(&[HTTPS, ("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_SDK_DISABLED", "false")]).unwrap().is_some());
        let timeouts = [HTTPS, ("OTEL_EXPORTER_OTLP_TIMEOUT", "9"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "8")];
        assert_eq!(named(&timeouts).unwrap().unwrap().timeout, Duration::from_millis(8));
    }

    #[test]
    fn a_wrong_value_is_told_without_secrets() {
        let header =
            "expected NAME=VALUE, with commas between entries, and %20 for a space; entry 2 is not of this form";
        for (name, value, found) in [
            (ENDPOINTS[1], "collector:4318", "expected a URL such as http://127.0.0.1:4318, found \"collector:4318\""),
            (ENDPOINTS[1], "grpc://me:word@a:4317", "found \"grpc://a:4317\""),
            (ENDPOINTS[1], "htps://a/x?key=word", "found \"htps://a/x\""),
            (
                ENDPOINTS[0],
                "https://me:word@a.example",
                "without a login, found one for https://a.example: put it into",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,word", header),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,c=wo%rd", header),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,c d=word", header),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b,c=wo%0Ard", header),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "expected http/protobuf, found \"grpc\""),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "expected none, found \"gzip\""),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "expected a number from 1 to 60000, found \"10s\""),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "expected a number from 1 to 65536, found \"0\""),
            ("OTEL_TRACES_EXPORTER", "zipkin", "expected otlp or none, found \"zipkin\""),
            ("OTEL_TRACES_SAMPLER", "xray", "parentbased_traceidratio, found \"xray\""),
        ] {
            let told = named(&[(name, value), HTTPS]).unwrap_err();
            assert!(told.starts_with(&format!("{name}: ")) && told.contains(found), "{told}");
            assert!(!told.contains("word"), "{told}");
        }
        let ratio = named(&[HTTPS, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")]);
        assert_eq!(ratio.unwrap_err(), "OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, found \"2\"");
    }

    #[test]
    fn headers_go_over_tls_or_stay_on_this_machine() {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20word, x-scope=a");
        for (url, may) in [
            ("https://a.example", true),
            ("http://127.0.0.1:4318", true),
            ("http://localhost:4318", true),
            ("http://a.example", false),
        ] {
            // The exporter itself would read no header here.
            let empty = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "");
            let told = named(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url), empty, headers]);
            assert_eq!(told.is_ok(), may, "{told:?}");
            if let Ok(receiver) = &told {
                let headers = &receiver.as_ref().unwrap().headers;
                assert_eq!((headers["authorization"].as_str(), headers["x-scope"].as_str()), ("Basic word", "a"));
            }
            if let Err(told) = told {
                assert!(told.contains("make OTEL_EXPORTER_OTLP_ENDPOINT https") && !told.contains("word"), "{told}");
            }
        }
    }
}
