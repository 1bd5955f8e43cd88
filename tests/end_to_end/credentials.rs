//! Upstreams of a configuration file: where credentials and names of modules are sent, and what is refused at the start.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Mirror, Running, get, go_trial, origin, sumgate, trial, wait};

pub const TOKEN: &str = "b3d-t0ken-9f2a";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const INFO: &str = "/example.com/hello/@v/v1.0.0.info";
const LATEST: &str = "/example.com/hello/@latest";
const OTHER: &str = "/example.com/dep/v2/@v/v2.0.1.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("credentials: sent to their upstream, not to the target of a redirect", redirects),
        trial("credentials: each kind, as the upstream expects it", kinds),
        trial("credentials: a login of .netrc is for its own port only", ports),
        trial("credentials: not shown in logs or errors", never_shown),
        trial("credentials: plain http is refused at the start", plain_http),
        trial("config: an upstream is asked only for the modules that it serves", patterns),
        trial("config: a private module is fetched only from its own upstream, and pinned", own_upstream),
        trial("config: time-outs are those of the upstream", timeouts),
        trial("config: errors name their line", complaints),
        go_trial("config: a repository that never answers times out, and its processes are ended", hanging_git),
    ]
}

/// A folder with a configuration, and the mirrors that use it.
pub struct Setting {
    pub folder: tempfile::TempDir,
}

impl Setting {
    pub fn new(text: &str) -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write("sources.toml", text);
        this.write("token", &format!("{TOKEN}\n"));
        this
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn program(&self) -> Command {
        let mut program = sumgate();
        program.env("SUMGATE_CONFIG", self.folder.path().join("sources.toml")).env("HOME", self.folder.path());
        program.env("THE_TOKEN", TOKEN).env_remove("NETRC");
        program
    }

    pub fn mirror(&self, database: &Origin) -> Mirror {
        self.mirror_by(self.program(), database)
    }

    pub fn mirror_by(&self, program: Command, database: &Origin) -> Mirror {
        let words = ["--sumdb", &database.gosumdb(), "--absent-for", "0s", "--fresh-for", "0s"];
        Mirror::start_by(program, &self.folder.path().join("data"), &words)
    }

    /// The error of a mirror that does not start.
    pub fn complaint(&self) -> String {
        self.complaint_of(&[])
    }

    pub fn complaint_of(&self, words: &[&str]) -> String {
        let (told, mut program) = (self.folder.path().join("told"), self.program());
        program.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(self.folder.path()).args(words);
        program.stdout(Stdio::null()).stderr(std::fs::File::create(&told).unwrap());
        let status = wait(&mut Running(program.spawn().unwrap()).0);
        let told = std::fs::read_to_string(told).unwrap();
        assert_eq!(status.code(), Some(2), "{told}");
        told
    }
}

/// Requests for modules at an origin, with their credentials. Requests to its database are left out.
pub fn logins(origin: &Origin) -> Vec<(String, Option<String>)> {
    origin.take_logins().into_iter().filter(|(path, _)| path.contains("example.com/")).collect()
}

fn redirects() {
    let (company, storage, database) = (origin(World::demo()), origin(World::demo()), origin(World::demo()));
    let setting = Setting::new(&format!("[[upstream]]\nurl = \"{}\"\ntoken-file = \"token\"\n", company.url()));
    let mirror = setting.mirror(&database);
    let bearer = Some(format!("Bearer {TOKEN}"));

    assert_eq!(get(&mirror.url, INFO).status, 200);
    company.misbehave(ZIP, Fault::Redirect(format!("{}{ZIP}", storage.url())));
    assert_eq!(get(&mirror.url, ZIP).status, 200, "another port");
    let port = company.url().rsplit(':').next().unwrap().to_owned();
    company.misbehave(LATEST, Fault::Redirect(format!("http://localhost:{port}{INFO}")));
    assert_eq!(get(&mirror.url, LATEST).status, 200, "another host");

    let all = logins(&company);
    let of = |path: &str| -> Vec<Option<String>> {
        all.iter().filter(|(asked, _)| asked == path).map(|(_, login)| login.clone()).collect()
    };
    assert_eq!((of(ZIP), of(LATEST)), (vec![bearer.clone()], vec![bearer.clone()]));
    assert_eq!(of(INFO), [bearer, None], "the second one came from the redirect to another host");
    assert_eq!(logins(&storage), [(ZIP.to_owned(), None)]);
    assert!(database.take_logins().iter().all(|(_, login)| login.is_none()));
}

