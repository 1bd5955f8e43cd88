//! The Action for GitHub: its steps, run as a runner does, in a pull request.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::repository::{PullRequest, archive, release, sha256};
use crate::runner::Job;
use crate::tools::{VERSION, dist_trial, run, tool_trial};

/// `pre-commit` brings the YAML parser that reads the Action.
const TOOLS: [&str; 6] = ["bash", "curl", "git", "pre-commit", "python3", "sha256sum"];

pub fn trials() -> Vec<Trial> {
    let mut with_go = TOOLS.to_vec();
    with_go.push("go");
    vec![
        dist_trial("action: a planted line fails the pull request, at its line", &TOOLS, planted),
        dist_trial("action: an honest pull request passes, and its command builds", &with_go, honest),
        dist_trial("action: a loosened policy is a finding in each report of the change", &TOOLS, loosened),
        dist_trial("action: all lines are new without a base", &TOOLS, without_a_base),
        dist_trial("action: settings that exempt every module are refused", &TOOLS, all_exempt),
        dist_trial("action: the release that it names is downloaded from its repository", &TOOLS, from_its_repository),
        tool_trial("action: another program is refused before it runs", &TOOLS, another_program),
        tool_trial("action: without a release it says which inputs to give", &TOOLS, without_a_release),
        tool_trial("action: an input is never run as a part of a script", &TOOLS, inputs_are_data),
    ]
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A job that installs from the folder `dist`.
fn job<'a>(dist: &Path, request: &PullRequest, more: &[(&str, &str)]) -> Job<'a> {
    let sha256 = sha256(&dist.join(archive()));
    let mut inputs = vec![("version", VERSION), ("sha256", &sha256), ("from", dist.to_str().unwrap())];
    inputs.extend(more);
    Job::new(here(), request, &inputs)
}

fn reports(job: &Job) -> PathBuf {
    PathBuf::from(&job.contexts["steps.install.outputs.reports"])
}

fn sarif(job: &Job, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(reports(job).join(name)).unwrap()).unwrap()
}

fn planted(dist: &Path) {
    let request = PullRequest::planted();
    let mut job = job(dist, &request, &[("command", "touch built")]);
    let start = Instant::now();
    assert_eq!(job.run(&request), 1, "{}", job.log);
    // It is a step that people wait for: download, audit and reports together.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}: {}", start.elapsed(), job.log);
    let annotation = format!("::error file=go.sum,line={},title=hash-mismatch::", request.planted);
    assert!(job.log.contains(&annotation), "{}", job.log);
    let results = sarif(&job, "sumgate.sarif")["runs"][0]["results"].take();
    assert_eq!(results.as_array().unwrap().len(), 1, "{results}");
    assert_eq!(results[0]["ruleId"], "hash-mismatch");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "go.sum");
    assert_eq!(place["region"]["startLine"], request.planted);
    assert!(job.summary.contains("hash-mismatch"), "{}", job.summary);
    assert!(job.log.trim_end().ends_with("https://github.example/owner/app/actions/runs/17"), "{}", job.log);
    assert!(job.log.contains("findings in all lines, new and old: 1\n"), "{}", job.log);
    assert!(!request.checkout().join("built").exists(), "the command was run");
}

fn honest(dist: &Path) {
    let request = PullRequest::honest();
    let mut job = job(dist, &request, &[("command", "go build -o app . && touch built")]);
    assert_eq!(job.run(&request), 0, "{}", job.log);
    assert!(request.checkout().join("built").exists(), "the command was not run");
    assert_eq!(sarif(&job, "sumgate.sarif")["runs"][0]["results"].as_array().unwrap().len(), 0);
    let attested = std::fs::read_to_string(reports(&job).join("modules.intoto.json")).unwrap();
    assert!(attested.contains("example.com/hello"), "{attested}");
    // Nothing of the Action is in the checkout, and each other action is pinned by a commit.
    assert_eq!(run(request.command("git").args(["status", "--short"])), "?? app\n?? built\n");
    let pinned = |uses: &String| uses.split_once('@').unwrap().1.len() == 40;
    assert!(!job.used.is_empty() && job.used.iter().all(pinned), "{:?}", job.used);
}

