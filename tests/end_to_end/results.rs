//! What a person sees of an audit: the worst first, within the limits of the reader, and paths that the reader knows.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::World;

use crate::audit::{audit, findings, home, honest, line_of};
use crate::audit_files::FORMATS;
use crate::fixture::{Go, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("findings: 200,000 findings take 100 MB of memory at most, in every format", many),
        trial("findings: the forged line is the first of hundreds", forged_among_many),
        trial("findings: zip and go.mod of one version and cause are one entry", one_entry),
        trial("findings: in a subfolder, paths are relative to the top of the repository", in_a_subfolder),
        trial("findings: --exit-zero hides findings, but no failure", exit_zero),
        trial("findings: findings of the doctor have a place in the repository", of_the_doctor),
        trial("findings: running text follows the width of the terminal", width),
        trial("findings: the command that checks the evidence of a fork can be pasted", pasted),
        go_trial("findings: advice about the module cache is not about go.sum", of_the_cache),
    ]
}

/// What `sumgate audit` wrote, and its peak memory in kilobytes: it waits for the last byte to be read, which a pipe holds back.
fn peak(home: &Go, format: &str) -> (u64, usize) {
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    command.args(["audit", "--offline", "--format", format]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut peak, mut length, mut bytes) = (0, 0, vec![0; 1 << 20]);
    loop {
        let read = out.read(&mut bytes).unwrap();
        if read == 0 {
            break;
        }
        length += read;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
    }
    assert_eq!(child.wait().unwrap().code(), Some(1), "{format}");
    (peak, length)
}

fn many() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines: String = (0..100).map(|nth| format!("example.com/module{nth} v1.0.{nth} h1:short{nth}\n")).collect();
    for nth in 0..2000 {
        let folder = format!("services/team{:02}/module{nth:04}", nth % 50);
        home.write(&format!("{folder}/go.mod"), "module a.com/b\n");
        home.write(&format!("{folder}/go.sum"), &lines);
    }
    for format in FORMATS {
        let (peak, length) = peak(&home, format);
        // The trial itself must have seen the work.
        assert!(peak > 50_000 && length > 3_000_000, "{format}: {peak} kB, {length} bytes");
        assert!(peak < 102_400, "{format}: {peak} kB");
    }
}

fn forged_among_many() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let unknown: String = (0..56).map(|nth| format!("example.com/none{nth} v1.0.0 h9:x\n")).collect();
    let lines = honest(&origin);
    let other = line_of(&lines, "example.com/hello v1.1.0 ").rsplit(' ').next().unwrap();
    home.write("go.sum", &format!("{unknown}rubbish\nexample.com/hello v1.0.0 {other}\n"));
    for (format, first) in
        [("human", "go.sum:58: error[hash-mismatch]"), ("github", "::error file=go.sum,line=58,title=hash-mismatch::")]
    {
        let (code, output) = audit(&home, &["--format", format]);
        assert!(code == Some(1) && output.starts_with(first), "{output}");
    }
    let (_, output) = audit(&home, &["--format", "github"]);
    let commands = output.lines().filter(|line| line.starts_with("::error ") || line.starts_with("::warning "));
    assert_eq!(commands.count(), 10, "{output}");
    assert!(output.contains("::warning title=more findings::49 more"), "{output}");
    assert_eq!(findings(&home, &[]).1[0], ("hash-mismatch".to_owned(), "go.sum".to_owned(), 58));
}

