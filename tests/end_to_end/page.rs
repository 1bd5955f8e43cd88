//! The page for browsers, and its API: what they show, what they never show, and what they do not fetch.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use libtest_mimic::Trial;
use sha2::{Digest, Sha256};
use testkit::{Origin, World};

use crate::airgap::sumgate;
use crate::audit::{honest, line_of};
use crate::fixture::{Answer, Mirror, get, origin, request, run, trial};

const HTML: &str = "accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";
const HELLO: &str = "/-/module?q=example.com/hello@v1.0.0";
pub const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("page: browsers get HTML, all others the text", by_accept),
        trial("page: the hashes of the picture and of why give the signed root", proof),
        trial("page: a look at a version asks no upstream", no_fetch),
        trial("page: search forgives case, packages and pasted lines", search),
        trial("page: names and queries are escaped", escaped),
        trial("page: every answer has the content security policy, and none is readable from another origin", headers),
        trial("page: a pasted go.sum is audited without a script", audited),
        trial("page: a form of another origin, of another type, or too long is refused", refused_forms),
        trial("page: another Host gets neither page nor API", other_host),
        trial("page: the policy decides, and its rules are shown", policy),
        trial("page: private modules are not shown", private),
        trial("page: --show-private shows them to this machine, and not through a proxy", show_private),
        trial(
            "page: --show-private needs a loopback listener without --host and --trusted-proxy",
            show_private_refused,
        ),
    ]
}

pub fn start(more: &[&str]) -> (Origin, tempfile::TempDir, Mirror) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let flags = [&["--upstream", url.as_str(), "--sumdb", sumdb.as_str()], more].concat();
    let mirror = Mirror::start_with(&folder.path().join("data"), &flags);
    (origin, folder, mirror)
}

pub fn html(mirror: &Mirror, path: &str) -> Answer {
    request(&mirror.url, "GET", path, HTML)
}

/// Sends a body; the headers name its type.
pub fn post(url: &str, path: &str, headers: &str, body: &str) -> Answer {
    post_start(url, path, headers, body, body.len())
}

/// Sends the start of a body of this length.
fn post_start(url: &str, path: &str, headers: &str, body: &str, length: usize) -> Answer {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[split + 4..].to_vec() }
}

/// A form with this go.sum.
pub fn form(go_sum: &str) -> String {
    let text: String = url::form_urlencoded::byte_serialize(go_sum.as_bytes()).collect();
    format!("go_sum={text}")
}

