//! Upstreams that race, fail and recover, with a misbehaving origin.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Answer, Go, Mirror, get, go_trial, origin, trial, try_request};

const HELLO: &str = "example.com/hello@v1.0.0";
const INFO: &str = "/example.com/hello/@v/v1.0.0.info";
const LATEST: &str = "/example.com/hello/@latest";
const LIST: &str = "/example.com/hello/@v/list";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("upstream: temporary failures are retried", trouble_passes),
        trial("upstream: Retry-After is respected, or the request fails", retry_after),
        trial("upstream: an interrupted download is resumed", resumed),
        trial("upstream: a redirect loop is a failure, not a 404", redirect_loop),
        trial("upstream: wrong bytes are quarantined, and the next upstream is asked", tampered),
        trial("upstream: for proved files a silent or stalled upstream is overtaken", overtaken),
        trial("upstream: a slow upstream is overtaken, a steady one is not", trickling),
        trial("upstream: the name of an exempt module is not sent to a fallback", exempt_stays),
        trial("upstream: a 404 is cached for a while, other failures are not", absent),
        trial("list: cached for a while, then revalidated", revalidated),
        trial("list: served stale, with a header, while upstreams are slow or down", stale),
        trial("list: released versions stay in it", released_stays),
        go_trial("upstream: a slow zip after trouble delays no other module", probe_is_slow),
        go_trial("upstream: a module whose connections are cut delays no other module", one_is_cut),
        go_trial("upstream: thirty modules with a dead, a slow and a tampering upstream", thirty_modules),
    ]
}

/// A mirror of upstreams in GOPROXY syntax; the database is that of the first origin.
fn mirror(origins: &[&Origin], separator: &str, more: &[&str]) -> (tempfile::TempDir, Mirror) {
    let folder = tempfile::tempdir().unwrap();
    let chain: Vec<String> = origins.iter().map(|origin| origin.url()).collect();
    let (chain, sumdb) = (chain.join(separator), origins[0].gosumdb());
    let words = [&["--upstream", chain.as_str(), "--sumdb", &sumdb], more].concat();
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    (folder, mirror)
}

fn two() -> (Origin, Origin) {
    (origin(World::demo()), origin(World::demo()))
}

fn log(mirror: &Mirror) -> String {
    std::fs::read_to_string(mirror.data.with_extension("log")).unwrap()
}

fn assert_served(answer: &Answer, origin: &Origin) {
    let zip = origin.world().module(&HELLO.parse_module()).unwrap().zip.clone();
    assert_eq!((answer.status, answer.body == zip), (200, true), "{}", answer.text());
}

trait ParseModule {
    fn parse_module(&self) -> gomodule::module::ModuleVersion;
}

impl ParseModule for str {
    fn parse_module(&self) -> gomodule::module::ModuleVersion {
        gomodule::module::ModuleVersion::parse(self).unwrap()
    }
}

fn times(n: u32, fault: Fault) -> Fault {
    Fault::Times(n, Box::new(fault))
}

fn trouble_passes() {
    let faults =
        [Fault::Status(503, "busy"), Fault::Status(429, "busy"), Fault::Reset, Fault::Break(0), Fault::Break(40)];
    for fault in faults {
        let origin = origin(World::demo());
        let (_folder, mirror) = mirror(&[&origin], ",", &[]);
        origin.misbehave(ZIP, times(2, fault.clone()));
        origin.misbehave(INFO, times(2, fault.clone()));
        assert_served(&get(&mirror.url, ZIP), &origin);
        assert_eq!(get(&mirror.url, INFO).status, 200, "{fault:?}");

        let latest = "/example.com/dep/v2/@latest";
        origin.misbehave(latest, fault);
        let answer = get(&mirror.url, latest);
        assert_eq!(answer.status, 502, "trouble that stays is the upstream's, and ends: {}", answer.text());
        assert_eq!(origin.asked(latest), 3, "three rounds");
    }
}

