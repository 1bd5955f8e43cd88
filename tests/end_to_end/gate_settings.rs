//! Attacks on the gate by settings: of the repository's git, of the environment, and of `go env -w`.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::fixture::{Go, go_trial, origin, trial};
use crate::gate_ways::{BUILD, HONEST, MAIN, app, gate, module_with};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, ways: programs in the git settings of the repository", git_settings),
        trial("gate, ways: settings that exempt whole hosts", wide),
        trial("gate, ways: variables that add code or programs", variables),
        trial("gate, ways: settings of go env -w", written),
        trial("gate, ways: build tools in the repository", programs_in_the_repository),
    ]
}

/// `go build` runs `git status` for the version that it stamps into a program.
fn git_settings(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin).set("GOVCS", "").set("GOFLAGS", "-mod=mod");
    app.git(&["init", "-q"]);
    app.git(&["add", "."]);
    app.git(&["commit", "-q", "-m", "one"]);
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings), (Some(0), Vec::new()), "an honest repository: {output}");

    let mark = app.root().join("mark");
    app.write("evil.sh", &format!("#!/bin/sh\ntouch {}\n", mark.display()));
    std::fs::set_permissions(app.home().join("evil.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    app.git(&["config", "core.fsmonitor", "./evil.sh"]);
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, mark.exists()), (Some(120), true), "{output}");
    assert!(findings.contains(&"repository-program".to_owned()) && output.contains("core.fsmonitor"), "{output}");
    std::fs::remove_file(&mark).unwrap();
    // The last of a flag counts, and the command may have one of its own.
    let app = app.set("GOFLAGS", "-mod=mod -buildvcs=false -buildvcs=true");
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings, mark.exists()), (Some(120), vec!["repository-program".to_owned()], true), "{output}");
    std::fs::remove_file(&mark).unwrap();

    // A hook that runs when git writes its index: `git status` writes none.
    let app = app.set("GOFLAGS", "-mod=mod");
    app.git(&["config", "--unset", "core.fsmonitor"]);
    std::fs::rename(app.home().join("evil.sh"), app.home().join(".git/hooks/post-index-change")).unwrap();
    app.write("main.go", MAIN);
    let (code, output, findings) = gate(&app, &BUILD);
    assert_eq!((code, findings, mark.exists()), (Some(0), Vec::new(), false), "{output}");
}

fn here() -> Go {
    Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9")
}

fn wide() {
    for (name, value, code) in [
        ("GONOSUMDB", "*", "wide-nosumdb"),
        ("GONOSUMDB", "github.com", "wide-nosumdb"),
        ("GOPRIVATE", "github.com,gitlab.com", "wide-private"),
        ("GONOPROXY", "*.org", "wide-private"),
        ("GOPRIVATE", "codeberg.org/*", "wide-private"),
    ] {
        let (ended, output, findings) = gate(&here().set(name, value), &["--", "true"]);
        assert_eq!((ended, findings), (Some(120), vec![code.to_owned()]), "{name}={value}: {output}");
    }
    for (name, value) in [("GONOSUMDB", "corp.example"), ("GOPRIVATE", "github.com/us/*,*.corp.example")] {
        let (ended, output, findings) = gate(&here().set(name, value), &["--", "true"]);
        assert_eq!((ended, findings), (Some(0), Vec::new()), "{name}={value}: {output}");
    }
    // With white space in them, `go` matches these with nothing. The command gets them as they are.
    let odd = here().set("GONOPROXY", " github.com, *.org").set("GONOSUMDB", "* ");
    let (ended, output, findings) = gate(&odd, &["--", "sh", "-c", "echo \"<$GONOPROXY><$GONOSUMDB>\""]);
    assert_eq!((ended, findings), (Some(0), Vec::new()), "{output}");
    assert!(output.contains("< github.com, *.org><* >"), "{output}");
    let (ended, output, findings) = gate(&here(), &["--private", "github.com/*", "--", "true"]);
    assert!(ended == Some(120) && findings.contains(&"wide-private".to_owned()), "{output}");
}

/// What `run` says of a command with this variable.
fn with(name: &'static str, value: &str) -> (Option<i32>, String, Vec<String>) {
    let home = here().set(name, value);
    home.write("x", "");
    gate(&home, &["--", "true"])
}