fn by_accept() {
    let (_origin, _folder, mirror) = start(&[]);
    let page = html(&mirror, "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("vary"), Some("Accept"));
    assert!(
        page.text().contains("<h1>") && page.text().contains("go env -w GOPROXY=http://127.0.0.1:"),
        "{}",
        page.text()
    );
    for headers in ["", "accept: */*\r\n", "accept: text/plain\r\n", "accept: application/json\r\n"] {
        let text = request(&mirror.url, "GET", "/", headers);
        assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"), "{headers}");
        assert_eq!(text.header("vary"), Some("Accept"));
        assert!(text.text().starts_with("sumgate "), "{}", text.text());
    }
    assert_eq!(request(&mirror.url, "HEAD", "/", HTML).body, b"");
    assert_eq!(request(&mirror.url, "POST", "/-/module", "content-length: 0\r\n").header("allow"), Some("GET, HEAD"));
    assert_eq!((get(&mirror.url, "/-/none").status, get(&mirror.url, "/-/api/v1/none").status), (404, 404));
}

type Hash = [u8; 32];

fn hash(text: &str) -> Hash {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap().try_into().unwrap()
}

/// The root that the siblings give, each with its side; the hashes on the way must be `computed`.
fn root(record: &str, siblings: &[(String, Hash)], computed: &[Hash]) -> Hash {
    let mut hash: Hash = Sha256::new().chain_update([0]).chain_update(record).finalize().into();
    assert_eq!((computed[0], computed.len()), (hash, siblings.len() + 1));
    for ((side, sibling), computed) in siblings.iter().zip(&computed[1..]) {
        let (left, right) = if side == "left" { (*sibling, hash) } else { (hash, *sibling) };
        hash = Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into();
        assert_eq!(*computed, hash);
    }
    hash
}

fn proof() {
    let (origin, folder, mirror) = start(&[]);
    let page = html(&mirror, HELLO).text();
    let world = origin.world();
    let head = world.head_at(world.size()).unwrap();
    drop(world);
    let signed = hash(head.lines().nth(2).unwrap());
    let record = between(&page, "id=\"record-text\">", "</pre>")[0].clone();
    // From the top: the root, then the node and the sibling of each level, down to the leaf.
    let texts = between(&page, "data-role=\"", "</text>");
    let of = |roles: &[&str]| -> Vec<(String, Hash)> {
        let found = texts.iter().rev().filter(|text| roles.contains(&text.split('"').next().unwrap()));
        let side = |text: &str| if text.contains("data-side=\"left\"") { "left" } else { "right" }.to_owned();
        found.map(|text| (side(text), hash(text.rsplit('>').next().unwrap()))).collect()
    };
    let computed: Vec<Hash> = of(&["leaf", "computed", "root"]).into_iter().map(|(_, hash)| hash).collect();
    let siblings = of(&["sibling"]);
    assert!(siblings.len() > 5, "{page}");
    assert_eq!(root(&record, &siblings, &computed), signed);

    let (code, why) = sumgate(&folder.path().join("other"), &origin.gosumdb(), &["why", "example.com/hello@v1.0.0"]);
    assert_eq!(code, Some(0), "{why}");
    let drawing = why.split_once("  proof ").unwrap().1;
    let words = |mark: &str| -> Vec<Vec<String>> {
        let lines = drawing.lines().filter_map(|line| line.trim().strip_prefix(mark));
        lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let computed: Vec<Hash> = words("●").iter().map(|words| hash(&words[0])).collect();
    let siblings: Vec<(String, Hash)> = words("├").iter().map(|words| (words[1].clone(), hash(&words[0]))).collect();
    assert_eq!(root(&record, &siblings, &computed), signed, "{why}");

    let api: serde_json::Value =
        serde_json::from_slice(&get(&mirror.url, "/-/api/v1/module?q=example.com/hello@v1.0.0").body).unwrap();
    let proof = &api["log"]["record"]["proof"];
    let steps = proof["steps"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let siblings: Vec<_> = steps.iter().map(|step| (text(&step["side"]), hash(&text(&step["sibling"])))).collect();
    let all = std::iter::once(&proof["leaf"]).chain(steps.iter().map(|step| &step["computed"]));
    let computed: Vec<Hash> = all.map(|value| hash(&text(value))).collect();
    assert_eq!((root(&record, &siblings, &computed), hash(&text(&proof["root"]))), (signed, signed));
}

/// The texts between two marks.
fn between(text: &str, start: &str, end: &str) -> Vec<String> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap().to_owned()).collect()
}

fn no_fetch() {
    let (origin, _folder, mirror) = start(&[]);
    for path in ["/", HELLO, "/-/module?q=example.com/hello", "/-/api/v1/module?q=example.com/hello@v1.9.9", "/-/audit"]
    {
        assert_eq!(html(&mirror, path).status, 200, "{path}");
    }
    let fetched: Vec<String> = origin.take_requests().into_iter().filter(|path| path.contains("/@")).collect();
    assert_eq!(fetched, Vec::<String>::new(), "an upstream was asked for a file");
    assert!(html(&mirror, HELLO).text().contains("not stored"));
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status, 200);
    let page = html(&mirror, HELLO).text();
    assert!(page.contains(&format!("from {}", origin.url())), "{page}");
}

fn search() {
    let (_origin, _folder, mirror) = start(&[]);
    for file in ["example.com/!upper/!case!mod/@v/v1.2.3.zip", "example.com/!upper/!case!mod/@v/v1.2.3.mod"] {
        assert_eq!(get(&mirror.url, &format!("/{file}")).status, 200);
    }
    for text in [
        "example.com/Upper/CaseMod@v1.2.3",
        "example.com/upper/casemod@v1.2.3",
        "EXAMPLE.COM/UPPER/CASEMOD%201.2.3",
        "%20require%20example.com/upper/casemod%20v1.2.3%20//%20indirect",
        "example.com/upper/casemod/internal/x@v1.2.3",
        "https://pkg.go.dev/example.com/upper/casemod@v1.2.3",
    ] {
        let page = html(&mirror, &format!("/-/module?q={text}"));
        let shows = page.text().contains("<title>example.com/Upper/CaseMod@v1.2.3 ");
        assert!(page.status == 200 && shows, "{text}: {}", page.text());
    }
    let versions = html(&mirror, "/-/module?q=example.com/upper/casemod").text();
    assert!(versions.contains("q=example.com%2FUpper%2FCaseMod%40v1.2.3"), "{versions}");
    assert_eq!(html(&mirror, "/-/module?q=").header("location"), Some("/"));
    assert_eq!(html(&mirror, "/-/module?q=nonsense").status, 400);
    let absent = html(&mirror, "/-/module?q=example.com/hello@v1.9.9");
    assert!(absent.status == 200 && absent.text().contains("No record"), "{}", absent.text());
}

