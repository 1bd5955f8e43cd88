//! What the commands of GOAUTH print, parsed: sets of URLs and headers (`go help goauth`), and the answer of `git credential fill`.
//! Pure.

use reqwest::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING, USER_AGENT,
};
use url::Url;

use crate::upstream::authorization::basic;
use crate::upstream::netrc::authority;

/// Headers of one set. A login needs one or two.
const MAX_HEADERS: usize = 32;
/// Urls of one answer; each gets a copy of the headers of its set.
const MAX_URLS: usize = 1000;
/// These belong to a connection, not to a login, and the HTTP client sends its own, as that of `go` does.
const OWN: [HeaderName; 6] = [HOST, USER_AGENT, CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER, CONNECTION];

/// Why an answer cannot be used. Nothing of it is quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("line {0} of its output: expected a URL")]
    Url(usize),
    #[error("line {0} of its output: expected a header `Name: value`")]
    Header(usize),
    #[error("its output ends without an empty line after the URLs")]
    NoHeaders,
    #[error("its output ends without an empty line after the headers")]
    Unended,
    #[error("expected at most {MAX_HEADERS} headers in a set and {MAX_URLS} urls, found more in its output")]
    TooMany,
    #[error("git gave no URL with a user name and a password")]
    NoLogin,
    #[error("git gave a login for another URL than the requested one")]
    Elsewhere,
}

/// The form in which prefixes are compared: host, port and path, with the scheme unless it is https.
pub(super) fn prefix_of(url: &Url) -> String {
    let scheme = if url.scheme() == "https" { String::new() } else { format!("{}://", url.scheme()) };
    format!("{scheme}{}{}", authority(url), url.path().trim_end_matches('/'))
}

/// The headers of a command's output, by the prefix of their URLs: lines of URLs, an empty line, lines of headers, an empty line,
/// and so on.
pub(crate) fn parse(output: &str) -> Result<Vec<(String, HeaderMap)>, AnswerError> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(output.split_inclusive('\n')).peekable();
    while lines.peek().is_some() {
        let mut prefixes = Vec::new();
        loop {
            let (nth, line) = whole(lines.next()).ok_or(AnswerError::NoHeaders)?;
            if line.is_empty() {
                break;
            }
            let url = Url::parse(line).ok().filter(Url::has_host).ok_or(AnswerError::Url(nth))?;
            prefixes.push(prefix_of(&url));
        }
        let mut headers = HeaderMap::new();
        loop {
            let (nth, line) = whole(lines.next()).ok_or(AnswerError::Unended)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = header(line).ok_or(AnswerError::Header(nth))?;
            if !OWN.contains(&name) {
                headers.append(name, value);
            }
            if headers.len() > MAX_HEADERS {
                return Err(AnswerError::TooMany);
            }
        }
        if found.len() + prefixes.len() > MAX_URLS {
            return Err(AnswerError::TooMany);
        }
        found.extend(prefixes.into_iter().map(|prefix| (prefix, headers.clone())));
    }
    Ok(found)
}

/// A line without its line break; one that has none is unfinished.
fn whole(line: Option<(usize, &str)>) -> Option<(usize, &str)> {
    let (nth, line) = line?;
    Some((nth, line.strip_suffix('\n')?))
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ")?;
    let mut value = HeaderValue::from_bytes(value.trim().as_bytes()).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}

