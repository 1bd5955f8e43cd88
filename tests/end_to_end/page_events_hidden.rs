//! What events must not give away: nothing of private modules on the page, as JSON or in a stream, and no address of a client.

use libtest_mimic::Trial;
use testkit::Fault;

use crate::fixture::{Mirror, get, request, trial};
use crate::page::{html, with_private};
use crate::page_events::{API, PAGE, STREAM, Stream, api, shows};

const ZIP: &str = "/example.com/dep/v2/@v/v2.0.1.zip";
const PROXIED: [&str; 4] =
    ["forwarded: for=192.0.2.1\r\n", "via: 1.1 a\r\n", "x-forwarded-for: 192.0.2.1\r\n", "x-forwarded-host: a\r\n"];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("page, events hidden: private modules are nowhere, also after failures and in another case", private),
        trial("page, events hidden: --show-private shows them to this machine, and not through a proxy", show_private),
        trial("page, events hidden: a mirror that is offline, and was not told what is private, shows no pin", offline),
    ]
}

/// Everything that a mirror shows of events to a client with these headers.
fn all(mirror: &Mirror, headers: &str) -> String {
    let page = request(&mirror.url, "GET", PAGE, &format!("accept: text/html\r\n{headers}"));
    let json = request(&mirror.url, "GET", &format!("{API}?limit=1000"), headers);
    assert_eq!((page.status, json.status), (200, 200));
    page.text() + &json.text()
}

fn private() {
    let (origin, _folder, mirror) = with_private(&[]);
    let mut stream = Stream::begun(&mirror.url, &format!("{STREAM}?after=0"));
    // A refusal, wrong bytes, a source that goes down, and names in another case.
    origin.misbehave("/example.com/dep/v2/@v/v2.0.1.zip", Fault::FlipBit(200));
    std::fs::remove_dir_all(mirror.data.join("proxy/example.com/dep")).unwrap();
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    origin.misbehave("*", Fault::RetryAfter(503, 60));
    for nth in 0..4 {
        get(&mirror.url, &format!("/example.com/dep/v2/@v/v2.0.{}.zip", 90 + nth));
        get(&mirror.url, &format!("/example.com/!dep/v2/@v/v2.0.{}.zip", 90 + nth));
        get(&mirror.url, "/example.com/!d!e!p/v2/@v/list");
    }
    // A public one, so that what came before it was sent.
    assert!(get(&mirror.url, "/example.com/hello/@v/list").status >= 500);
    let sent = stream.until("example.com/hello\"") + &stream.until("\n\n");
    let shown = all(&mirror, "");
    assert!(shown.contains("example.com/hello"), "{shown}");
    for text in [sent, shown] {
        let text = text.to_lowercase();
        assert!(!text.contains("example.com/dep") && !text.contains("(private)"), "{text}");
        assert!(!text.contains("\"client\":") && !text.contains("\"request\":"), "{text}");
    }
    // The operator's log has them.
    let log = crate::event_log::events(&mirror.data, &["--module", "example.com/dep", "--outcome", "quarantined"], 1);
    assert_eq!(log[0]["private"], true, "{log:?}");
    let counted = api(&mirror, "?module=example.com/dep")["events"].as_array().unwrap().len();
    assert_eq!((counted, api(&mirror, "")["alarms"].as_array().unwrap().len()), (0, 0));
}

fn show_private() {
    let (_origin, _folder, mirror) = with_private(&["--show-private"]);
    let id = get(&mirror.url, ZIP).header("x-request-id").unwrap().to_owned();
    let shown = all(&mirror, "");
    for text in ["example.com/dep/v2@v2.0.1", "pinned on first use", "client <span", &id, "\"client\": \"127.0.0.1\""] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(api(&mirror, "?client=127.0.0.0/8&outcome=released")["events"].as_array().unwrap().len() >= 3);
    let mut stream = Stream::begun(&mirror.url, &format!("{STREAM}?after=0&client=127.0.0.1"));
    stream.until("example.com/dep/v2");
    get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod");
    for proxy in PROXIED {
        let shown = all(&mirror, proxy);
        assert!(shown.contains("example.com/hello") && !shown.contains("example.com/dep"), "{proxy}: {shown}");
        assert!(!shown.contains("127.0.0.1\"") && !shown.contains(&id), "{proxy}: {shown}");
        let mut stream = Stream::open(&mirror.url, &format!("{STREAM}?after=0"), proxy);
        let sent = stream.until("example.com/hello\"") + &stream.until("\n\n");
        assert!(!sent.contains("example.com/dep") && !sent.contains("\"client\""), "{proxy}: {sent}");
        assert_eq!(request(&mirror.url, "GET", &format!("{API}?client=127.0.0.1"), proxy).status, 403, "{proxy}");
    }
}

fn offline() {
    let (origin, folder, mirror) = with_private(&[]);
    drop(mirror);
    let mirror = Mirror::start_with(&folder.path().join("data"), &["--offline", "--sumdb", &origin.gosumdb()]);
    // Its pin keeps the name here.
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    assert!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.9.zip").status >= 400);
    assert!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status >= 500);
    let page = shows(&mirror, "example.com/hello");
    for text in [page, all(&mirror, ""), html(&mirror, &format!("{PAGE}?module=example.com/dep")).text()] {
        let text = text.replace("value=\"example.com/dep\"", "").replace("module=example.com%2Fdep", "");
        assert!(!text.contains("example.com/dep") && !text.contains("h1:"), "{text}");
    }
}