fn escaped() {
    let (_origin, _folder, mirror) = start(&[]);
    let hostile = "%3Cscript%3Ealert(1)%3C/script%3E%22%27%26";
    for path in [
        format!("/-/module?q={hostile}"),
        format!("/-/module?q=example.com/{hostile}"),
        format!("/-/module?q=example.com/a@{hostile}"),
        format!("/-/module?q=example.com/hello%20v1.0.0%20{hostile}"),
        format!("/-/{hostile}"),
        format!("/-/api/v1/module?q={hostile}"),
    ] {
        let answer = html(&mirror, &path);
        let body = answer.text();
        let is_json = answer.header("content-type") == Some("application/json");
        assert!(is_json || !body.contains("<script>alert") && !body.contains("\"'&\""), "{path}: {body}");
    }
    let pasted = "example.com/<script>alert(1)</script> v1.0.0 h1:x\n<img src=x onerror=alert(1)> a b\n";
    let body = post(&mirror.url, "/-/audit", FORM, &form(pasted)).text();
    assert!(body.contains("malformed-line") && !body.contains("<script>alert") && !body.contains("<img"), "{body}");
}

fn headers() {
    let (_origin, _folder, mirror) = start(&[]);
    for path in [
        "/",
        HELLO,
        "/-/audit",
        "/-/none",
        "/-/page.css",
        "/-/page.js",
        "/-/icon.svg",
        "/-/api/v1/overview",
        "/-/events",
        "/-/api/v1/events",
    ] {
        let answer = html(&mirror, path);
        let policy = answer.header("content-security-policy").unwrap_or_default().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        let body = answer.text();
        assert!(!body.contains(" style=\"") && !body.contains("<style") && !body.contains("onclick"), "{path}: {body}");
    }
}

fn audited() {
    let (origin, _folder, mirror) = start(&["--private", "corp.example"]);
    let honest = honest(&origin);
    let lines = honest.join("\n");
    let clean = post(&mirror.url, "/-/audit", FORM, &form(&lines)).text();
    assert!(clean.contains("Everything is proved"), "{clean}");
    let (hello, other) = (line_of(&honest, "example.com/hello v1.0.0 "), line_of(&honest, "example.com/hello v1.1.0 "));
    let forged = lines.replace(hello.rsplit(' ').next().unwrap(), other.rsplit(' ').next().unwrap());
    let private = format!("{forged}\ncorp.example/secret v1.0.0 {}\n", other.rsplit(' ').next().unwrap());
    origin.take_requests();
    let found = post(&mirror.url, "/-/audit", FORM, &form(&private)).text();
    assert!(found.contains("hash-mismatch") && found.contains("1 line of modules that are exempt"), "{found}");
    assert!(!origin.take_requests().iter().any(|path| path.contains("corp.example")), "a private name was sent");
    let report = post(&mirror.url, "/-/api/v1/audit", "content-type: text/plain\r\n", &private);
    let report: serde_json::Value = serde_json::from_slice(&report.body).unwrap();
    assert_eq!((&report["ending"], &report["findings"][0]["code"]), (&"findings".into(), &"hash-mismatch".into()));
    assert!(!report.to_string().contains("corp.example"), "{report}");
}

fn refused_forms() {
    let (_origin, _folder, mirror) = start(&[]);
    let body = form("example.com/hello v1.0.0 h1:x\n");
    let own = format!("origin: {}\r\nsec-fetch-site: same-origin\r\n{FORM}", mirror.url);
    assert_eq!(post(&mirror.url, "/-/audit", &own, &body).status, 200);
    for (path, kind) in [("/-/audit", FORM), ("/-/api/v1/audit", "content-type: text/plain\r\n")] {
        for foreign in ["origin: http://evil.example\r\n", "origin: null\r\n", "sec-fetch-site: cross-site\r\n"] {
            let answer = post(&mirror.url, path, &format!("{foreign}{kind}"), &body);
            assert!(answer.status == 403 && answer.text().contains("another origin"), "{path} {foreign}");
        }
        assert_eq!(post(&mirror.url, path, "content-type: multipart/form-data\r\n", &body).status, 415, "{path}");
        assert_eq!(post_start(&mirror.url, path, kind, "", 4 << 20).status, 413, "{path}");
    }
    assert_eq!(post(&mirror.url, "/-/audit", FORM, "go_sum=").status, 400);
    assert_eq!(get(&mirror.url, "/-/api/v1/audit").header("allow"), Some("POST"));
}