fn retry_after() {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&[&origin], ",", &[]);
    origin.misbehave(ZIP, times(1, Fault::RetryAfter(429, 1)));
    let start = std::time::Instant::now();
    assert_served(&get(&mirror.url, ZIP), &origin);
    assert!(start.elapsed() >= Duration::from_secs(1), "no earlier than it wished");
    assert_eq!(origin.asked(ZIP), 2);

    origin.misbehave(LATEST, Fault::RetryAfter(503, 3600));
    let answer = get(&mirror.url, LATEST);
    assert_eq!((answer.status, origin.asked(LATEST)), (502, 1), "nobody waits for an hour: {}", answer.text());
    let answer = get(&mirror.url, INFO);
    assert!(answer.text().contains("temporarily disabled"), "{}", answer.text());
    assert!(answer.text().contains("come back later"), "the reason is told: {}", answer.text());
}

fn resumed() {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&[&origin], ",", &[]);
    origin.misbehave(ZIP, times(1, Fault::Break(100)));
    assert_served(&get(&mirror.url, ZIP), &origin);
    assert_eq!((origin.asked(ZIP), origin.asked(&format!("{ZIP} bytes=100-"))), (1, 1), "the rest alone");
}

fn redirect_loop() {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&[&origin], ",", &[]);
    for path in [ZIP, LATEST] {
        origin.misbehave(path, Fault::Redirect(format!("{}{path}", origin.url())));
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(answer.text().contains("redirects"), "{}", answer.text());
    }
    assert_eq!(origin.asked(ZIP), 11, "ten are followed, and it is not tried again");
}

fn tampered() {
    for fault in [Fault::FlipBit(200), Fault::Cut(150), Fault::Body("garbage".into())] {
        let (liar, honest) = two();
        let (_folder, mirror) = mirror(&[&liar, &honest], "|", &[]);
        liar.misbehave(ZIP, fault);
        assert_served(&get(&mirror.url, ZIP), &honest);
        assert_eq!(mirror.quarantine().keys().filter(|name| name.ends_with("/bytes")).count(), 1);
        assert!(log(&mirror).contains(&liar.url()), "the trail names it: {}", log(&mirror));

        // It is now after the other one, and is not asked for this file again.
        std::fs::remove_dir_all(mirror.data.join("proxy")).unwrap();
        liar.take_requests();
        assert_served(&get(&mirror.url, ZIP), &honest);
        assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.zip").status, 200);
        assert_eq!((liar.asked(ZIP), liar.asked("/example.com/dep/v2/@v/v2.0.1.zip")), (0, 0));
    }
}

fn overtaken() {
    for fault in [Fault::Hold, Fault::Stall(100), Fault::Stall(0)] {
        let (silent, honest) = two();
        let (_folder, mirror) = mirror(&[&silent, &honest], "|", &[]);
        silent.misbehave(ZIP, fault);
        // The silent one never answers.
        assert_served(&get(&mirror.url, ZIP), &honest);
        assert_eq!((silent.asked(ZIP), honest.asked(ZIP)), (1, 1));
    }
}

fn trickling() {
    let (slow, quick) = two();
    let (_folder, mirror) = mirror(&[&slow, &quick], ",", &[]);
    // The whole zip would take minutes.
    slow.misbehave(ZIP, Fault::Trickle(1));
    assert_served(&get(&mirror.url, ZIP), &quick);

    let (steady, spare) = two();
    let (_folder, mirror) = self::mirror(&[&steady, &spare], ",", &[]);
    assert_served(&get(&mirror.url, ZIP), &steady);
    assert_eq!((steady.asked(ZIP), spare.asked(ZIP)), (1, 0), "one source is enough");
}

fn exempt_stays() {
    let (company, public) = two();
    let (_folder, mirror) = mirror(&[&company, &public], ",", &["--nosumdb", "example.com/hello"]);
    company.misbehave("*", Fault::Status(500, "down"));
    for path in [ZIP, INFO, LIST] {
        assert_eq!(get(&mirror.url, path).status, 502);
    }
    company.behave();
    company.misbehave(ZIP, Fault::Trickle(2000));
    // The circuit breaker of the first mirror is open for a while.
    let (_folder, mirror) = self::mirror(&[&company, &public], ",", &["--nosumdb", "example.com/hello"]);
    assert_served(&get(&mirror.url, ZIP), &company);
    assert_eq!(public.take_requests(), Vec::<String>::new(), "nobody else heard the name");
}