fn kinds() {
    let (company, database) = (origin(World::demo()), origin(World::demo()));
    let host = company.url().replace("http://", "");
    for (fields, expected) in [
        ("token-env = \"THE_TOKEN\"", format!("Bearer {TOKEN}")),
        ("netrc = true", "Basic bWU6b3Blbg==".to_owned()),
        ("user = \"me\"\npassword-env = \"THE_TOKEN\"", "Basic bWU6YjNkLXQwa2VuLTlmMmE=".to_owned()),
    ] {
        let setting = Setting::new(&format!("[[upstream]]\nurl = \"{}\"\n{fields}\n", company.url()));
        setting.write(".netrc", &format!("machine {host} login me password open\n"));
        let mirror = setting.mirror(&database);
        assert_eq!(get(&mirror.url, INFO).status, 200);
        assert_eq!(logins(&company), [(INFO.to_owned(), Some(expected))], "{fields}");
    }
    // In the URL itself, and without a proxy of the environment, because the host is this machine.
    let (url, sumdb) = (company.url().replace("//", "//me:open@"), database.gosumdb());
    let folder = tempfile::tempdir().unwrap();
    let mut program = sumgate();
    program.env("HTTP_PROXY", database.url()).env("http_proxy", database.url()).env("NO_PROXY", "");
    let words = ["--upstream", &url, "--sumdb", &sumdb];
    let mirror = Mirror::start_by(program, &folder.path().join("data"), &words);
    assert_eq!(get(&mirror.url, INFO).status, 200);
    assert_eq!(logins(&company), [(INFO.to_owned(), Some("Basic bWU6b3Blbg==".to_owned()))]);
    assert!(database.take_logins().iter().all(|(_, login)| login.is_none()));
}

/// Two upstreams on this machine, and files with logins for them.
fn ports() {
    let (first, second) = (origin(World::demo()), origin(World::demo()));
    let port = |origin: &Origin| origin.url().rsplit(':').next().unwrap().to_owned();
    let (one, two) = (port(&first), port(&second));
    let config = format!(
        "[[upstream]]\nurl = \"{}\"\nserves = \"example.com/hello\"\nnetrc = true\n\
         [[upstream]]\nurl = \"{}\"\nserves = \"example.com/dep\"\nnetrc = true\n",
        first.url(),
        second.url()
    );
    let setting = Setting::new(&config);
    let both = format!(
        "machine 127.0.0.1 login host password nobody\n\
         machine 127.0.0.1:{one} login one password first\n\
         machine 127.0.0.1:{two}/example.com login two password other\n\
         # machine 127.0.0.1:{two} login old password old\n\
         machine 127.0.0.1:{two} login two password second\n"
    );
    setting.write(".netrc", &both);
    let mirror = setting.mirror(&first);
    assert_eq!((get(&mirror.url, ZIP).status, get(&mirror.url, OTHER).status), (200, 200));
    // `one:first` and `two:second` in base 64 (RFC 4648).
    for (origin, path, login) in [(&first, ZIP, "Basic b25lOmZpcnN0"), (&second, OTHER, "Basic dHdvOnNlY29uZA==")] {
        let logins = logins(origin).into_iter().filter(|(asked, _)| !asked.starts_with("/lookup/"));
        assert_eq!(logins.collect::<Vec<_>>(), [(path.to_owned(), Some(login.to_owned()))]);
    }
    drop(mirror);
    // The login of the host alone, or of the other port, is none for this port.
    for (name, line) in [
        (&one, "machine 127.0.0.1 login host password nobody\n".to_owned()),
        (&one, format!("machine 127.0.0.1:{two} login two password second\n")),
        (&one, format!("# machine 127.0.0.1:{one} login old password old\n")),
        (&one, "default login all password all\n".to_owned()),
    ] {
        setting.write(".netrc", &line);
        let told = setting.complaint();
        let expected =
            format!("sources.toml:4:9: {}/.netrc has no login and password for", setting.folder.path().display());
        assert!(told.contains(&expected) && told.contains(&format!("127.0.0.1:{name}")), "{line}: {told}");
    }
    assert_eq!((logins(&first), logins(&second)), (Vec::new(), Vec::new()));
}