fn variables() {
    for (name, value) in [
        ("GOFLAGS", "-toolexec=/tmp/x"),
        ("GOFLAGS", "-mod=mod -overlay=overlay.json"),
        ("GOFLAGS", "-modfile=/tmp/other.mod"),
        ("LD_PRELOAD", "/nonexistent.so"),
        ("GIT_EXEC_PATH", "/tmp/git"),
        ("CC", "./x"),
        ("GOWORK", "/tmp/elsewhere/go.work"),
        ("GIT_CONFIG_GLOBAL", "gitconfig"),
        ("GCONV_PATH", "/opt/x"),
        ("HGRCPATH", "/opt/x"),
    ] {
        let (code, output, findings) = with(name, value);
        assert_eq!((code, findings), (Some(120), vec!["build-override".to_owned()]), "{name}={value}: {output}");
    }
    for (name, value) in [
        ("CGO_LDFLAGS", "-lx"),
        ("GOAUTH", "command"),
        ("CC", "gcc -m32"),
        ("PKG_CONFIG_PATH", "/opt/x"),
        ("GOFLAGS", "-o=/tmp/x"),
        ("CC", "/opt/restored/cc"),
        ("GIT_SSH_COMMAND", "/opt/restored/ssh"),
        ("GODEBUG", "a=1,allowmultiplevcs=1"),
        ("OBJC_INCLUDE_PATH", "/opt/x"),
        ("CCC_OVERRIDE_OPTIONS", "^-I."),
        ("CCACHE_DIR", "/opt/x"),
        ("LD_RUN_PATH", "/opt/x"),
        ("PYTHONPATH", "/opt/x"),
        ("PERL5LIB", "/opt/x"),
        ("OPENSSL_CONF", "/opt/x"),
        ("BASH_ENV", "/opt/x"),
    ] {
        let (code, output, findings) = with(name, value);
        assert_eq!((code, findings), (Some(0), vec!["build-environment".to_owned()]), "{name}={value}: {output}");
    }
    for (name, value) in [
        ("CC", "gcc"),
        ("CC", "/usr/bin/gcc"),
        ("GOFLAGS", "-trimpath '-ldflags=-s -w -X main.b=c'"),
        ("GOAUTH", "off"),
        ("CGO_CFLAGS", "-g -O2"),
        ("GIT_CONFIG_COUNT", "0"),
        ("GIT_EDITOR", "code --wait"),
        ("GODEBUG", "netdns=go"),
    ] {
        let (code, output, findings) = with(name, value);
        assert_eq!((code, findings), (Some(0), Vec::new()), "{name}={value}: {output}");
    }
    removed_variables();
}

fn removed_variables() {
    for (name, value) in [
        ("GIT_HTTP_USER_AGENT", "proxy.golang.org"),
        ("GOCACHEPROG", "/tmp/evil"),
        ("GOROOT", "/tmp/evil"),
        ("GIT_DIR", "/tmp/evil"),
        ("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "go1.1"),
        ("GIT_UNHEARD_OF", "x"),
    ] {
        let (code, output, _) = gate(&here().set(name, value), &["--", "env"]);
        assert!(code == Some(0) && output.contains(&format!("removed {name} from the environment")), "{output}");
        assert!(!output.contains(&format!("\n{name}=")), "{output}");
    }
    // With an inherited build cache, a program named there is reported, too.
    let home = here().set("GOCACHEPROG", "/tmp/prog");
    let (_, output, findings) = gate(&home, &["--build-cache", "inherit", "--", "env"]);
    assert!(output.contains("\nGOCACHEPROG=/tmp/prog\n"), "{output}");
    assert_eq!(findings, ["inherited-build-cache"]);
}

fn written() {
    let with = |text: &str| {
        let home = here();
        let file = home.root().join("goenv");
        std::fs::write(&file, text).unwrap();
        home.set("GOENV", file.to_str().unwrap())
    };
    let (code, output, findings) = gate(&with("GOFLAGS=-toolexec=/tmp/x\nCC=./x\n").set("GOFLAGS", ""), &["--", "env"]);
    assert_eq!(code, Some(120), "{output}");
    assert_eq!(findings, ["build-override", "build-override"]);
    assert!(output.contains("\nGOENV=off\n") && output.contains("\nCC=./x\n"), "{output}");
}

fn programs_in_the_repository() {
    let bin = |home: &Go| -> PathBuf {
        let bin = home.home().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        bin
    };
    for name in ["go", "git", "gcc", "go1.99.9"] {
        let home = here();
        let program = bin(&home).join(name);
        std::fs::write(&program, "#!/bin/sh\nexit 1\n").unwrap();
        // Not executable: sumgate itself asks no such `go` for its settings.
        let path = format!("{}:/usr/bin:/bin", bin(&home).display());
        let home = home.set("PATH", &path);
        let (code, output, findings) = gate(&home, &["--", "true"]);
        assert_eq!((code, findings), (Some(120), vec!["build-override".to_owned()]), "{name}: {output}");
    }
    // A relative folder is left out, whatever lies there.
    let home = here();
    bin(&home);
    let home = home.set("PATH", "bin:.::/usr/bin:/bin");
    let (code, output, findings) = gate(&home, &["--", "sh", "-c", "echo $PATH"]);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    assert!(output.contains("\n/usr/bin:/bin\n") && output.contains("removed a relative folder of PATH"), "{output}");
}
