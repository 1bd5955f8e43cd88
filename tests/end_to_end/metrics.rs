//! `/metrics`, and the dashboard and alert rules of `contrib`, with the real Prometheus.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Fault, World};

use crate::fixture::{Mirror, Running, get, origin, request, trial};
use crate::programs::tool_trial;

/// Of the Debian package `prometheus`.
const PROMETHEUS: &str = "/usr/bin/prometheus";
const PROMTOOL: &str = "/usr/bin/promtool";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
/// More refusals than the alert allows within its five minutes.
const FORGED: usize = 40;
/// A scrape each second: far more than any machine needs.
const SOON: Duration = Duration::from_secs(40);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("metrics: requests, refusals and upstreams are counted, in both formats", counted),
        trial("metrics: every series exists before the first request, and checks are not traffic", from_the_start),
        trial("metrics: the numbers stay over a reload", reload),
        trial("metrics: no label names a module or a login", labels),
        tool_trial(PROMTOOL, trial("metrics: promtool accepts them, and the alert rules", linted)),
        tool_trial(
            PROMETHEUS,
            trial("metrics: each query of dashboard and rules has data, and forged modules raise the alert", alert),
        ),
    ]
}

fn metrics(mirror: &Mirror) -> String {
    let answer = get(&mirror.url, "/metrics");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    answer.text()
}

/// The value of a series.
fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no series {series}: {text}")).parse().unwrap()
}

fn counted() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    for path in [ZIP, ZIP, "/example.com/hello/@v/v1.0.0.mod", "/example.com/hello/@v/list", "/tile/8/0/000"] {
        assert_eq!(get(&mirror.url, path).status, 200, "{path}");
    }
    let forged = "/example.com/dep/v2/@v/v2.0.1.zip";
    origin.misbehave(forged, Fault::Body("not a zip".into()));
    for _ in 0..2 {
        assert_eq!(get(&mirror.url, forged).status, 403);
    }
    let text = metrics(&mirror);
    let (source, database) = (origin.url(), origin.world().name().to_owned());
    let size = origin.world().size();
    for (series, expected) in [
        ("sumgate_http_requests_total{route=\"zip\",status=\"200\"}", 2),
        ("sumgate_http_requests_total{route=\"zip\",status=\"403\"}", 2),
        ("sumgate_http_requests_total{route=\"list\",status=\"200\"}", 1),
        ("sumgate_http_requests_total{route=\"tile\",status=\"200\"}", 1),
        ("sumgate_http_request_duration_seconds_count{route=\"zip\"}", 4),
        ("sumgate_refusals_total{code=\"wrong-bytes\"}", 2),
        ("sumgate_proofs_total{result=\"right\"}", 2),
        ("sumgate_cache_requests_total{cache=\"store\",result=\"hit\"}", 1),
        ("sumgate_quarantine_files", 1),
        ("sumgate_ready", 1),
        (&format!("sumgate_upstream_available{{source=\"{source}\"}}"), 0),
        (&format!("sumgate_sumdb_tree_size{{database=\"{database}\"}}"), size),
        (&format!("sumgate_sumdb_forked{{database=\"{database}\"}}"), 0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}: {text}");
    }
    assert!(value(&text, &format!("sumgate_upstream_wrong_bytes_total{{source=\"{source}\"}}")) >= 2, "{text}");
    assert!(
        value(&text, &format!("sumgate_upstream_requests_total{{source=\"{source}\",outcome=\"answered\"}}")) >= 4,
        "{text}"
    );
    assert!(
        value(&text, "sumgate_http_response_bytes_total") > 500 && value(&text, "sumgate_disk_free_bytes") > 0,
        "{text}"
    );
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5\r\n";
    let open = request(&mirror.url, "GET", "/metrics", accept);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((open.status, open.header("content-type")), (200, Some(kind)));
    assert!(open.text().ends_with("# EOF\n"), "{}", open.text());
    assert_eq!(value(&open.text(), "sumgate_refusals_total{code=\"wrong-bytes\"}"), 2);
}

