//! The Debian and the RPM package: installed, used, upgraded and removed on a Debian with a running systemd.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::debian::{self, Machine, debian_trial, in_tree};
use crate::tools::{VERSION, command, dist_trial, package, run, tool, tool_trial};

pub fn trials() -> Vec<Trial> {
    vec![
        tool_trial("deb and rpm: made twice, with other times and modes, they are the same", &["nfpm"], same_bytes),
        tool_trial("service: its exposure is at most 1.5", &["systemd-analyze"], exposure),
        dist_trial("deb: manual pages, completions and licences", &["dpkg-deb"], contents),
        debian_trial("deb: installed, used, upgraded, removed and purged", deb),
        debian_trial("deb: without systemd it is installed and purged", without_systemd),
        debian_trial("rpm: installed, used, upgraded and removed", rpm),
    ]
}

/// The checkout.
fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The command in docs/install.md that begins so.
fn documented(start: &str) -> String {
    let page = std::fs::read_to_string(checkout().join("docs/install.md")).unwrap();
    let lines: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("    sudo ")).collect();
    let found: Vec<_> = lines.iter().filter(|line| line.starts_with(start)).collect();
    let [line] = found[..] else { panic!("expected one line \"sudo {start}\", found {found:?}") };
    line.split("  #").next().unwrap().to_owned()
}

fn same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [("022", "1 day ago"), ("077", "now")].map(|(umask, date)| {
        let made = folder.path().join(umask);
        let (stage, out) = (made.join("stage"), made.join("out"));
        for (name, text) in FILES {
            let file = stage.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            run(command("touch").args(["--date", date]).arg(file));
        }
        std::fs::create_dir(&out).unwrap();
        let mut step = command("sh");
        step.current_dir(checkout()).args(["-c", "umask $0; packaging/steps/deb-rpm \"$@\"", umask]).arg(stage);
        run(step.arg(&out).env("VERSION", VERSION).env("SOURCE_DATE_EPOCH", "1700000000"));
        ["sumgate_*_amd64.deb", "sumgate-*-1.x86_64.rpm"]
            .map(|name| std::fs::read(out.join(name.replace('*', VERSION))).unwrap())
    });
    assert!(first == second);
}

/// Of the folder that a step gets.
const FILES: [(&str, &str); 8] = [
    ("sumgate", "a program"),
    ("man/sumgate.1", ".TH sumgate 1\n"),
    ("completions/sumgate.bash", "# bash\n"),
    ("completions/_sumgate", "# zsh\n"),
    ("completions/sumgate.fish", "# fish\n"),
    ("README.md", "text\n"),
    ("LICENSE-MIT", "MIT\n"),
    ("LICENSE-APACHE", "Apache\n"),
];

fn exposure() {
    let mut analyze = command(tool("systemd-analyze").unwrap());
    analyze.args(["security", "--no-pager", "--offline=true", "--threshold=15"]);
    run(analyze.arg(checkout().join("packaging/sumgate.service")));
}

fn contents(dist: &Path) {
    let listed = run(command("dpkg-deb").arg("--contents").arg(package(dist, ".deb")));
    let of_debian = [
        "doc/sumgate/LICENSE-MIT",
        "doc/sumgate/LICENSE-THIRD-PARTY",
        "doc/sumgate/copyright",
        "zsh/vendor-completions/_sumgate",
    ];
    for name in INSTALLED.iter().chain(&of_debian) {
        assert!(listed.contains(&format!(" ./usr/share/{name}\n")), "{name}\n{listed}");
    }
    for line in listed.lines() {
        assert!(
            line.starts_with("drwxr-xr-x root/root")
                || line.starts_with("-rw-r--r-- root/root")
                || line.ends_with("/usr/bin/sumgate"),
            "{line}"
        );
    }
}

