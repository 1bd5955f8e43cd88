//! Whether a form was sent, or a link followed, on our own page. Pure.
//!
//! A page of another origin could otherwise make a browser audit or look up something here. Browsers say where a request comes from:
//! `Sec-Fetch-Site` to trustworthy addresses, the header `origin` with every POST, and `referer` with links and images unless that page
//! forbids it. Other clients send none of them.

use hyper::header::{HeaderMap, ORIGIN, REFERER};

/// Whether the request was not sent by a page of another origin. `host` is the one of the request.
pub(super) fn is_own(headers: &HeaderMap, host: Option<&str>) -> bool {
    // `none` is a user's own action, without a page.
    all(headers, "sec-fetch-site", |site| matches!(site, "same-origin" | "none"))
        && all(headers, ORIGIN.as_str(), |origin| origin.split_once("://").is_some_and(|(_, of)| Some(of) == host))
}

/// Whether no page of another origin shows that it has the address of the request, as a link or an image.
pub(super) fn is_followed_here(headers: &HeaderMap, host: Option<&str>) -> bool {
    let is_here = |page: &str| page.split_once("://").is_some_and(|(_, of)| of.split('/').next() == host);
    is_own(headers, host) && all(headers, REFERER.as_str(), is_here)
}

fn all(headers: &HeaderMap, name: &str, accepts: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(&accepts))
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

    #[test]
    fn a_link_of_another_origin_is_known_by_its_page() {
        let is = |name: &'static str, value: &str| {
            let headers =
                HeaderMap::from_iter([(hyper::header::HeaderName::from_static(name), value.parse().unwrap())]);
            is_followed_here(&headers, Some("localhost:8080"))
        };
        assert!(is_followed_here(&HeaderMap::new(), Some("localhost:8080")), "typed, or curl");
        assert!(is("referer", "http://localhost:8080/-/module?q=a") && is("sec-fetch-site", "none"));
        for page in ["http://evil.example/", "http://evil.example/http://localhost:8080/", "http://localhost/", "x", ""]
        {
            assert!(!is("referer", page), "{page}");
        }
        assert!(!is("sec-fetch-site", "cross-site") && !is("origin", "null"));
    }
}
