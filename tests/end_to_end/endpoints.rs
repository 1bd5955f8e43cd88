//! One database with several endpoints: its own address, and proxies that pass its replies on.

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Mirror, files, get, origin, trial};

const LOOKUP: &str = "/lookup/example.com/hello@v1.0.0";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("endpoint: the database is down, and a proxy passes its replies on", down),
        trial("endpoint: an endpoint that lies is skipped, whatever it lies about", lying),
        trial("endpoint: an outdated endpoint changes nothing", behind),
        trial("endpoint: a proxy without the database is not an endpoint, and makes nothing absent", not_an_endpoint),
        trial("endpoint: a missing record is not looked up elsewhere", absence_settles),
        trial("endpoint: contradicting heads of two endpoints are a fork", forked),
    ]
}

/// A mirror whose database is at `own`, with `proxy` as its upstream.
fn mirror(own: &Origin, proxy: &Origin) -> (tempfile::TempDir, Mirror) {
    let folder = tempfile::tempdir().unwrap();
    let mirror =
        Mirror::start_with(&folder.path().join("data"), &["--upstream", &proxy.url(), "--sumdb", &own.gosumdb()]);
    (folder, mirror)
}

fn two() -> (Origin, Origin) {
    (origin(World::demo()), origin(World::demo()))
}

fn through(origin: &Origin, path: &str) -> String {
    format!("/sumdb/{}{path}", origin.world().name())
}

fn down() {
    for fault in [Fault::Reset, Fault::Status(503, "down"), Fault::Hold, Fault::Status(403, "blocked here")] {
        let (own, proxy) = two();
        let (_folder, mirror) = mirror(&own, &proxy);
        own.misbehave("*", fault.clone());
        assert_eq!(get(&mirror.url, MOD).status, 200, "{fault:?}");
        assert_eq!(proxy.asked(&through(&proxy, LOOKUP)), 1);
        assert_eq!(proxy.asked(&through(&proxy, "/supported")), 1, "asked once");
    }
}

fn lying() {
    let (tile, other) = {
        let world = World::demo();
        let other = gomodule::module::ModuleVersion::parse("example.com/dep/v2@v2.0.1").unwrap();
        ("/tile/8/0/001", world.lookup(&other, world.size()).unwrap())
    };
    let lies = [
        (LOOKUP, Fault::Body("nonsense".into())),
        (LOOKUP, Fault::Body(other.into())),
        (LOOKUP, Fault::FlipBit(40)),
        (tile, Fault::FlipBit(1)),
        (tile, Fault::Cut(31)),
    ];
    for (path, lie) in lies {
        let (own, proxy) = two();
        let (_folder, mirror) = mirror(&own, &proxy);
        own.misbehave(path, lie.clone());
        assert_eq!(get(&mirror.url, MOD).status, 200, "{path} {lie:?}");
        assert_eq!(get(&mirror.url, LOOKUP).status, 200);
        // Both lie: refused.
        let (own, proxy) = two();
        let (_folder, mirror) = self::mirror(&own, &proxy);
        own.misbehave(path, lie.clone());
        proxy.misbehave(&through(&proxy, path), lie.clone());
        assert_eq!(get(&mirror.url, MOD).status, 502, "{path} {lie:?}");
        assert!(!files(&mirror.data).keys().any(|name| name.ends_with(".mod")));
    }
}

fn behind() {
    let (own, proxy) = two();
    let (_folder, mirror) = mirror(&own, &proxy);
    assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.mod").status, 200);
    let newest = get(&mirror.url, "/latest").text();
    own.misbehave("*", Fault::Reset);
    proxy.show(Some(400));
    assert_eq!(get(&mirror.url, MOD).status, 200);
    assert_eq!(get(&mirror.url, "/latest").text(), newest, "the trusted head stays");
}

fn not_an_endpoint() {
    let (own, proxy) = two();
    let (_folder, mirror) = mirror(&own, &proxy);
    proxy.misbehave(&through(&proxy, "/supported"), Fault::Status(404, "not here"));
    assert_eq!(get(&mirror.url, "/lookup/example.com/nothing@v1.0.0").status, 404, "its own address knows");
    own.misbehave("*", Fault::Reset);
    assert_eq!(get(&mirror.url, MOD).status, 502, "trouble is no absence");
    assert!(proxy.take_requests().iter().all(|path| !path.contains("/lookup/")), "it was not asked");

    let (own, proxy) = two();
    let (_folder, mirror) = self::mirror(&own, &proxy);
    own.misbehave("*", Fault::Reset);
    let answer = get(&mirror.url, "/lookup/example.com/nothing@v1.0.0");
    assert_eq!(answer.status, 502, "a proxy may be behind: {}", answer.text());
}

fn absence_settles() {
    let (own, proxy) = two();
    let (_folder, mirror) = mirror(&own, &proxy);
    assert_eq!(get(&mirror.url, "/lookup/example.com/nothing@v1.0.0").status, 404);
    assert_eq!(own.asked("/lookup/example.com/nothing@v1.0.0"), 1);
    let of_database = |path: &String| path.contains("/sumdb/") || path.contains("/lookup/");
    assert_eq!(proxy.take_requests().into_iter().filter(of_database).collect::<Vec<_>>(), Vec::<String>::new());
}

fn forked() {
    let own = origin(World::demo());
    let size = usize::try_from(own.world().size()).unwrap();
    let fork = own.world().fork(size - 10, 40);
    let proxy = origin(fork);
    let (_folder, mirror) = mirror(&own, &proxy);
    assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.mod").status, 200);
    own.misbehave("*", Fault::Reset);
    let answer = get(&mirror.url, MOD);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("fork.txt"), "{}", answer.text());
}