/// The rule that the pull request drops denies the module that it requires.
fn loosened(dist: &Path) {
    let request = PullRequest::policy();
    let mut job = job(dist, &request, &[]);
    assert_eq!(job.run(&request), 1, "{}", job.log);
    let codes = |name: &str| -> Vec<String> {
        let sarif = sarif(&job, name);
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        results.iter().map(|result| result["ruleId"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!codes("sumgate.sarif").contains(&"policy-loosened".to_owned()));
    assert!(codes("sumgate-new.sarif").contains(&"policy-loosened".to_owned()), "{}", job.log);
    assert!(job.log.contains("title=policy-loosened::") && job.summary.contains("policy-loosened"), "{}", job.log);
}

fn without_a_base(dist: &Path) {
    let request = PullRequest::planted();
    let mut job = job(dist, &request, &[]);
    job.contexts.insert("github.event.pull_request.base.sha".to_owned(), String::new());
    assert_eq!(job.run(&request), 1, "{}", job.log);
}

/// Such as those with which Dependabot runs.
fn all_exempt(dist: &Path) {
    let request = PullRequest::planted();
    let wide = [("GONOSUMDB", "?*"), ("GOPRIVATE", "corp.example,*"), ("SUMGATE_NOSUMDB", "*.com")];
    for (name, value) in wide.into_iter().chain([("GOPRIVATE", "corp.example")]) {
        let mut job = job(dist, &request, &[]);
        job.environment = vec![(name, value)];
        assert_eq!(job.run(&request), 1, "{}", job.log);
        assert_eq!(job.log.contains("title=wide-nosumdb::"), value != "corp.example", "{}", job.log);
    }
}

/// A copy of the Action with this list of releases.
fn copy(request: &PullRequest, released: &str) -> PathBuf {
    let copy = request.folder().join("action");
    std::fs::create_dir_all(copy.join("packaging/ci")).unwrap();
    for name in ["action.yml", "packaging/ci/install.sh", "packaging/ci/audit.sh"] {
        std::fs::copy(here().join(name), copy.join(name)).unwrap();
    }
    std::fs::write(copy.join("packaging/released"), released).unwrap();
    copy
}

/// The list of releases is the one of a copy of the Action; the address is derived from the repository that has it.
fn from_its_repository(dist: &Path) {
    let request = PullRequest::honest();
    let others = format!("# a comment\n{}  sumgate-0.0.1-x86_64-unknown-linux-gnu.tar.gz\n", "0".repeat(64));
    let line = format!("{}  {}\n", sha256(&dist.join(archive())), archive());
    let arm = format!("{}  sumgate-{VERSION}-aarch64-unknown-linux-gnu.tar.gz\n", "1".repeat(64));
    let copy = copy(&request, &(others + &line + &arm));
    let web = request.folder().join("web");
    let release = web.join(format!("owner/sumgate/releases/download/v{VERSION}"));
    std::fs::create_dir_all(&release).unwrap();
    std::fs::copy(dist.join(archive()), release.join(archive())).unwrap();
    let server = Server::start(&web);

    let mut job = Job::new(&copy, &request, &[]);
    job.contexts.insert("github.server_url".to_owned(), server.url.clone());
    job.contexts.insert("github.action_repository".to_owned(), "owner/sumgate".to_owned());
    assert_eq!(job.run(&request), 0, "{}", job.log);
    assert!(job.log.contains(&format!("sumgate {VERSION}")), "{}", job.log);
}

fn another_program() {
    let request = PullRequest::honest();
    let ran = request.folder().join("ran");
    let release = release(request.folder(), &format!("touch {}", ran.display()));
    let expected = "5".repeat(64);
    let inputs = [("version", VERSION), ("sha256", &expected), ("from", release.to_str().unwrap())];
    let mut job = Job::new(here(), &request, &inputs);
    assert_eq!(job.run(&request), 2, "{}", job.log);
    let found = sha256(&release.join(archive()));
    assert!(job.log.contains(&format!("expected SHA-256 {expected}, found {found}")), "{}", job.log);
    assert!(!ran.exists(), "the program was run");
    let left: Vec<_> = std::fs::read_dir(request.folder().join("temp/sumgate/bin")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    // With its own SHA-256 it runs: the comparison is what stops it.
    let inputs = [("version", VERSION), ("sha256", &found), ("from", release.to_str().unwrap())];
    Job::new(here(), &request, &inputs).run(&request);
    assert!(ran.exists());
}

fn without_a_release() {
    let request = PullRequest::honest();
    let copy = copy(&request, "# none\n");
    let mut job = Job::new(&copy, &request, &[]);
    assert_eq!(job.run(&request), 2, "{}", job.log);
    for word in ["'version'", "'sha256'", "'from'", &archive().replace(VERSION, "VERSION")] {
        assert!(job.log.contains(word), "{word}: {}", job.log);
    }
}

fn inputs_are_data() {
    let request = PullRequest::honest();
    let ran = request.folder().join("ran");
    let release = release(request.folder(), "printf '[%s]\\n' \"$@\"");
    let sha256 = sha256(&release.join(archive()));
    let honest = [("version", VERSION), ("sha256", &sha256), ("from", release.to_str().unwrap())];
    for form in ["$(touch RAN)", "; touch RAN;", "'; touch RAN; '", "\"; touch RAN; \"", "\ntouch RAN\n"] {
        let evil = form.replace("RAN", ran.to_str().unwrap());
        for name in ["version", "sha256", "from", "base", "folder", "deny"] {
            let mut inputs: Vec<_> = honest.iter().copied().filter(|(other, _)| *other != name).collect();
            inputs.push((name, &evil));
            let mut job = Job::new(here(), &request, &inputs);
            let code = job.run(&request);
            assert!(!ran.exists(), "{name}: {}", job.log);
            // The program of this trial accepts anything.
            assert_eq!(code == 0, name == "deny", "{name}: {}", job.log);
            assert!(name != "deny" || job.log.contains(&format!("[--deny={evil}]")), "{}", job.log);
        }
    }
}

/// A web server on loopback over a folder.
struct Server {
    url: String,
    process: Child,
}

impl Server {
    fn start(folder: &Path) -> Self {
        use std::io::{BufRead, BufReader};
        let mut python = Command::new("python3");
        python.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(folder).arg("0");
        let mut process = python.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_once('(').unwrap().1.split_once("/)").unwrap().0.to_owned();
        Self { url, process }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