fn from_the_start() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    for path in ["/healthz", "/readyz", "/version", "/metrics"] {
        assert_eq!(get(&mirror.url, path).status, 200, "{path}");
    }
    let text = metrics(&mirror);
    let samples: Vec<&str> = text.lines().filter(|line| line.starts_with("sumgate_http_requests_total{")).collect();
    assert!(samples.len() > 80 && samples.iter().all(|line| line.ends_with(" 0")), "{text}");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/when-refused.md")).unwrap();
    let codes = page.split("## The code of a refusal").nth(1).unwrap().split("\n## ").next().unwrap();
    let codes: Vec<&str> = codes.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(codes.len() > 10);
    for code in codes {
        assert_eq!(value(&text, &format!("sumgate_refusals_total{{code=\"{code}\"}}")), 0);
    }
    for outcome in ["answered", "not_found", "refused", "failed", "timeout", "cancelled"] {
        value(&text, &format!("sumgate_upstream_requests_total{{source=\"{}\",outcome=\"{outcome}\"}}", origin.url()));
    }
}

fn reload() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let answered = format!("sumgate_upstream_requests_total{{source=\"{}\",outcome=\"answered\"}}", origin.url());
    let before = value(&metrics(&mirror), &answered);
    let pid = rustix::process::Pid::from_raw(mirror.process.0.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let log = mirror.data.with_extension("log");
    let deadline = Instant::now() + SOON;
    while !std::fs::read_to_string(&log).unwrap().contains("were read again") {
        assert!(Instant::now() < deadline, "the settings were not read again");
        std::thread::sleep(Duration::from_millis(20));
    }
    let list = "/example.com/hello/@v/list";
    assert_eq!(get(&mirror.url, list).status, 200);
    let text = metrics(&mirror);
    assert_eq!(value(&text, "sumgate_http_requests_total{route=\"zip\",status=\"200\"}"), 1);
    assert!(value(&text, &answered) > before, "{text}");
}