fn never_shown() {
    let (company, database) = (origin(World::demo()), origin(World::demo()));
    let setting = Setting::new(&format!("[[upstream]]\nurl = \"{}\"\ntoken-env = \"THE_TOKEN\"\n", company.url()));
    let mut program = setting.program();
    program.env("SUMGATE_LOG", "trace");
    let mirror = setting.mirror_by(program, &database);
    let faults = [
        Fault::Status(403, "who are you? b3d-t0ken-9f2a"),
        Fault::Status(404, "no such thing for b3d-t0ken-9f2a"),
        Fault::Redirect(format!("{}/again", company.url())),
        Fault::Reset,
    ];
    for fault in faults {
        for path in [INFO, ZIP, "/example.com/hello/@v/list"] {
            company.misbehave(path, fault.clone());
            let answer = get(&mirror.url, path);
            assert_ne!(answer.status, 200);
            assert!(!answer.text().contains(TOKEN) && !answer.head.contains(TOKEN), "{}", answer.text());
        }
    }
    let logins = company.take_logins();
    assert!(logins.iter().any(|(_, login)| login.as_ref().is_some_and(|login| login.contains(TOKEN))), "it was sent");
    let log = std::fs::read_to_string(mirror.data.with_extension("log")).unwrap();
    assert!(log.contains("TRACE") && log.contains("/example.com/hello/"), "the log tells much");
    assert!(!log.contains(TOKEN) && !mirror.greeting.contains(TOKEN));
}

fn plain_http() {
    for fields in ["token-file = \"token\"", "netrc = true", "user = \"me\"\npassword-file = \"token\""] {
        let setting = Setting::new(&format!("[[upstream]]\nurl = \"http://mirror.example\"\n{fields}\n"));
        let complaint = setting.complaint();
        assert!(complaint.contains("sources.toml:3:") && complaint.contains("plain http"), "{complaint}");
    }
    let private = "[[private]]\npatterns = \"corp.example\"\nurl = \"http://10.1.2.3/go\"\ntoken-file = \"token\"\n";
    assert!(Setting::new(private).complaint().contains("plain http"));
    let in_url = Setting::new("[[upstream]]\nurl = \"http://me:b3d-t0ken-9f2a@mirror.example\"\n").complaint();
    assert!(in_url.contains("plain http") && !in_url.contains(TOKEN), "{in_url}");

    let told = Setting::new("").complaint_of(&["--upstream", "http://me:b3d-t0ken-9f2a@mirror.example"]);
    assert!(told.contains("plain http") && !told.contains(TOKEN), "{told}");
}

fn patterns() {
    let (rest, hello, database) = (origin(World::demo()), origin(World::demo()), origin(World::demo()));
    let text = |serves: &str| {
        format!(
            "[[upstream]]\nurl = \"{}\"\non-any-failure = true\n{serves}\n\
             [[upstream]]\nurl = \"{}\"\nserves = \"example.com/hello\"\nweight = 1000\n",
            rest.url(),
            hello.url()
        )
    };
    let setting = Setting::new(&text(""));
    let mirror = setting.mirror(&database);
    rest.misbehave(LATEST, Fault::Status(500, "down"));
    assert_eq!(get(&mirror.url, LATEST).status, 200, "a failure leads on");
    assert_eq!((get(&mirror.url, ZIP).status, get(&mirror.url, INFO).status), (200, 200));
    assert_eq!(hello.take_requests(), [LATEST, ZIP], "for what is proved the weight counts, else the order");
    for path in [OTHER, "/example.com/dep/v2/@v/list", "/example.com/dep/v2/@latest"] {
        assert_eq!(get(&mirror.url, path).status, 200);
    }
    rest.misbehave("*", Fault::Status(500, "down"));
    assert_eq!(
        get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.info").status,
        502,
        "and to nobody that does not serve it"
    );
    assert_eq!(hello.take_requests(), Vec::<String>::new());
    drop(mirror);

    let setting = Setting::new(&text("serves = \"example.com/dep\""));
    let mirror = setting.mirror(&database);
    rest.take_requests();
    let nobodys = "/example.com/!upper/!case!mod/@v/v1.2.3.zip";
    let answer = get(&mirror.url, nobodys);
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("no source is configured for example.com/!upper/!case!mod"), "{}", answer.text());
    assert_eq!(get(&mirror.url, "/example.com/!upper/!case!mod/@v/list").status, 403);
    // Lookups would contain the name, too.
    assert_eq!((hello.take_requests(), rest.take_requests()), (Vec::new(), Vec::new()));
}