fn absent() {
    let missing = "/example.com/nothing/@v/list";
    let origin = origin(World::demo());
    let (_folder, first) = mirror(&[&origin], ",", &[]);
    for _ in 0..3 {
        assert_eq!(get(&first.url, missing).status, 404);
    }
    assert_eq!(origin.asked(missing), 1);

    let (_folder, second) = mirror(&[&origin], ",", &["--absent-for", "0s"]);
    origin.take_requests();
    for _ in 0..3 {
        assert_eq!(get(&second.url, missing).status, 404);
    }
    assert_eq!(origin.asked(missing), 3);

    origin.misbehave(INFO, Fault::Status(403, "not today"));
    assert_eq!(get(&first.url, INFO).status, 403);
    origin.behave();
    assert_eq!(get(&first.url, INFO).status, 200, "a failure is forgotten at once");
}

fn revalidated() {
    let origin = origin(World::demo());
    let (_folder, believing) = mirror(&[&origin], ",", &[]);
    let first = get(&believing.url, LIST);
    assert_eq!((first.status, first.header("age"), first.header("warning")), (200, Some("0"), None));
    assert_eq!(get(&believing.url, LIST).body, first.body);
    assert_eq!(origin.asked(LIST), 1, "the second answer is from memory");

    let (_folder, asking) = mirror(&[&origin], ",", &["--fresh-for", "0s"]);
    get(&asking.url, LIST);
    // A request with the entity tag gets 304 without a body: the cached list is used.
    assert_eq!(get(&asking.url, LIST).body, first.body);
    origin.world().add_simple("example.com/hello@v1.9.0", "", "package hello\n");
    assert!(get(&asking.url, LIST).text().contains("v1.9.0\n"), "a change is seen");
    assert!(!get(&believing.url, LIST).text().contains("v1.9.0\n"));
    assert_eq!(origin.asked(LIST), 4);
}

fn stale() {
    let origin = origin(World::demo());
    let (_folder, keeping) = mirror(&[&origin], ",", &["--fresh-for", "0s"]);
    let (_folder2, forgetting) = mirror(&[&origin], ",", &["--fresh-for", "0s", "--stale-for", "0s"]);
    let paths = [LIST, "/example.com/hello/@latest", "/example.com/hello/@v/main.info"];
    let before = paths.map(|path| (get(&keeping.url, path).body, get(&forgetting.url, path).status));
    assert!(before.iter().all(|(_, status)| *status == 200));
    origin.misbehave("*", Fault::Hold);
    let slow = Some("110 sumgate \"Response is Stale\"");
    for (path, (body, _)) in paths.iter().zip(&before) {
        let answer = get(&keeping.url, path);
        assert_eq!((answer.status, answer.header("warning")), (200, slow));
        assert_eq!(answer.body, *body);
    }
    origin.behave();
    origin.misbehave("*", Fault::Status(500, "down"));
    for (path, (body, _)) in paths.iter().zip(&before) {
        // Held requests are answered first, which may take longer on a busy machine than a client waits.
        let mut answers = (0..50).map(|_| get(&keeping.url, path));
        let failed = Some("111 sumgate \"Revalidation Failed\"");
        let down = answers.find(|answer| answer.header("warning") == failed).unwrap();
        assert_eq!(down.status, 200);
        assert_eq!(down.body, *body);
        assert_eq!(get(&forgetting.url, path).status, 502, "not beyond the bound");
    }
}

fn released_stays() {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&[&origin], ",", &["--fresh-for", "0s", "--absent-for", "0s"]);
    assert_served(&get(&mirror.url, ZIP), &origin);
    origin.misbehave(LIST, Fault::Body("v1.1.0".into()));
    assert_eq!(get(&mirror.url, LIST).text(), "v1.1.0\nv1.0.0\n");
    origin.misbehave(LIST, Fault::Status(404, "no such module"));
    assert_eq!(get(&mirror.url, LIST).text(), "v1.0.0\n", "gone upstream, still here");
}