fn labels() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let url = origin.url().replace("http://", "http://user:secret@");
    let words = ["--upstream", &url, "--sumdb", &origin.gosumdb()];
    let mirror = Mirror::start_with(&folder.path().join("data"), &words);
    for path in [ZIP, "/example.com/none/@v/list", "/corp/secret/@v/v1.0.0.zip", "/%ff", "/?secret"] {
        get(&mirror.url, path);
    }
    let text = metrics(&mirror);
    for word in ["example.com", "secret", "hello", "user:"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    // `/metrics` is for everybody who reaches the mirror.
    let (upstream, config) = (folder.path().join("upstream"), folder.path().join("serve.toml"));
    std::fs::create_dir(&upstream).unwrap();
    let private = "[[private]]\npatterns = \"corp.example\"\nurl = \"https://internal.example/go\"\n";
    std::fs::write(&config, private).unwrap();
    let (file, sumdb) = (format!("file://{}", upstream.display()), origin.gosumdb());
    let words = ["--upstream", &file, "--sumdb", &sumdb, "--config", config.to_str().unwrap()];
    let mirror = Mirror::start_with(&folder.path().join("other"), &words);
    let text = metrics(&mirror);
    for label in ["private-1", "file"] {
        assert_eq!(value(&text, &format!("sumgate_upstream_available{{source=\"{label}\"}}")), 1);
    }
    for word in ["internal.example", upstream.to_str().unwrap(), "corp.example"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

fn linted() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let mut lint = Command::new(PROMTOOL);
    lint.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut lint = lint.spawn().unwrap();
    lint.stdin.take().unwrap().write_all(metrics(&mirror).as_bytes()).unwrap();
    let told = lint.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(told.status.success() && words.is_empty(), "{words}");
    let told = Command::new(PROMTOOL).args(["check", "rules"]).arg(contrib("prometheus/alerts.yaml")).output().unwrap();
    assert!(told.status.success(), "{told:?}");
}

fn contrib(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(path)
}

/// The expressions of the alert rules, without their comparison: a healthy mirror has no data that meets it.
fn queries_of_rules() -> Vec<String> {
    let rules = std::fs::read_to_string(contrib("prometheus/alerts.yaml")).unwrap();
    let expressions = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let query = |expression: &str| {
        let (query, operator) = expression.rsplit_once(' ').unwrap().0.rsplit_once(' ').unwrap();
        assert!([">", "<", "=="].contains(&operator), "expected QUERY OPERATOR NUMBER, found {expression}");
        let inside = query.strip_prefix("absent(").and_then(|rest| rest.strip_suffix(')'));
        inside.unwrap_or(query).to_owned()
    };
    expressions.map(query).collect()
}

/// The queries of the dashboard, with values for the variables of Grafana.
fn queries_of_dashboard() -> Vec<String> {
    let text = std::fs::read_to_string(contrib("grafana/sumgate.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let query = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    targets.map(query).map(|query| query.replace("$__rate_interval", "30s").replace("$instance", ".*")).collect()
}

/// Starts Prometheus on a free port of loopback; returns its URL.
fn start(folder: &Path, target: &str) -> (Running, String) {
    let target = target.strip_prefix("http://").unwrap();
    let config = folder.join("prometheus.yaml");
    let rules = contrib("prometheus/alerts.yaml");
    let text = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n\
         - job_name: sumgate\n  static_configs: [{{targets: ['{target}']}}]\n",
        rules.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut program = Command::new(PROMETHEUS);
    program.arg("--config.file").arg(&config).arg("--storage.tsdb.path").arg(folder.join("tsdb"));
    program.arg("--web.listen-address=127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(program.spawn().unwrap());
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let listens = lines.by_ref().map(Result::unwrap).find(|line| line.contains("Listening on")).unwrap();
    let address = listens.rsplit("address=").next().unwrap().trim().to_owned();
    // Its pipe must not fill up.
    std::thread::spawn(move || lines.for_each(drop));
    (running, format!("http://{address}"))
}

fn ask(prometheus: &str, query: &str) -> Value {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = get(prometheus, &format!("/api/v1/query?query={encoded}"));
    if answer.status == 503 {
        // It is starting.
        return Value::Null;
    }
    // It may send chunks.
    let text = answer.text();
    let json = &text[text.find('{').unwrap_or(0)..=text.rfind('}').unwrap_or(0)];
    let reply: Value =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{query}: {error}: {}\n{text}", answer.head));
    assert_eq!(reply["status"], "success", "{query}: {reply}");
    reply["data"]["result"].clone()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn alert() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let (_running, url) = start(folder.path(), &mirror.url);
    // The first scrape must see the counters at 0.
    until("the mirror is scraped", || {
        ask(&url, "sumgate_refusals_total").as_array().is_some_and(|found| !found.is_empty())
    });
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    let firing = |alert: &str| ask(&url, &format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}"));
    assert_eq!(firing("SumgateRefusals"), Value::Array(Vec::new()), "nothing was refused yet");
    let forged = "/example.com/dep/v2/@v/v2.0.1.zip";
    origin.misbehave(forged, Fault::Body("not a zip".into()));
    for _ in 0..FORGED {
        assert_eq!(get(&mirror.url, forged).status, 403);
    }
    until("the alert of refusals fires", || {
        let found = firing("SumgateRefusals");
        found.as_array().is_some_and(|found| found.iter().any(|one| one["metric"]["code"] == "wrong-bytes"))
    });
    until("the alert of wrong bytes fires", || firing("SumgateWrongBytes") != Value::Array(Vec::new()));
    let queries = [queries_of_rules(), queries_of_dashboard()].concat();
    assert!(queries.len() > 25, "the queries were not read: {queries:?}");
    for query in queries {
        until(&query, || ask(&url, &query).as_array().is_some_and(|found| !found.is_empty()));
    }
}
