//! Answers from the response cache.

use libtest_mimic::Trial;
use testkit::World;

use crate::event_log::events;
use crate::fixture::{Answer, Mirror, origin, request, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("response cache: a lookup has the newest trusted head, also the second time", newest_head),
        trial(
            "response cache: a zip is the one on disk, in whole and in part, and each request is an event",
            zip_again,
        ),
        trial("response cache: a go.mod is the proved one, whatever happens to its file", proved_go_mod),
    ]
}

fn newest_head() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let lookup = |module: &str| {
        let answer = request(&mirror.url, "GET", &format!("/lookup/example.com/{module}"), "");
        let text = answer.text();
        let (_, note) = text.split_once("go.sum database tree\n").unwrap();
        note.lines().next().unwrap().to_owned()
    };
    origin.show(Some(400));
    assert_eq!([lookup("hello@v1.0.0"), lookup("hello@v1.0.0")], ["400", "400"]);
    origin.show(None);
    let newest = origin.world().size().to_string();
    assert_eq!(lookup("hello@v1.1.0"), newest);
    assert_eq!([lookup("hello@v1.0.0"), lookup("hello@v1.0.0")], [newest.as_str(), newest.as_str()]);
}

fn zip_again() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let path = "/example.com/hello/@v/v1.1.0.zip";
    let stored = mirror.data.join("proxy").join(&path[1..]);
    let ask = |headers: &str| request(&mirror.url, "GET", path, headers);
    let is_logged = |answer: &Answer| {
        let id = answer.header("x-request-id").unwrap().to_owned();
        let [event] = &events(&mirror.data, &["--request-id", &id], 1)[..] else { panic!("{id}") };
        assert!(event["kind"] == "zip" && event["outcome"] == "released" && event["basis"] == "record", "{event}");
    };
    let first = ask("");
    let zip = std::fs::read(&stored).unwrap();
    assert_eq!((first.status, &first.body), (200, &zip));
    for _ in 0..3 {
        let again = ask("");
        assert_eq!((again.status, &again.body, again.header("etag")), (200, &zip, first.header("etag")));
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        is_logged(&again);
    }
    let part = ask("Range: bytes=10-19\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &zip[10..20]));
    is_logged(&part);
    let same = ask(&format!("If-None-Match: {}\r\n", first.header("etag").unwrap()));
    assert_eq!((same.status, same.body.len()), (304, 0));
    let head = request(&mirror.url, "HEAD", path, "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, first.header("content-length"), 0));
    // Other bytes of the same length, while its answer is kept.
    std::fs::write(&stored, vec![b'x'; zip.len()]).unwrap();
    assert_eq!(ask("").body, zip);
    assert_eq!(mirror.quarantine().len(), 2, "what was put there is set aside, with the facts");
    std::fs::remove_file(&stored).unwrap();
    assert_eq!(ask("").body, zip);
    assert_eq!(std::fs::read(&stored).unwrap(), zip, "it is fetched again");
}

fn proved_go_mod() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let path = "/example.com/hello/@v/v1.1.0.mod";
    let first = request(&mirror.url, "GET", path, "");
    std::fs::write(mirror.data.join("proxy").join(&path[1..]), "module evil\n").unwrap();
    let again = request(&mirror.url, "GET", path, "");
    assert_eq!((again.status, again.body.clone()), (200, first.body.clone()));
    let is_same = |line: &&str| !line.starts_with("date") && !line.starts_with("x-request-id");
    let lasting = |head: &str| head.lines().filter(is_same).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lasting(&again.head), lasting(&first.head));
    // A range is read from the file, which is proved again.
    let part = request(&mirror.url, "GET", path, "Range: bytes=0-5\r\n");
    assert_eq!((part.status, part.text().as_str()), (206, "module"));
    assert_eq!(mirror.quarantine().len(), 2, "what was put there is set aside, with the facts");
}
