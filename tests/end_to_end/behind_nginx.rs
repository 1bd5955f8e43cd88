//! The page about a team's mirror: its nginx configuration, as it is shown there, before a real mirror and a real `go`.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Go, Mirror, Running, go_trial, origin};
use crate::page_commands::page;
use crate::programs::tool_trial;

const NGINX: &str = "/usr/sbin/nginx";
const NAME: &str = "mirror.corp.example";

pub fn trials() -> Vec<Trial> {
    let name = "behind nginx: go downloads over TLS with the configuration that the page shows";
    vec![tool_trial(NGINX, go_trial(name, over_tls))]
}

/// The configuration in the page.
fn shown() -> String {
    let page = page("docs/team.md");
    let (_, rest) = page.split_once("```nginx\n").expect("a configuration of nginx");
    rest.split_once("```").unwrap().0.to_owned()
}

/// `from` must be in the page.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in the page");
    text.replace(from, to)
}

fn over_tls(go: &Path) {
    let origin = origin(World::demo());
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb(), "--host", NAME];
    let mirror = Mirror::start_with(&data, &[&words[..], &["--trusted-proxy", "127.0.0.1/32"]].concat());
    let (certificate, key) = (home.path().join("mirror.crt"), home.path().join("mirror.key"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout"]);
    assert!(openssl.arg(&key).arg("-out").arg(&certificate).output().unwrap().status.success());

    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = replaced(&shown(), "127.0.0.1:8080", mirror.url.strip_prefix("http://").unwrap());
    let config = replaced(&config, "listen 443", &format!("listen {address}"));
    // The client asks for localhost, which needs no entry in a table of names; the mirror is asked for its name.
    let config = replaced(&config, "$http_host", NAME);
    let config = replaced(&config, "/etc/ssl/mirror.crt", certificate.to_str().unwrap());
    let config = replaced(&config, "/etc/ssl/mirror.key", key.to_str().unwrap());
    let _nginx = start(home.path(), &config, address.port());

    let url = format!("https://localhost:{}", address.port());
    let key = origin.gosumdb().split(' ').next().unwrap().to_owned();
    let go = Go::new(go, &url, &format!("{key} {url}")).set("SSL_CERT_FILE", certificate.to_str().unwrap());
    go.must(&["mod", "init", "example.com/mine"]);
    go.must(&["get", "example.com/hello@v1.0.0"]);
    assert!(mirror.tree().keys().any(|name| name.ends_with("hello/@v/v1.0.0.zip")), "{:?}", mirror.tree().keys());
}

/// nginx in a folder of its own, until it answers.
fn start(home: &Path, server: &str, port: u16) -> Running {
    let config = format!(
        "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\n\
         http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;\n\
         uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;\n{server} }}\n",
        home.display()
    );
    std::fs::write(home.join("nginx.conf"), config).unwrap();
    let mut nginx = Command::new(NGINX);
    nginx.arg("-p").arg(home).arg("-c").arg(home.join("nginx.conf")).arg("-e").arg(home.join("error.log"));
    let mut nginx = Running(nginx.stderr(Stdio::null()).spawn().unwrap());
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let error = || std::fs::read_to_string(home.join("error.log"));
        assert!(nginx.0.try_wait().unwrap().is_none(), "nginx ended: {:?}", error());
        assert!(begin.elapsed() < Duration::from_secs(20), "nginx does not answer: {:?}", error());
        std::thread::sleep(Duration::from_millis(20));
    }
    nginx
}