fn own_upstream() {
    let (company, public) = (origin(World::demo()), origin(World::demo()));
    let setting = Setting::new(&format!(
        "[[upstream]]\nurl = \"{}\"\n\n[[private]]\npatterns = \"example.com/Upper,example.com/hello\"\nurl = \"{}\"\n\
         token-file = \"token\"\n",
        public.url(),
        company.url()
    ));
    let mirror = setting.mirror(&public);
    assert!(mirror.greeting.contains("private   example.com/Upper,example.com/hello"), "{}", mirror.greeting);
    let zip = get(&mirror.url, ZIP);
    assert_eq!(zip.status, 200, "{}", zip.text());
    for path in [INFO, "/example.com/!upper/!case!mod/@v/v1.2.3.mod", "/example.com/hello/@v/list"] {
        assert_eq!(get(&mirror.url, path).status, 200, "{path}");
    }
    assert!(company.take_logins().iter().all(|(_, login)| *login == Some(format!("Bearer {TOKEN}"))));

    // Whatever it answers, no other upstream is asked.
    for fault in [Fault::Status(500, "down"), Fault::Status(404, "gone"), Fault::Reset] {
        company.misbehave("*", fault);
        for path in ["/example.com/hello/@v/v1.1.0.zip", "/example.com/hello/@v/v1.1.0.info"] {
            assert_ne!(get(&mirror.url, path).status, 200, "{path}");
        }
        // About stored modules, while it fails.
        get(&mirror.url, LATEST);
    }
    assert_eq!(get(&mirror.url, "/lookup/example.com/hello@v1.0.0").status, 404);
    company.behave();
    company.misbehave(ZIP, Fault::Body(public.world().module(&hello("v1.1.0")).unwrap().zip.clone().into()));
    std::fs::remove_dir_all(mirror.data.join("proxy")).unwrap();
    let refused = get(&mirror.url, ZIP);
    assert_eq!(refused.status, 403, "{}", refused.text());
    let asked = public.take_requests();
    let leaked: Vec<_> = asked.iter().filter(|path| path.contains("hello") || path.contains("!upper")).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert_eq!(get(&mirror.url, OTHER).status, 200);
    assert!(public.asked(OTHER) == 1 && company.asked(OTHER) == 0);
}

fn hello(version: &str) -> gomodule::module::ModuleVersion {
    gomodule::module::ModuleVersion::parse(&format!("example.com/hello@{version}")).unwrap()
}

fn timeouts() {
    // With the default time-outs, each would take too long for a trial.
    for fault in [Fault::Hold, Fault::Stall(10)] {
        let (silent, database) = (origin(World::demo()), origin(World::demo()));
        let times = "connect = \"300ms\"\nfirst-byte = \"300ms\"\nstall = \"300ms\"\n";
        let setting = Setting::new(&format!("[[upstream]]\nurl = \"{}\"\n{times}", silent.url()));
        let mirror = setting.mirror(&database);
        silent.misbehave(LATEST, fault);
        let answer = get(&mirror.url, LATEST);
        assert_eq!(answer.status, 504, "{}", answer.text());
    }
}

fn complaints() {
    let told =
        Setting::new("[[upstream]]\nurl = \"https://a.example\"\n\n[[private]]\npattern = \"b.example\"\n").complaint();
    assert!(told.contains("sources.toml:5:1: unknown key `pattern`: did you mean `patterns`?"), "{told}");
    let told = Setting::new("[[upstream]]\nurl = \"https://a.example\"\ntoken-env = \"NOT_SET_HERE\"\n").complaint();
    assert!(told.contains("sources.toml:3:13: the variable NOT_SET_HERE is not set"), "{told}");
}

fn hanging_git(_go: &Path) {
    let database = origin(World::demo());
    let setting = Setting::new("[[private]]\npatterns = \"example.test\"\ndirect = true\nwhole = \"2s\"\n");
    let pid = setting.folder.path().join("pid");
    let (pid_to, mode_to) = (pid.display(), pid.with_file_name("mode").display().to_string());
    let mode = format!("ls -ld \"$(dirname \"$GOMODCACHE\")\" > {mode_to}");
    let git = setting.write("git", &format!("#!/bin/sh\n{mode}\necho $$ > {pid_to}\nsleep 1000\n"));
    std::fs::set_permissions(&git, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", setting.folder.path().display(), std::env::var("PATH").unwrap());
    let mut program = setting.program();
    program.env("PATH", path).env("SUMGATE_UPSTREAM", database.url());
    let mirror = setting.mirror_by(program, &database);
    let answer = get(&mirror.url, "/example.test/repo.git/@v/v1.0.0.zip");
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(answer.text().contains("did not end within 2 seconds"), "{}", answer.text());
    let mode = std::fs::read_to_string(mode_to).unwrap();
    assert!(mode.starts_with("drwx------"), "what is cloned is for this user alone: {mode}");
    let pid = std::fs::read_to_string(&pid).unwrap();
    let start = std::time::Instant::now();
    while Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success() {
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "git outlives the request");
        std::thread::yield_now();
    }
}