fn one_entry() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    let hash = line_of(&lines, "example.com/hello v1.1.0 ").rsplit(' ').next().unwrap();
    let two = |module: &str| format!("{module} {hash}\n{module}/go.mod {hash}\n");
    home.write("go.sum", &format!("{}{}", two("example.com/none v1.0.0"), two("example.com/hello v1.0.0")));
    let (code, output) = audit(&home, &["--format", "json"]);
    let document: Value = serde_json::from_str(&output).unwrap();
    let found = document["findings"].as_array().unwrap();
    let shown: Vec<(&str, u64, u64)> = found
        .iter()
        .map(|one| {
            let also = one["also"].as_array().unwrap();
            assert_eq!(also.len(), 1, "{one}");
            (one["code"].as_str().unwrap(), one["place"]["line"].as_u64().unwrap(), also[0]["line"].as_u64().unwrap())
        })
        .collect();
    assert_eq!((code, &*shown), (Some(1), &[("hash-mismatch", 3, 4), ("unknown-version", 1, 2)][..]), "{output}");
    let names: Vec<&str> =
        found[0]["facts"].as_array().unwrap().iter().map(|fact| fact["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"proved") && names.contains(&"proved (mod)"), "{names:?}");
}

fn in_a_subfolder() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("services/api/go.mod", "module a.com/b\n");
    home.write("services/api/go.sum", "rubbish\n");
    home.write("services/go.sum", "");
    let folder = home.home().join("services");
    let shown = |format: &str, path: &str| {
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.current_dir(&folder).args(["audit", "--format", format, path]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let absolute = folder.join("api").display().to_string();
    for path in ["api", "./api/go.sum", "../services/api", &absolute] {
        for (format, place) in [
            ("github", "::error file=services/api/go.sum,line=1,"),
            ("sarif", "\"uri\": \"services/api/go.sum\""),
            ("junit", "file=\"services/api/go.sum\""),
            ("junit", "<testsuite name=\"services/api/go.sum\""),
        ] {
            let (code, output) = shown(format, path);
            assert!(code == Some(1) && output.contains(place), "{path} {format}: {output}");
        }
    }
    // A person, and a program that opens the file, is where the command is.
    assert!(
        shown("human", "api").1.contains("\napi/go.sum:1: ") || shown("human", "api").1.starts_with("api/go.sum:1: ")
    );
    assert!(shown("json", "api").1.contains("\"file\": \"api/go.sum\""));
}

fn exit_zero() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", "rubbish\n");
    let (code, output) = audit(&home, &["--exit-zero"]);
    assert!(code == Some(0) && output.ends_with("failed: 1 error, 0 proved, no policy\n"), "{output}");
    assert_eq!(audit(&home, &["--exit-zero", "--deny", "note", "--format", "sarif"]).0, Some(0));
    home.write("go.sum", &honest(&origin).join("\n"));
    assert_eq!(audit(&home, &["--exit-zero", "--offline"]).0, Some(2), "nothing was checked");
    assert_eq!(audit(&home, &["--exit-zero", "none"]).0, Some(2), "there is no such file");
    let weak = Go::new(Path::new("/nonexistent"), "off", "off");
    assert_eq!([&["doctor"][..], &["doctor", "--exit-zero"]].map(|words| weak.sumgate(words).0), [Some(1), Some(0)]);
}

fn of_the_doctor() {
    let home = Go::new(Path::new("/nonexistent"), "off", "off");
    home.git(&["init", "-q"]);
    home.write("go.mod", "module a.com/b\n");
    let (code, output) = home.sumgate(&["doctor", "--format", "sarif"]);
    let document: Value = serde_json::from_str(&output).unwrap();
    let result = &document["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!((code, result["ruleId"].as_str()), (Some(1), Some("sumdb-off")));
    assert_eq!(
        (place["artifactLocation"]["uri"].as_str(), place["region"]["startLine"].as_u64()),
        (Some("go.mod"), Some(1))
    );
}

fn width() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", "rubbish\nexample.com/none v1.0.0 h9:x\n");
    let longest = |home: &Go| {
        let (_, output) = audit(home, &[]);
        let prose = output.lines().filter(|line| line.starts_with("    ")).map(|line| line.chars().count());
        prose.max().unwrap()
    };
    assert!((90..=100).contains(&longest(&home)), "{}", longest(&home));
    for columns in ["40", "72"] {
        let home = self::home(&origin).set("COLUMNS", columns);
        home.write("go.sum", "rubbish\n");
        let (longest, columns) = (longest(&home), columns.parse().unwrap());
        assert!(longest <= columns && longest > columns - 15, "{columns}: {longest}");
    }
}

fn pasted() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    home.write("go.sum", line_of(&lines, "example.com/hello v1.0.0 "));
    let data = home.home().join("data of 'mine'");
    let words = ["--data", data.to_str().unwrap()];
    assert_eq!(audit(&home, &words).0, Some(0));
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    home.write("go.sum", &lines.join("\n"));
    let (code, output) = audit(&home, &words);
    assert_eq!(code, Some(3), "{output}");
    let command = output.lines().map(str::trim).find(|line| line.starts_with("sumgate verify ")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sumgate")).parent().unwrap().display().to_string();
    let mut shell = home.command(Path::new("/bin/sh"));
    shell.env("PATH", format!("{program}:/usr/bin:/bin")).env_remove("GOSUMDB").args(["-c", command]);
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("valid evidence: "), "{command}: {said}{output:?}");
}

fn of_the_cache(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.must(&["mod", "download", "example.com/Upper/CaseMod@v1.2.3"]);
    let file = home.module_cache().join("example.com/!upper/!case!mod@v1.2.3/a.go");
    std::fs::write(&file, "package changed\n").unwrap();
    let (code, output) = audit(&home, &["--modcache"]);
    assert!(code == Some(1) && output.contains("hash-mismatch"), "{output}");
    assert!(output.contains("go clean -modcache") && !output.contains("go mod tidy"), "{output}");
    assert!(!output.contains("the line"), "{output}");
    // Annotations and results are in the repository all the same.
    let (_, output) = audit(&home, &["--modcache", "--format", "sarif"]);
    assert!(output.contains("\"uri\": \"go.mod\"") && !output.contains("file://"), "{output}");
}
