//! `sumgate run` with any command: exit codes, signals, remaining processes, and requests of other clients to its mirror.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;

use crate::fixture::{Go, get, trial, wait};
use crate::gate::{here, read_json};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("gate: exit code and signals are those of the command", codes_and_signals),
        trial("gate: a command that cannot be started says why", what_cannot_start),
        trial("gate: the mirror answers only its own command", its_own_command_alone),
        trial("gate: processes that are still running are named", left_running),
        trial("gate: a refusal overrides the code of the command, and both are reported", whose_code),
    ]
}

fn its_own_command_alone() {
    let home = here();
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let script = "echo $GOPROXY; read line";
    command.args(["run", "--", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = crate::fixture::Running(command.spawn().unwrap());
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(running.0.stdout.take().unwrap()));
    let url = lines.next().unwrap().unwrap();
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let at = format!("http://{address}");
    assert_eq!(get(&at, &format!("/{path}/")).status, 200);
    for guess in ["/", "/example.com/hello/@v/list", "/sumdb/sum.golang.org/supported"] {
        assert_eq!(get(&at, guess).status, 404, "{guess}");
    }
    for host in ["localhost:1", "evil.example", "127.0.0.1"] {
        let answer = raw(address, &format!("GET /{path}/ HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 421 "), "{host}: {answer}");
    }
    let absolute = format!("GET http://evil.example/{path}/ HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    assert!(raw(address, &absolute).starts_with("HTTP/1.1 421 "));
    drop(running.0.stdin.take());
    wait(&mut running.0);
}

/// Sends bytes, and reads to the end.
fn raw(address: &str, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn left_running() {
    let home = here();
    let (code, output) =
        home.sumgate(&["run", "--report", "report.json", "--", "sh", "-c", "sleep 7 >/dev/null 2>&1 &"]);
    assert_eq!(code, Some(0), "a note: {output}");
    assert!(output.contains("note[process-left]") && output.contains("(sleep)"), "{output}");
    assert_eq!(read_json(&home, "report.json")["findings"][0]["code"], "process-left");
    assert_eq!(home.sumgate(&["run", "--deny", "note", "--", "sh", "-c", "sleep 7 >/dev/null 2>&1 &"]).0, Some(120));
    // A process that is about to end is not reported.
    let (_, output) = home.sumgate(&["run", "--", "sh", "-c", "sleep 0.2 >/dev/null 2>&1 &"]);
    assert!(!output.contains("process-left"), "{output}");
}

fn whose_code() {
    let home = here();
    let config = "[[upstream]]\nurl = \"http://127.0.0.1:9\"\nserves = \"example.com/other\"\n";
    home.write("sources.toml", config);
    let ask = "import os, urllib.request, urllib.error\n\
               try: urllib.request.urlopen(os.environ['GOPROXY'] + '/example.com/a/@v/v1.0.0.zip')\n\
               except urllib.error.HTTPError: pass\n\
               raise SystemExit(3)\n";
    let words = ["run", "--config", "sources.toml", "--nosumdb", "example.com/a", "--", "python3", "-c", ask];
    let (code, output) = home.sumgate(&words);
    assert_eq!(code, Some(120), "{output}");
    assert!(output.contains("REFUSED [no-source]"), "{output}");
    assert!(
        output.contains("exit code 120 of sumgate") && output.contains("the exit code of the command is 3"),
        "{output}"
    );
    let (_, output) = home.sumgate(&[&words[..8], &[&ask.replace("SystemExit(3)", "SystemExit(120)")]].concat());
    assert!(
        output.contains("exit code 120 of sumgate") && output.contains("the exit code of the command is 120"),
        "{output}"
    );
    // The code of the command is explained only if it could be that of the gate.
    for (own, is_told) in [(3, false), (120, true), (121, true), (122, true), (123, false)] {
        let (code, output) = home.sumgate(&["run", "--", "sh", "-c", &format!("exit {own}")]);
        let told = output.contains(&format!("exit code {own} of the command"));
        assert_eq!((code, told, output.contains("of sumgate")), (Some(own), is_told, false), "{output}");
    }
    for words in [&["run", "--offline", "--anchor", "/no/such/file", "--", "true"][..], &["run", "--no-such-flag"]] {
        let (code, output) = home.sumgate(words);
        assert_eq!(code, Some(121), "{output}");
        assert!(output.contains("exit code 121 of sumgate: the gate could not do its work"), "{output}");
    }
    let (code, output) = home.sumgate(&["run", "--", "no-such-command"]);
    assert!(code == Some(127) && output.contains("exit code 127 of sumgate: the command is not found"), "{output}");
}

fn codes_and_signals() {
    let home = here();
    assert_eq!(home.sumgate(&["run", "--", "sh", "-c", "exit 7"]).0, Some(7));
    assert_eq!(home.sumgate(&["run", "--", "sh", "-c", "kill -9 $$"]).0, Some(137));
    let (code, output) = home.sumgate(&["run", "--", "sh", "-c", "echo $GOPROXY $GOSUMDB $GOINSECURE $GOENV"]);
    assert_eq!(code, Some(0));
    let url = output.split_whitespace().next().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{output}");
    assert!(output.starts_with(&format!("{url} sum.golang.org {url} none off\n")), "{output}");
    assert_eq!(url.rsplit('/').next().unwrap().len(), 32, "a path that nobody guesses: {url}");

    // A signal is passed to the command, which may take time and choose its exit code.
    let script = "trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let mut running =
        command.args(["run", "--", "sh", "-c", script]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(running.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let id = running.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "asked");
    assert_eq!(wait(&mut running).code(), Some(9));
}

fn what_cannot_start() {
    let ends = |home: &Go, words: &[&str], ended: i32, why: &str| {
        let (code, output) = home.sumgate(words);
        assert_eq!(code, Some(ended), "{words:?}: {output}");
        assert!(output.contains(why), "{words:?} does not say {why:?}: {output}");
    };
    let fails = |home: &Go, words: &[&str], why: &str| ends(home, words, 121, why);
    ends(&here(), &["run", "--", "no-such-command"], 127, "cannot run no-such-command");
    ends(&here(), &["run", "--", "./no-such-command"], 127, "cannot run ./no-such-command");
    let home = here();
    home.write("data", "no program");
    home.write("folder/x", "");
    ends(&home, &["run", "--", "./data"], 126, "cannot run ./data");
    ends(&home, &["run", "--", "./folder"], 126, "cannot run ./folder");
    fails(&here(), &["run"], "required");
    fails(&here(), &["run", "--no-such-flag", "--", "true"], "--no-such-flag");
    assert_eq!(here().sumgate(&["run", "--help"]).0, Some(0));
    fails(&here().set("GOPROXY", "direct"), &["run", "--", "true"], "names no proxy");
    fails(&here().set("GOSUMDB", "off"), &["run", "--", "true"], "--sumdb sum.golang.org");
    fails(&here(), &["run", "--report", "/no/such/folder/x", "--", "true"], "cannot write /no/such/folder/x");
}
