//! Upstreams that hang: what they keep busy is theirs alone.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, sumgate, trial};
use crate::private::Repositories;

/// More than the mirror downloads from one upstream at the same time.
const MANY: usize = 70;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("hanging: downloads that drip do not delay those from another upstream", dripping),
        trial("hanging: downloads that drip do not delay lists of the same upstream", lists_of_the_same),
        go_trial("hanging: a git server that is silent delays no other source", silent_git),
        trial("hanging: a download that its client left is resumed by the next request", left_and_resumed),
        go_trial("hanging: behind nine upstreams that hang, the tenth serves every request of go", nine),
    ]
}

fn world() -> World {
    let mut world = World::demo();
    // Half of these digits are left in a zip: at fifty bytes per second, the slowest that the origin sends, minutes.
    let digits = (1..1500_u64).map(|nth| format!("{:016x}", nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)));
    let source = format!("package m\n\n// {}\n", digits.collect::<String>());
    for nth in 0..MANY {
        world.add_simple(&format!("slow.example/m{nth}@v1.0.0"), "", &source);
    }
    world
}

/// Sends a request and does not wait for its answer.
fn send(mirror: &Mirror, path: &str) -> TcpStream {
    let address = mirror.url["http://".len()..].to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    stream
}

/// Most of the requests have no answer yet. On a busy machine the lookup of one or another may fail.
#[track_caller]
fn assert_under_way(waiting: &[TcpStream]) {
    let answer = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut head = [0; 100];
        stream.read(&mut head).ok().map(|length| String::from_utf8_lossy(&head[..length]).into_owned())
    };
    let answers: Vec<String> = waiting.iter().filter_map(answer).collect();
    assert!(answers.len() < waiting.len() / 4, "{answers:?}");
}

/// A mirror with an upstream that drips for slow.example, and the requests that wait for it.
fn mirror_with_many_slow(slow: &testkit::Origin, fast: &testkit::Origin) -> (Mirror, Vec<TcpStream>) {
    let folder = tempfile::tempdir().unwrap().keep();
    let config = folder.join("serve.toml");
    slow.misbehave("/slow.example/*", Fault::Trickle(1));
    let text = format!(
        "[[upstream]]\nurl = {:?}\nserves = \"slow.example\"\n[[upstream]]\nurl = {:?}\nserves = \"example.com\"\n",
        slow.url(),
        fast.url()
    );
    std::fs::write(&config, text).unwrap();
    let words = ["--config", config.to_str().unwrap(), "--sumdb", &fast.gosumdb()];
    let mirror = Mirror::start_with(&folder.join("data"), &words);
    let waiting: Vec<_> = (0..MANY).map(|nth| send(&mirror, &format!("/slow.example/m{nth}/@v/v1.0.0.zip"))).collect();
    // Until as many are under way as the mirror starts; the others wait.
    let is_asked = |nth: &usize| slow.asked(&format!("/slow.example/m{nth}/@v/v1.0.0.zip")) > 0;
    while (0..MANY).filter(is_asked).count() < 64 {
        std::thread::sleep(Duration::from_millis(10));
    }
    (mirror, waiting)
}