/// Below /usr/share, in both packages.
const INSTALLED: [&str; 7] = [
    "bash-completion/completions/sumgate",
    "doc/sumgate/README.md",
    "doc/sumgate/changelog.gz",
    "fish/vendor_completions.d/sumgate.fish",
    "man/man1/sumgate.1.gz",
    "man/man1/sumgate-serve.1.gz",
    "man/man1/sumgate-audit.1.gz",
];

/// Asks the mirror for a path; prints the answer with its head. A minimal Debian has no other client.
const GET: &str = r#"get() {
    perl -MIO::Socket::INET -e '$mirror = IO::Socket::INET->new(PeerAddr => "127.0.0.1:8080", Timeout => 20) or die "$!";
        print $mirror "GET $ARGV[0] HTTP/1.0\r\nHost: localhost\r\n\r\n"; print while <$mirror>' "$1"
}
"#;

/// The conffile.
const CONFIGURATION: &str = "/etc/sumgate/serve.toml";

/// Starts the service, asks it, gives it upstreams of this machine and a policy, and reloads it.
fn use_service(machine: &Machine) {
    machine.until("sumgate health --config /etc/sumgate/serve.toml");
    let status =
        machine.run("systemctl is-active sumgate; cat /proc/$(systemctl show -p MainPID --value sumgate)/status");
    for line in ["active\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapBnd:\t0000000000000000\n"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert!(!status.contains("Uid:\t0"), "{status}");
    assert!(machine.run(&format!("{GET} get /healthz")).contains(" 200 OK"));

    // An origin in the network of the machine.
    machine.run("systemd-run --unit=origin sumgate demo --keep");
    let said = machine.until(
        "journalctl -u origin -o cat | tr -s ' \\n\\\\' ' ' | grep -o -- '--upstream http.* --sumdb \"[^\"]*\"'",
    );
    let (upstream, sumdb) = said.trim().rsplit_once(" --sumdb ").unwrap();
    let upstream = upstream.rsplit_once("--upstream ").unwrap().1;
    let settings = format!(
        "[serve]\nlisten = \"127.0.0.1:8080\"\nupstream = \"{upstream}\"\nsumdb = {sumdb}\npolicy = \"sumgate.toml\"\n"
    );
    let reload = documented("systemctl reload");
    machine.write(CONFIGURATION, &settings);
    machine.write("/etc/sumgate/sumgate.toml", "[[deny]]\nmodule = \"example.com/dep/v2\"\n");
    // Without its reason the rule is invalid, and the settings of before stay.
    machine.run(&reload);
    machine.until(
        "systemctl status sumgate | grep -F 'Status: \"the new settings are invalid; the old ones stay in force\"'",
    );
    let log = machine.run("journalctl -u sumgate -o cat | grep -F 'sumgate.toml'");
    assert!(log.contains("reason"), "{log}");
    let refused = machine.run(&format!("{GET} get /example.com/hello/@v/v1.0.0.mod"));
    assert!(refused.contains(" 502 ") && refused.contains("sum.golang.org"), "{refused}");

    machine.write("/etc/sumgate/sumgate.toml", "[[deny]]\nmodule = \"example.com/dep/v2\"\nreason = \"a trial\"\n");
    machine.run(&reload);
    machine.until("systemctl status sumgate | grep -F 'Status: \"the settings were read again\"'");
    let served = machine.run(&format!("{GET} get /example.com/hello/@v/v1.0.0.mod"));
    assert!(served.contains(" 200 OK") && served.contains("\nmodule example.com/hello\n"), "{served}");
    let denied = machine.run(&format!("{GET} get /example.com/dep/v2/@v/v2.0.1.zip"));
    assert!(denied.contains(" 403 ") && denied.contains("a trial"), "{denied}");
    // A command that writes into the data folder, which belongs to the user of the service.
    let said = machine.fails(1, &documented("systemd-run"));
    assert!(said.contains("nothing is pinned for corp.example/tool@v1.2.3"), "{said}");
}

/// Gives the service a `.netrc` that only root can read, by the drop-in of the page.
fn log_in(machine: &Machine) {
    let settings = machine.read(CONFIGURATION);
    let (before, rest) = settings.split_once("upstream = ").unwrap();
    let (upstream, rest) = rest.split_once('\n').unwrap();
    machine.write(CONFIGURATION, &format!("{before}{rest}[[upstream]]\nurl = {upstream}\nnetrc = true\n"));
    let host = upstream.trim_matches('"').strip_prefix("http://").unwrap();
    machine.write("/etc/sumgate/netrc", &format!("machine {host} login mirror password secret\n"));
    let page = std::fs::read_to_string(checkout().join("docs/install.md")).unwrap();
    let (_, lines) = page.split_once("    [Service]\n").unwrap();
    let lines: Vec<_> = lines.lines().map_while(|line| line.strip_prefix("    ")).collect();
    machine.run("chmod 600 /etc/sumgate/netrc; mkdir /etc/systemd/system/sumgate.service.d");
    machine.write("/etc/systemd/system/sumgate.service.d/override.conf", &format!("[Service]\n{}\n", lines.join("\n")));
    // Without the drop-in there is no .netrc.
    machine.fails(1, "systemctl restart sumgate");
    machine.run("systemctl daemon-reload; systemctl restart sumgate");
    machine.run(&documented("systemctl reload"));
    machine.until("systemctl status sumgate | grep -F 'Status: \"the settings were read again\"'");
    let served = machine.run(&format!("{GET} get /example.com/hello/@v/v1.1.0.zip | head -n 1"));
    assert!(served.contains(" 200 OK"), "{served}");
}

fn deb(dist: &Path) {
    let machine = Machine::boot(debian::copy());
    machine.release(&package(dist, ".deb"));
    let install = documented("apt install")
        .replace("apt install", "apt-get install --yes --option Dpkg::Options::=--force-confdef");
    machine.run(&format!("RELEASES=/release; {install}"));
    assert_eq!(machine.run("systemctl is-enabled sumgate"), "enabled\n");
    use_service(&machine);

    log_in(&machine);
    let before = machine.run("systemctl show -p MainPID sumgate");
    let edited = machine.read(CONFIGURATION);
    let folder = tempfile::tempdir().unwrap();
    machine.release(&newer(folder.path(), dist));
    let said = machine.run(&format!("RELEASES=/release; {install}"));
    assert!(said.contains("Unpacking sumgate (9.0.0) over"), "{said}");
    assert_eq!(machine.read(CONFIGURATION), edited);
    assert!(machine.read("/etc/sumgate/serve.toml.dpkg-dist").contains("# newer"));
    machine.until("sumgate health --config /etc/sumgate/serve.toml");
    assert_ne!(machine.run("systemctl show -p MainPID sumgate"), before);
    let kept = machine.run(&format!("{GET} get /example.com/hello/@v/v1.0.0.mod"));
    assert!(kept.contains(" 200 OK"), "{kept}");

    machine.run(&documented("apt remove").replace("apt ", "apt-get --yes "));
    machine.fails(4, "systemctl status sumgate");
    assert_eq!(machine.read(CONFIGURATION), edited);
    assert!(machine.root.join("var/lib/private/sumgate/proxy").exists());
    let said = machine.run(&documented("apt purge").replace("apt ", "apt-get --yes "));
    assert!(
        said.contains("removing the data folder with the pins of private modules: /var/lib/private/sumgate\n"),
        "{said}"
    );
    // What others made: named, and nothing else is left.
    let named = ["/etc/sumgate/netrc", "/etc/sumgate/sumgate.toml", "/etc/systemd/system/sumgate.service.d"];
    for name in named {
        assert!(said.contains(&format!("sumgate: left in place: {name}\n")), "{said}");
    }
    let is_named = |path: &String| path == "/etc/sumgate" || named.iter().any(|name| path.starts_with(name));
    assert!(left(&machine).iter().all(is_named), "{:?}", left(&machine));
}

/// What a package left on the machine.
fn left(machine: &Machine) -> Vec<String> {
    let found = machine
        .run("find / -xdev -path '*sumgate*' ! -path '/release*' ! -path '/etc/sumgate-trial' ! -path '/run/*' | sort");
    found.lines().map(str::to_owned).collect()
}

/// The package with another version, another configuration, and nothing else changed.
fn newer(made_in: &Path, dist: &Path) -> PathBuf {
    let folder = made_in.join("newer");
    run(command("dpkg-deb").arg("--raw-extract").arg(package(dist, ".deb")).arg(&folder));
    let control = folder.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).unwrap();
    std::fs::write(&control, text.replace(&format!("Version: {VERSION}"), "Version: 9.0.0")).unwrap();
    let configuration = folder.join("etc/sumgate/serve.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    std::fs::write(&configuration, text + "# newer\n").unwrap();
    let made = made_in.join("sumgate_9.0.0_amd64.deb");
    run(command("dpkg-deb").args(["-Zgzip", "-z1", "--root-owner-group", "--build"]).arg(&folder).arg(&made));
    made
}

fn without_systemd(dist: &Path) {
    let (_folder, root) = debian::copy();
    std::fs::copy(package(dist, ".deb"), root.join("sumgate.deb")).unwrap();
    for helpers in ["", "mv /usr/bin/deb-systemd-helper /usr/bin/deb-systemd-invoke /usr/bin/systemctl /root\n"] {
        let said = in_tree(&root, &format!("{helpers}dpkg --install /sumgate.deb\nsumgate --version\nsumgate demo"));
        assert!(said.contains(&format!("\nsumgate {VERSION}")), "{said}");
        let said =
            in_tree(&root, "mkdir -p /var/lib/private/sumgate/proxy\ndpkg --purge sumgate\nls /etc /var/lib/private");
        assert!(said.contains("removing the data folder") && said.matches("sumgate\n").count() == 1, "{said}");
        let words = ["warning", "error", "not found", "cannot"];
        assert!(!words.iter().any(|word| said.contains(word)), "{said}");
    }
}

fn rpm(dist: &Path) {
    let machine = Machine::boot(debian::copy());
    machine.release(&package(dist, ".rpm"));
    // Debian's rpm knows of no package, not even of the shell.
    let install = documented("rpm -U").replace("rpm -U", "rpm -U --nodeps");
    machine.run(&format!("RELEASES=/release; {install}"));
    let listed = machine.run("rpm --query --list --verbose sumgate");
    for name in INSTALLED.iter().chain(&["licenses/sumgate/LICENSE-THIRD-PARTY", "zsh/site-functions/_sumgate"]) {
        assert!(listed.contains(&format!(" /usr/share/{name}\n")), "{name}\n{listed}");
    }
    assert_eq!(
        machine.run("rpm --query --queryformat '%{BUILDHOST} %{LICENSE}' sumgate"),
        "localhost MIT OR Apache-2.0"
    );
    assert_eq!(machine.run("rpm --query --configfiles sumgate"), format!("{CONFIGURATION}\n"));
    machine.run(&documented("systemctl enable"));
    use_service(&machine);

    let before = machine.run("systemctl show -p MainPID sumgate");
    let edited = machine.read(CONFIGURATION);
    // The scripts of an upgrade run for the same version, too.
    machine.run(&format!("RELEASES=/release; {install} --force"));
    machine.until("sumgate health --config /etc/sumgate/serve.toml");
    assert_eq!(machine.read(CONFIGURATION), edited);
    assert_ne!(machine.run("systemctl show -p MainPID sumgate"), before);

    let said = machine.run(&documented("rpm -e").replace("rpm -e", "rpm -e --nodeps"));
    assert!(said.contains("left in place: the data folder /var/lib/private/sumgate"), "{said}");
    machine.fails(4, "systemctl status sumgate");
    machine.run(&documented("rm -rf"));
    assert_eq!(left(&machine), [""; 0]);
}
