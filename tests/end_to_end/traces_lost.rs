//! Traces: a receiver that is away, silent, slow or failing costs no request, and bounded memory and time.

use std::sync::mpsc::channel;

use libtest_mimic::Trial;
use testkit::World;

use crate::collector::{Collector, Sent, Step, closed, roots};
use crate::fixture::{get, origin, trial};
use crate::traces::{ZIP, log, mirror, told};
use crate::traces_sent::end;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("traces: a receiver that is away is named once, and costs no request", away),
        trial("traces: a receiver that fails is named once, and once when it takes traces again", failing),
        trial("traces: a receiver that never answers delays neither requests nor the end", silent),
        trial("traces: no more spans wait than the queue has room for", bounded),
        trial("traces: the last spans are sent at the end", last),
        trial("traces: no proxy is asked, and no redirect is followed", elsewhere),
    ]
}

fn away() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let url = closed();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let mut mirror = mirror(&origin, &folder.path().join("data"), &variables, &[]);
    for _ in 0..20 {
        assert_eq!(get(&mirror.url, ZIP).status, 200);
    }
    told(&mirror, "traces are lost until");
    // One more that is lost, at the end.
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    end(&mut mirror);
    let lines = told(&mirror, "traces are lost until");
    assert!(lines.len() == 1 && lines[0].contains(&url) && lines[0].contains("Connection refused"), "{lines:?}");
}

fn failing() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let steps = (0..3).map(|_| Step::Answer("500 Internal Server Error", "no disk")).collect();
    let collector = Collector::start(steps);
    let mirror = mirror(&origin, &folder.path().join("data"), &collector.variables(), &[]);
    // Each is refused before the next one, so that there are three.
    for _ in 0..3 {
        assert_eq!(get(&mirror.url, ZIP).status, 200);
        collector.next();
    }
    let lines = told(&mirror, "traces are lost until");
    assert!(lines.len() == 1 && lines[0].ends_with("takes them: HTTP status 500"), "{lines:?}");
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let lines = told(&mirror, "takes traces again; it refused or missed ");
    assert_eq!(lines.len(), 1, "{lines:?}");
}

fn silent() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let collector = Collector::start(vec![Step::Silence, Step::Silence]);
    let short = [&collector.variables()[..], &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300")]].concat();
    let first = mirror(&origin, &folder.path().join("data"), &short, &[]);
    for _ in 0..100 {
        assert_eq!(get(&first.url, ZIP).status, 200);
    }
    told(&first, "takes them: no answer within 300 ms");
    drop(first);

    let collector = Collector::start(vec![Step::Silence]);
    let long = [&collector.variables()[..], &[("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")]].concat();
    let mut mirror = mirror(&origin, &folder.path().join("data"), &long, &[]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    collector.next();
    end(&mut mirror);
    // It ended before the 60 seconds were over, or the request would have failed.
    let logged = log(&mirror);
    assert!(logged.contains("the last traces were not sent"), "{logged}");
    assert!(!logged.contains("no answer within 60000 ms"), "{logged}");
}

fn bounded() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (release, told) = channel();
    let collector = Collector::start(vec![Step::Wait(told)]);
    let few = [("OTEL_BSP_MAX_QUEUE_SIZE", "16"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")];
    let long = ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000");
    let settings = [&collector.variables()[..], &few, &[long]].concat();
    let mut mirror = mirror(&origin, &folder.path().join("data"), &settings, &[]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let mut sent = vec![collector.next()];
    // Two spans each, while the first batch is on its way.
    for _ in 0..100 {
        assert_eq!(get(&mirror.url, ZIP).status, 200);
    }
    release.send(()).unwrap();
    end(&mut mirror);
    sent.extend(collector.rest());
    let spans = sent.iter().flat_map(Sent::spans).count();
    assert!((17..=32).contains(&spans), "{spans} spans");
}

fn last() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let collector = Collector::start(Vec::new());
    let late = [collector.variables()[0], ("OTEL_BSP_SCHEDULE_DELAY", "600000")];
    let mut mirror = mirror(&origin, &folder.path().join("data"), &late, &[]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    end(&mut mirror);
    let spans: Vec<_> = collector.rest().iter().flat_map(Sent::spans).collect();
    assert!(roots(&spans).count() == 1 && spans.len() == 9, "{spans:?}");
}

fn elsewhere() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let trap = Collector::start(Vec::new());
    let far = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("HTTP_PROXY", &trap.url),
        ("http_proxy", &trap.url),
        ("ALL_PROXY", &trap.url),
    ];
    let first = mirror(&origin, &folder.path().join("data"), &far, &[]);
    assert_eq!(get(&first.url, ZIP).status, 200);
    told(&first, "traces are lost until http://collector.invalid:4318");
    drop(first);
    let moved: &'static str = format!("307 Temporary Redirect\r\nlocation: {}/v1/traces", trap.url).leak();
    let collector = Collector::start(vec![Step::Answer(moved, "")]);
    let mirror = mirror(&origin, &folder.path().join("data"), &collector.variables(), &[]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    told(&mirror, "HTTP status 307");
    assert!(trap.rest().is_empty());
}