fn dripping() {
    let (slow, fast) = (origin(world()), origin(world()));
    let (mirror, waiting) = mirror_with_many_slow(&slow, &fast);
    for path in ["/example.com/hello/@v/v1.0.0.zip", "/example.com/hello/@v/v1.0.0.mod", "/example.com/hello/@v/list"] {
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_under_way(&waiting);
}

fn lists_of_the_same() {
    let (slow, fast) = (origin(world()), origin(world()));
    let (mirror, waiting) = mirror_with_many_slow(&slow, &fast);
    slow.misbehave("/slow.example/m0/@v/list", Fault::Delay(Duration::ZERO, None));
    let answer = get(&mirror.url, "/slow.example/m0/@v/list");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_under_way(&waiting);
}

/// A server that accepts connections and says nothing, as a repository of many private modules.
fn silent_git(_go: &Path) {
    let (public, repositories) = (origin(World::demo()), Repositories::new());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::clone(&asked);
    std::thread::spawn(move || silent.incoming().flatten().for_each(|stream| held.lock().unwrap().push(stream)));
    let git = repositories.home().join(".gitconfig");
    let settings = std::fs::read_to_string(&git).unwrap()
        + &format!("[url \"http://{address}/\"]\n\tinsteadOf = https://silent.test/\n");
    std::fs::write(git, settings).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("serve.toml");
    let private = |name: &str| format!("[[private]]\npatterns = {name:?}\ndirect = true\n");
    std::fs::write(&config, private("silent.test") + &private("example.test")).unwrap();
    let words = ["--config", config.to_str().unwrap(), "--upstream", &public.url(), "--sumdb", &public.gosumdb()];
    let mirror = Mirror::start_by(repositories.with_home(sumgate()), &folder.path().join("data"), &words);
    let files = ["list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"];
    let path = |nth: usize| format!("/silent.test/m{nth}.git/@v/{}", files[nth % files.len()]);
    let waiting: Vec<_> = (0..MANY).map(|nth| send(&mirror, &path(nth))).collect();
    // As many as the mirror starts at the same time.
    let start = Instant::now();
    while asked.lock().unwrap().len() < 4 {
        assert!(start.elapsed() < Duration::from_secs(60), "git does not ask the silent server");
        std::thread::sleep(Duration::from_millis(10));
    }
    let start = Instant::now();
    for file in ["example.com/hello/@v/v1.0.0.zip", "example.com/hello/@v/v1.0.0.info", "example.com/hello/@v/list"] {
        let answer = get(&mirror.url, &format!("/{file}"));
        assert_eq!(answer.status, 200, "{file}: {}", answer.text());
    }
    for file in files {
        let answer = get(&mirror.url, &format!("/example.test/repo.git/@v/{file}"));
        assert_eq!(answer.status, 200, "{file}: {}", answer.text());
    }
    // The runs of `go` for the other source included, on a busy machine.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_under_way(&waiting);
}

fn left_and_resumed() {
    const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    origin.misbehave(ZIP, Fault::Stall(100));
    let client = send(&mirror, ZIP);
    while origin.asked(ZIP) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(client);
    // Some seconds after its last client left, the mirror drops the download: a new request is then the only one.
    std::thread::sleep(Duration::from_secs(8));
    origin.behave();
    let answer = get(&mirror.url, ZIP);
    assert_eq!((answer.status, answer.body), (200, get(&origin.url(), ZIP).body));
    assert_eq!(origin.asked(&format!("{ZIP} bytes=100-")), 1, "{:?}", origin.take_requests());
}

/// Each takes the request; every other one begins an answer, too.
fn nine(go: &Path) {
    let honest = origin(World::demo());
    let hanging: Vec<Origin> = (0..9).map(|_| origin(World::demo())).collect();
    for (nth, one) in hanging.iter().enumerate() {
        one.misbehave("*", if nth % 2 == 0 { Fault::Hold } else { Fault::Stall(5) });
    }
    let urls: Vec<String> = hanging.iter().chain([&honest]).map(Origin::url).collect();
    let (proxies, folder) = (urls.join("|"), tempfile::tempdir().unwrap());
    let commands = [
        &["list", "-m", "-versions", "example.com/hello"][..],
        &[
            "mod",
            "download",
            "example.com/hello@latest",
            "example.com/dep/v2@v2.0.1",
            "example.com/Upper/CaseMod@v1.2.3",
        ],
    ];
    for words in commands {
        let alone = Go::new(go, &proxies, &honest.gosumdb()).run_for(Duration::from_secs(5), words);
        assert_eq!(alone, None, "go alone waits for the first of them without end: {words:?}");
    }
    // The database is reached through the upstreams, too.
    let words = ["--upstream", &proxies, "--sumdb", &honest.gosumdb()];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    let home = Go::new(go, &mirror.url, &format!("{} {}", honest.key(), mirror.url));
    for words in commands {
        let start = Instant::now();
        home.must(words);
        // A source that hangs costs at most two seconds, and a build asks for several files one after the other.
        assert!(start.elapsed() < Duration::from_secs(40), "{words:?}: {:?}", start.elapsed());
    }
}
