//! Whether a form was sent by our own page. Pure.
//!
//! A page of another origin could otherwise make a browser audit something here. Browsers say where a form comes from:
//! `Sec-Fetch-Site` to trustworthy addresses, and the header `origin` with every POST. Other clients send neither.

use hyper::header::{HeaderMap, ORIGIN};

/// Whether the request was not sent by a page of another origin. `host` is the one of the request.
pub(super) fn is_own(headers: &HeaderMap, host: Option<&str>) -> bool {
    let is = |name: &str, accepts: &dyn Fn(&str) -> bool| {
        headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(accepts))
    };
    // `none` is a user's own action, without a page.
    is("sec-fetch-site", &|site| matches!(site, "same-origin" | "none"))
        && is(ORIGIN.as_str(), &|origin| origin.split_once("://").is_some_and(|(_, of)| Some(of) == host))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_form_of_another_origin_is_refused() {
        let is = |lines: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            is_own(&headers, Some("localhost:8080"))
        };
        assert!(is(&[]), "curl");
        assert!(is(&[("origin", "http://localhost:8080")]));
        assert!(is(&[("origin", "https://localhost:8080"), ("sec-fetch-site", "same-origin")]), "TLS ends before us");
        for wrong in ["http://evil.example", "null", "http://localhost:8081", "http://localhost", "localhost:8080", ""]
        {
            assert!(!is(&[("origin", wrong)]), "{wrong}");
            assert!(!is(&[("origin", "http://localhost:8080"), ("origin", wrong)]), "{wrong}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert!(!is(&[("sec-fetch-site", site), ("origin", "http://localhost:8080")]), "{site}");
        }
    }
}