/// The login that `git credential fill` gives for a URL (git-credential(1), INPUT/OUTPUT FORMAT).
pub(super) fn of_git(output: &str, asked: &Url) -> Result<(String, HeaderMap), AnswerError> {
    let (mut protocol, mut host, mut path, mut user, mut password) = ("", "", "", "", "");
    let mut whole = None;
    for (key, value) in output.lines().filter_map(|line| line.trim().split_once('=')) {
        match key {
            "protocol" => protocol = value,
            "host" => host = value,
            "path" => path = value,
            "username" => user = value,
            "password" => password = value,
            "url" => whole = Url::parse(value).ok().or(whole),
            _ => {}
        }
    }
    let url = whole.or_else(|| Url::parse(&format!("{protocol}://{host}/{path}")).ok());
    let url = url.filter(|_| !user.is_empty() && !password.is_empty()).ok_or(AnswerError::NoLogin)?;
    let (prefix, requested) = (prefix_of(&url), prefix_of(asked));
    if requested.strip_prefix(&prefix).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/')) {
        return Err(AnswerError::Elsewhere);
    }
    let value = basic(user, password).map_err(|_| AnswerError::NoLogin)?;
    Ok((prefix, HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, value)])))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn shown(output: &str) -> Result<Vec<String>, AnswerError> {
        let one = |(prefix, headers): (String, HeaderMap)| {
            let headers = headers.iter().map(|(name, value)| format!(" {name}={}", value.to_str().unwrap()));
            prefix + &headers.collect::<String>()
        };
        Ok(parse(output)?.into_iter().map(one).collect())
    }

    #[test]
    fn urls_and_headers_come_in_sets() {
        assert_eq!(shown(""), Ok(vec![]));
        let output = "https://a.example\nhttps://B.example:443/api/\n\nAuthorization: Basic eA==\nX-Key:  k \n\n\
                      https://c.example:8443\n\nX-Key: 1\nX-Key: 2\n\nhttps://d.example\n\n\nhttp://localhost:80/x\n\na: b\n\n";
        let expected = [
            "a.example authorization=Basic eA== x-key=k",
            "b.example/api authorization=Basic eA== x-key=k",
            "c.example:8443 x-key=1 x-key=2",
            "d.example",
            "http://localhost/x a=b",
        ];
        assert_eq!(shown(output).unwrap(), expected);
        assert_eq!(shown("https://a.example\n\nHost: b\nContent-Length: 1\nA: b\n\n").unwrap(), ["a.example a=b"]);
        assert!(parse(output).unwrap()[0].1.values().all(HeaderValue::is_sensitive));
    }

    #[test]
    fn an_output_in_another_form_is_refused() {
        for (output, error) in [
            ("https://a.example", AnswerError::NoHeaders),
            ("https://a.example\n", AnswerError::NoHeaders),
            ("https://a.example\n\n", AnswerError::Unended),
            ("https://a.example\n\nA: b\n", AnswerError::Unended),
            ("https://a.example\n\nA: b\n\nx", AnswerError::NoHeaders),
            ("A: b\n\n", AnswerError::Url(1)),
            ("https://a.example\nA: b\n\n", AnswerError::Url(2)),
            ("a.example\n\n\n", AnswerError::Url(1)),
            (" Authorization: x\n", AnswerError::Url(1)),
            ("https://a.example\n\nA: b\n continued: c\n\n", AnswerError::Header(4)),
            ("https://a.example\n\nA:b\n\n", AnswerError::Header(3)),
            ("https://a.example\n\nA: \u{1}\n\n", AnswerError::Header(3)),
            ("https://a.example\r\n\r\nA: b\r\n\r\n", AnswerError::Url(2)),
        ] {
            assert_eq!(parse(output), Err(error), "{output:?}");
        }
        let many = format!("https://a.example\n\n{}\n", "A: b\n".repeat(MAX_HEADERS + 1));
        assert_eq!(parse(&many), Err(AnswerError::TooMany));
        let many = format!("{}\nA: b\n\n", "https://a.example\n".repeat(MAX_URLS + 1));
        assert_eq!(parse(&many), Err(AnswerError::TooMany));
    }

    #[test]
    fn git_gives_a_login_for_the_requested_url_only() {
        let login = "username=me\npassword=open=it\n";
        for (output, url, expected) in [
            ("protocol=https\nhost=a.example\n", "https://a.example/go/x/@v/list", Ok("a.example")),
            ("protocol=https\nhost=a.example:8443\npath=go\n", "https://a.example:8443/go/x", Ok("a.example:8443/go")),
            ("protocol=http\nhost=localhost:80\n", "http://localhost/x", Ok("http://localhost")),
            ("protocol=https\nhost=x\nurl=https://a.example/go\n", "https://a.example/go", Ok("a.example/go")),
            ("protocol=https\nhost=a.example\nurl=no\n", "https://a.example/x", Ok("a.example")),
            ("protocol=https\nhost=b.example\n", "https://a.example/x", Err(AnswerError::Elsewhere)),
            ("protocol=https\nhost=a.example\n", "https://a.example.org/x", Err(AnswerError::Elsewhere)),
            ("protocol=https\nhost=a.example\npath=go\n", "https://a.example/gopher", Err(AnswerError::Elsewhere)),
            ("protocol=http\nhost=a.example\n", "https://a.example/x", Err(AnswerError::Elsewhere)),
            ("host=a.example\n", "https://a.example/x", Err(AnswerError::NoLogin)),
        ] {
            let found = of_git(&format!("{output}{login}"), &Url::parse(url).unwrap());
            assert_eq!(found.as_ref().map(|(prefix, _)| prefix.as_str()), expected.as_ref().copied(), "{output}{url}");
        }
        let url = Url::parse("https://a.example").unwrap();
        let place = "protocol=https\nhost=a.example\n";
        let (_, headers) = of_git(&format!("{place}{login}"), &url).unwrap();
        // `me:open=it` in base 64 (RFC 4648).
        assert_eq!(headers["authorization"], "Basic bWU6b3Blbj1pdA==");
        assert_eq!(of_git(&format!("{place}username=me\n"), &url), Err(AnswerError::NoLogin));
    }
}
