//! What the page must not give away of private modules, and what a client cannot take from others.

use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;
use testkit::Fault;

use crate::fixture::{Mirror, get, request, trial};
use crate::page::{FORM, PRIVATE, form, html, post, start, with_private};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("page, hidden: an upstream that fails shows no name of a private module to others", failing_upstream),
        trial("page, hidden: a private name in another case is sent to nobody", other_case),
        trial("page, hidden: a mirror that is offline, and was not told what is private, shows no pin", offline),
        trial("page, hidden: a link or an image on another page causes no lookup", other_page),
        trial("page, hidden: bodies that never come keep nobody from an audit", bodies_that_never_come),
    ]
}

fn failing_upstream() {
    let (origin, _folder, mirror) = with_private(&[]);
    origin.misbehave("*", Fault::RetryAfter(503, 60));
    let mut said = String::new();
    for nth in 0..2 {
        said.push_str(&get(&mirror.url, &format!("/example.com/dep/v2/@v/v2.0.{}.zip", 90 + nth)).text());
    }
    let other = get(&mirror.url, "/example.com/hello/@v/list").text();
    let overview = html(&mirror, "/-/api/v1/overview").text();
    assert!(other.contains("after repeated failures"), "{other}\n{overview}\n{said}");
    for text in [overview, html(&mirror, "/").text(), other] {
        assert!(!text.contains("example.com/dep"), "{text}");
    }
}

fn other_case() {
    let (origin, _folder, mirror) = with_private(&[]);
    origin.take_requests();
    for path in ["/-/module?q=example.com/Dep/v2@v2.0.1", "/-/api/v1/module?q=Example.com/DEP/v2@v2.0.7"] {
        assert_eq!(html(&mirror, path).status, 403, "{path}");
    }
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn other_page() {
    let (origin, _folder, mirror) = start(&[]);
    let (page, api) = ("/-/module?q=example.com/hello@v1.0.0", "/-/api/v1/module?q=example.com/hello@v1.0.0");
    let own = format!("referer: {0}/-/module?q=x\r\norigin: {0}\r\nsec-fetch-site: same-origin\r\n", mirror.url);
    let foreign = [
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "origin: null\r\n",
        "referer: http://evil.example/\r\n",
    ];
    origin.take_requests();
    for headers in foreign {
        let answer = request(&mirror.url, "GET", page, headers);
        assert!(answer.status == 200 && answer.text().contains("You come from another page"), "{headers}");
        assert!(answer.text().contains("<a href=\"/-/module?q=example.com%2Fhello%40v1.0.0\">look at "), "{headers}");
        let answer = request(&mirror.url, "GET", api, headers);
        assert!(answer.status == 403 && answer.text().contains("nothing was looked up"), "{headers}");
        assert_eq!(request(&mirror.url, "GET", "/-/module?q=example.com/hello", headers).status, 200, "{headers}");
    }
    assert_eq!(origin.take_requests(), Vec::<String>::new(), "asked because of another page");
    assert!(request(&mirror.url, "GET", page, &own).text().contains("Record "));
    assert!(origin.take_requests().iter().any(|path| path.contains("/lookup/")));
    // What is stored is shown.
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod").status, 200);
    for headers in foreign {
        assert!(request(&mirror.url, "GET", page, headers).text().contains("Record "), "{headers}");
        assert_eq!(request(&mirror.url, "GET", api, headers).status, 200, "{headers}");
    }
}

fn offline() {
    let (origin, folder, mirror) = with_private(&[]);
    drop(mirror);
    let mirror = Mirror::start_with(&folder.path().join("data"), &["--offline", "--sumdb", &origin.gosumdb()]);
    for path in PRIVATE {
        let text = html(&mirror, path).text();
        assert!(!text.contains("h1:") && !text.contains("pinned on"), "{path}: {text}");
    }
    assert_eq!(html(&mirror, PRIVATE[1]).status, 403);
}

fn bodies_that_never_come() {
    let (_origin, _folder, mirror) = start(&["--trusted-proxy", "127.0.0.1/32"]);
    let address = mirror.url.strip_prefix("http://").unwrap();
    let (greedy, modest) = ("x-forwarded-for: 192.0.2.1\r\n", "x-forwarded-for: 192.0.2.2\r\n");
    // As many as wait at a time, from one client.
    let stalled: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            let head =
                format!("POST /-/audit HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000\r\n{FORM}{greedy}\r\ngo_");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    // They are there before the next one.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let audit =
        |client| post(&mirror.url, "/-/audit", &format!("{FORM}{client}"), &form("example.com/hello v1.0.0 h1:x\n"));
    let answer = audit(modest);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let refused = audit(greedy);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
    assert!(refused.text().contains("4 audits from this address are unfinished"), "{}", refused.text());
    drop(stalled);
}
