//! Traces: what a receiver gets of each request, and which variables decide about it.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::collector::{Collector, Step, below, fact, names, roots};
use crate::fixture::{get, origin, sumgate, trial, wait};
use crate::traces::{ZIP, log, mirror, told};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("traces: a request has a span with its id, and each stage one below it", stages),
        trial("traces: refusals have their code, and metadata and the database their stage", other_requests),
        trial("traces: the standard variables name the service, the place and which requests", variables),
        trial("traces: a receiver behind TLS needs a certificate that this machine trusts", tls),
        trial("traces: headers are sent, and are in no log", secret_headers),
        trial("traces: a wrong value of a variable is told, and --offline sends nothing", wrong),
    ]
}

fn stages() {
    let (origin, folder, collector) =
        (origin(World::demo()), tempfile::tempdir().unwrap(), Collector::start(Vec::new()));
    let settings = [&collector.variables()[..], &[("SUMGATE_LOG", "info,access=debug")]].concat();
    let mirror = mirror(&origin, &folder.path().join("data"), &settings, &[]);
    assert!(mirror.greeting.contains(&format!("  traces    {}\n", collector.url)), "{}", mirror.greeting);
    // What looks after the mirror is no traffic.
    for path in ["/healthz", "/readyz", "/metrics", "/version"] {
        assert_eq!(get(&mirror.url, path).status, 200, "{path}");
    }
    let answer = get(&mirror.url, ZIP);
    assert_eq!(answer.status, 200);
    let (sent, spans) = collector.until(1);
    for sent in &sent {
        let head = sent.head.to_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
        assert_eq!(sent.service("service.name").as_deref(), Some("sumgate"));
        assert_eq!(sent.service("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }
    let root = roots(&spans).next().unwrap();
    let facts = |key| fact(&root.attributes, key);
    assert_eq!((root.name.as_str(), facts("http.response.status_code").as_deref()), ("GET zip", Some("200")));
    let id = facts("sumgate.request.id").unwrap();
    assert_eq!(Some(id.as_str()), answer.header("X-Request-Id"));
    let lines = told(&mirror, &format!("request={id}"));
    assert!(lines.iter().any(|line| line.contains("access") && line.contains(ZIP)), "{lines:?}");
    assert_eq!(facts("sumgate.file").as_deref(), Some(&ZIP[1..]));
    let whole = below(&spans, root);
    assert_eq!(names(&whole), ["release", "send"]);
    let release = below(&spans, &whole[0]);
    assert_eq!(names(&release), ["lookup", "stored", "download", "hash", "prove", "commit"]);
    assert_eq!(fact(&release[2].attributes, "sumgate.source"), Some(origin.url()));
    assert_eq!(spans.len(), 1 + whole.len() + release.len(), "{:?}", names(&spans));
}

fn other_requests() {
    let (origin, folder, collector) =
        (origin(World::demo()), tempfile::tempdir().unwrap(), Collector::start(Vec::new()));
    origin.misbehave(ZIP, Fault::FlipBit(200));
    let mirror = mirror(&origin, &folder.path().join("data"), &collector.variables(), &[]);
    for (path, status, kind, stage, file) in [
        (ZIP, 403, "GET zip", "release", Some(&ZIP[1..])),
        ("/example.com/hello/@v/list", 200, "GET list", "metadata", Some("example.com/hello/@v/list")),
        ("/example.com/hello/@latest", 200, "GET latest", "metadata", Some("example.com/hello/@latest")),
        ("/lookup/example.com/hello@v1.0.0", 200, "GET lookup", "database", Some("example.com/hello@v1.0.0")),
        ("/tile/8/0/000", 200, "GET tile", "database", None),
        ("/", 200, "GET other", "home", None),
    ] {
        assert_eq!(get(&mirror.url, path).status, status, "{path}");
        let (_, spans) = collector.until(1);
        let root = roots(&spans).next().unwrap();
        assert_eq!(root.name, kind);
        assert_eq!(names(&below(&spans, root)), [stage, "send"], "{path}");
        assert_eq!(fact(&root.attributes, "http.response.status_code"), Some(status.to_string()), "{path}");
        assert_eq!(fact(&root.attributes, "sumgate.file").as_deref(), file);
        let refused = (status == 403).then_some("wrong-bytes");
        assert_eq!(fact(&root.attributes, "sumgate.refused").as_deref(), refused, "{path}");
        // No text of an error, which may have names.
        assert!(spans.iter().all(|span| span.events.is_empty()), "{spans:?}");
    }
}

fn variables() {
    let (origin, folder, collector) =
        (origin(World::demo()), tempfile::tempdir().unwrap(), Collector::start(Vec::new()));
    let place = format!("{}/custom/path", collector.url);
    let named = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &place),
        ("OTEL_SERVICE_NAME", "mirror-of-team"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let data = folder.path().join("data");
    let first = mirror(&origin, &data, &named, &[]);
    assert_eq!(get(&first.url, ZIP).status, 200);
    let sent = collector.next();
    assert!(sent.head.starts_with("POST /custom/path HTTP/1.1\r\n"), "{}", sent.head);
    assert_eq!(sent.service("service.name").as_deref(), Some("mirror-of-team"));
    assert_eq!(sent.service("deployment.environment.name").as_deref(), Some("test"));
    drop(first);
    let collector = Collector::start(Vec::new());
    let named = [&collector.variables()[..], &[("OTEL_RESOURCE_ATTRIBUTES", "service.name=other")]].concat();
    let first = mirror(&origin, &data, &named, &[]);
    assert_eq!(get(&first.url, ZIP).status, 200);
    assert_eq!(collector.next().service("service.name").as_deref(), Some("other"));
    drop(first);

    // So few of 200 requests that it is no accident, and so many.
    for (sampler, ratio, expected) in
        [("always_off", "", 0..=0), ("traceidratio", "0.5", 40..=160), ("parentbased_always_on", "0", 200..=200)]
    {
        let collector = Collector::start(Vec::new());
        let sampled = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", ratio)];
        let mut mirror = mirror(&origin, &data, &[&collector.variables()[..1], &sampled].concat(), &[]);
        for _ in 0..200 {
            assert_eq!(get(&mirror.url, ZIP).status, 200);
        }
        end(&mut mirror);
        let spans: Vec<_> = collector.rest().iter().flat_map(crate::collector::Sent::spans).collect();
        let found = roots(&spans).count();
        assert!(expected.contains(&found), "{sampler} {ratio}: {found}");
    }
}

/// Ends a mirror, which sends what is left.
pub fn end(mirror: &mut crate::fixture::Mirror) {
    let pid = rustix::process::Pid::from_child(&mirror.process.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(wait(&mut mirror.process.0).success(), "{}", log(mirror));
}

fn tls() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let certificate = folder.path().join("ca.pem");
    let collector = Collector::over_tls(&certificate);
    let distrusted = mirror(&origin, &folder.path().join("a"), &collector.variables(), &[]);
    assert_eq!(get(&distrusted.url, ZIP).status, 200);
    let lines = told(&distrusted, "traces are lost until https://127.0.0.1:");
    assert!(lines[0].contains("certificate"), "{lines:?}");
    assert!(collector.rest().is_empty());
    drop(distrusted);
    let trusted = [&collector.variables()[..], &[("SSL_CERT_FILE", certificate.to_str().unwrap())]].concat();
    let mirror = mirror(&origin, &folder.path().join("b"), &trusted, &[]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    collector.until(1);
}

fn secret_headers() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (secret, echo) = ("s3cret-word", "you sent Bearer s3cret-word");
    let collector = Collector::start(vec![Step::Answer("401 Unauthorized\r\nx-echo: s3cret-word", echo)]);
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret-word,x-scope=a");
    let settings = [&collector.variables()[..], &[headers, ("SUMGATE_LOG", "trace")]].concat();
    let mut mirror = mirror(&origin, &folder.path().join("data"), &settings, &[]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let head = collector.next().head.to_lowercase();
    assert!(head.contains("authorization: bearer s3cret-word\r\n") && head.contains("x-scope: a\r\n"), "{head}");
    let lines = told(&mirror, "takes them: HTTP status 401");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    told(&mirror, "takes traces again");
    end(&mut mirror);
    let log = log(&mirror);
    assert!(log.contains("TRACE") && !log.contains(secret) && !mirror.greeting.contains(secret), "{log}");
}

fn wrong() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |variables: &[(&str, &str)], more: &[&str], data: &Path| {
        let mut program = sumgate();
        program.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
        let output = program.envs(variables.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let data = folder.path().join("data");
    for more in [&["--check"][..], &[]] {
        let (code, told) = serve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "me:word@collector:4318")], more, &data);
        assert_eq!(code, Some(2), "{told}");
        let expected = "OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL such as http://127.0.0.1:4318, found";
        assert!(told.contains(expected), "{told}");
    }
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret-word");
    let (code, told) =
        serve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318"), headers], &["--check"], &data);
    assert!(code == Some(2) && told.contains("plain http") && !told.contains("s3cret"), "{told}");

    let (origin, collector) = (origin(World::demo()), Collector::start(Vec::new()));
    drop(mirror(&origin, &data, &[], &[]));
    let mut offline = sumgate();
    offline.envs(collector.variables());
    let sumdb = origin.gosumdb();
    let mut offline = crate::fixture::Mirror::start_by(offline, &data, &["--offline", "--sumdb", &sumdb]);
    assert!(!offline.greeting.contains("traces"), "{}", offline.greeting);
    get(&offline.url, ZIP);
    crate::traces::told(&offline, "no traces are sent, because --offline forbids requests");
    end(&mut offline);
    assert!(collector.rest().is_empty());
}