fn other_host() {
    let (_origin, _folder, mirror) = start(&[]);
    for path in ["/", HELLO, "/-/page.css", "/-/api/v1/overview"] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n{HTML}\r\n");
        let mut stream = TcpStream::connect(mirror.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 421 "), "{path}: {answer}");
    }
}

fn policy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sumgate.toml");
    std::fs::write(&file, "[policy]\ndefault = \"deny\"\n\n[[allow]]\nmodule = \"example.com/dep\"\nreason = \"a\"\n")
        .unwrap();
    let (_origin, _folder, mirror) = start(&["--policy", file.to_str().unwrap()]);
    let page = html(&mirror, HELLO).text();
    assert!(page.contains("Refused by the policy") && page.contains("denied by default (policy:2)"), "{page}");
    assert!(!page.contains("sumgate.toml"), "the place of the policy is the operator's: {page}");
    let allowed = html(&mirror, "/-/module?q=example.com/dep/v2@v2.0.1").text();
    assert!(allowed.contains("allowed by policy"), "{allowed}");
}

/// A mirror with a private module that was served once.
pub fn with_private(more: &[&str]) -> (Origin, tempfile::TempDir, Mirror) {
    let started = start(&[&["--nosumdb", "example.com/dep"], more].concat());
    for file in ["example.com/dep/v2/@v/v2.0.1.zip", "example.com/dep/v2/@v/v2.0.1.mod"] {
        assert_eq!(get(&started.2.url, &format!("/{file}")).status, 200);
    }
    started
}

pub const PRIVATE: [&str; 6] = [
    "/",
    "/-/module?q=example.com/dep/v2@v2.0.1",
    "/-/module?q=example.com/dep/v2",
    "/-/module?q=example.com/DEP/v2/x",
    "/-/api/v1/overview",
    "/-/api/v1/module?q=example.com/dep/v2@v2.0.1",
];

/// Whether an answer says something about the private module, beyond what the request named.
fn tells(answer: &Answer) -> bool {
    let text = answer.text();
    ["GONOSUMDB=", "h1:", "pinned on", "v2.0.1\"", "KB"].iter().any(|mark| text.contains(mark))
}

fn private() {
    let (_origin, _folder, mirror) = with_private(&[]);
    for path in PRIVATE {
        let answer = html(&mirror, path);
        // The search box has the text of the request.
        let text = answer.text().replace("value=\"example.com/dep/v2@v2.0.1\"", "");
        assert!(!tells(&Answer { body: text.clone().into_bytes(), ..answer }), "{path}: {text}");
    }
    assert_eq!(html(&mirror, PRIVATE[1]).status, 403);
    assert_eq!(html(&mirror, PRIVATE[5]).status, 403);
    // The same for a module of the pattern that is not here.
    assert_eq!(html(&mirror, "/-/module?q=example.com/dep/none@v1.0.0").status, 403);
}

fn show_private() {
    let (origin, _folder, mirror) = with_private(&["--show-private"]);
    origin.take_requests();
    let page = html(&mirror, PRIVATE[1]).text();
    assert!(page.contains("Exempt") && page.contains("pinned on first use: "), "{page}");
    assert!(html(&mirror, PRIVATE[2]).text().contains("v2.0.1</a>"));
    assert!(html(&mirror, "/").text().contains("GONOSUMDB="));
    assert_eq!(origin.take_requests(), Vec::<String>::new(), "a private name is sent to nobody");
    for proxy in
        ["forwarded: for=192.0.2.1\r\n", "x-forwarded-for: 192.0.2.1\r\n", "x-forwarded-host: a\r\n", "via: 1.1 a\r\n"]
    {
        assert_eq!(request(&mirror.url, "GET", PRIVATE[1], &format!("{HTML}{proxy}")).status, 403, "{proxy}");
        assert!(!request(&mirror.url, "GET", "/", &format!("{HTML}{proxy}")).text().contains("GONOSUMDB="), "{proxy}");
    }
}

fn show_private_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (flags, found) in [
        (["--listen", "0.0.0.0:0"], "--listen 0.0.0.0:0"),
        (["--listen", ":0"], "--listen :0"),
        (["--host", "mirror.example.com"], "--host mirror.example.com"),
        (["--trusted-proxy", "127.0.0.1/32"], "--trusted-proxy"),
    ] {
        let words = [&["serve", "--show-private", "--data", data.to_str().unwrap()], &flags[..]].concat();
        let output = run(&words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("expected a loopback address") && said.contains(found), "{said}");
    }
    assert!(!Path::new(&data).exists(), "nothing was written");
}