/// One upstream never answers, one has wrong zips, one is slow, one is healthy.
fn thirty_modules(go: &Path) {
    let mut world = World::demo();
    let modules: Vec<String> = (0..30).map(|n| format!("example.com/many/m{n}@v1.0.0")).collect();
    for (n, module) in modules.iter().enumerate() {
        world.add_simple(module, "", &format!("package m{n}\n"));
    }
    let copy = || {
        let mut world = World::demo();
        for (n, module) in modules.iter().enumerate() {
            world.add_simple(module, "", &format!("package m{n}\n"));
        }
        origin(world)
    };
    let (dead, tamperer, slow, healthy) = (copy(), copy(), copy(), origin(world));
    dead.misbehave("*", Fault::Reset);
    slow.misbehave("*", Fault::Delay(Duration::from_millis(500), None));
    for module in &modules {
        let (path, version) = module.split_once('@').unwrap();
        tamperer.misbehave(&format!("/{path}/@v/{version}.zip"), Fault::FlipBit(60));
    }
    let folder = tempfile::tempdir().unwrap();
    let chain = [&dead, &tamperer, &slow, &healthy].map(Origin::url).join("|");
    let mirror =
        Mirror::start_with(&folder.path().join("data"), &["--upstream", &chain, "--sumdb", &healthy.gosumdb()]);
    let go = Go::new(go, &mirror.url, &format!("{} {}", healthy.key(), mirror.url));
    let mut words = vec!["mod", "download"];
    words.extend(modules.iter().map(String::as_str));
    go.must(&words);
    let zips = mirror.tree().into_keys().filter(|name| name.ends_with(".zip")).count();
    assert_eq!(zips, 30);
    assert!(log(&mirror).contains(&format!("source=\"{}\"", tamperer.url())), "the trail names it: {}", log(&mirror));
    let wrong = mirror.quarantine().keys().filter(|name| name.ends_with("/bytes")).count();
    assert!(wrong < 30, "it is not asked for each of them: {wrong}");
}

/// The upstream asks for a pause. The first request after it is for a zip that takes long.
fn probe_is_slow(go: &Path) {
    const LARGE: &str = "/example.com/large/@v/v1.0.0.zip";
    let mut world = World::demo();
    let digits = (1..1500_u64).map(|nth| format!("{:016x}", nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)));
    let source = format!("package large\n\n// {}\n", digits.collect::<String>());
    world.add_simple("example.com/large@v1.0.0", "", &source);
    let origin = origin(world);
    let (_folder, mirror) = mirror(&[&origin], ",", &[]);
    origin.misbehave(LARGE, Fault::Trickle(50));
    origin.misbehave(LATEST, Fault::RetryAfter(429, 1));
    assert_eq!(get(&mirror.url, LATEST).status, 502);
    std::thread::sleep(Duration::from_millis(1100));
    let url = mirror.url.clone();
    std::thread::spawn(move || try_request(&url, "GET", LARGE, ""));
    while origin.asked(LARGE) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    for proxy in [origin.url(), mirror.url.clone()] {
        let go = Go::new(go, &proxy, &origin.gosumdb());
        go.must(&["mod", "download", HELLO]);
    }
}

/// The connections of one module are cut, and clients ask for it again and again.
fn one_is_cut(go: &Path) {
    let origin = origin(World::demo());
    let (_folder, mirror) = mirror(&[&origin], ",", &[]);
    origin.misbehave("/example.com/dep/*", Fault::Reset);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for path in ["list", "v2.0.1.info", "v2.0.1.mod", "v2.0.1.zip"] {
            let (url, done) = (&mirror.url, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(get(url, &format!("/example.com/dep/v2/@v/{path}")).status, 502);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(3));
        let outputs = [&origin.url(), &mirror.url].map(|proxy| {
            let go = Go::new(go, proxy, &origin.gosumdb());
            go.run(&["mod", "download", HELLO, "example.com/legacy@v2.0.0+incompatible"])
        });
        done.store(true, Ordering::Relaxed);
        assert!(outputs.iter().all(|(fine, _)| *fine), "{outputs:?}");
    });
}
