//! Hosts that exist on this machine only: a CONNECT proxy that answers for every name over TLS, with a certificate of its own.
//!
//! `go` asks a host for `https://PATH?go-get=1` to learn where a repository is. Repositories themselves are folders, by the
//! settings of git, or are served here by `git http-backend`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::fixture::{get, runtime};

/// The answer of a host to a path.
#[derive(Clone)]
pub enum Page {
    /// A page that names the repository of a module.
    Import(&'static str, &'static str),
    /// A status without a page.
    Status(u16),
    /// A sign-in page, with status 200.
    SignIn,
    /// This file.
    File(Vec<u8>),
    /// Every path below: git repositories, by their paths below a folder (`git http-backend`).
    Git(PathBuf),
}

/// The hosts, which stop when this is dropped.
pub struct Hosts {
    address: std::net::SocketAddr,
    certificate: PathBuf,
    state: Arc<Mutex<State>>,
    running: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    pages: HashMap<String, Page>,
    otherwise: Option<Page>,
    /// The server that answers for all other paths.
    behind: Option<String>,
    /// The value of `Authorization` without which everything is 401.
    login: Option<String>,
    asked: Vec<String>,
}

impl Hosts {
    /// Answers for these names; the certificate that signs theirs is written to `folder`.
    pub fn start(names: &[&str], folder: &Path) -> Self {
        let (acceptor, pem) = certificates(names);
        let certificate = folder.join("ca.pem");
        std::fs::write(&certificate, pem).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let listener = runtime().block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let running = runtime().spawn(accept(listener, acceptor, Arc::clone(&state)));
        Self { address, certificate, state, running }
    }

    /// The variables with which a program uses these hosts.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("HTTPS_PROXY", format!("http://{}", self.address)),
            ("SSL_CERT_FILE", self.certificate.to_str().unwrap().to_owned()),
        ]
    }

    /// Sets the answer at `path`, which includes the host.
    pub fn at(&self, path: &str, page: Page) {
        self.state.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    /// Sets the answer for all other paths; the default is 404.
    pub fn otherwise(&self, page: Page) {
        self.state.lock().unwrap().otherwise = Some(page);
    }

    /// Answers all other paths like this server, if the login is right.
    pub fn pass_to(&self, url: &str) {
        self.state.lock().unwrap().behind = Some(url.to_owned());
    }

    /// Requires this value of `Authorization`.
    pub fn require(&self, login: &str) {
        self.state.lock().unwrap().login = Some(login.to_owned());
    }

    /// The paths that were asked for since the last call.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A server with a certificate for these names, and the certificate that signed it.
pub fn certificates(names: &[&str]) -> (TlsAcceptor, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signed = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let own = CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
    (TlsAcceptor::from(Arc::new(config)), signed.pem())
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        // A client may disconnect.
        tokio::spawn(async move { answer(stream, &acceptor, &state).await.ok() });
    }
}

async fn answer(stream: TcpStream, acceptor: &TlsAcceptor, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (connect, _) = head(&mut stream).await?;
    let host = connect.split([' ', ':']).nth(1).unwrap_or_default().to_owned();
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut tls = BufReader::new(acceptor.accept(stream).await?);
    let (request, headers) = head(&mut tls).await?;
    let path = request.split([' ', '?']).nth(1).unwrap_or_default();
    let asked = format!("{host}{path}");
    let (page, behind) = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked.clone());
        let may_see = state.login.is_none() || state.login.as_ref() == headers.get("authorization");
        let is_above = |(place, page): &(&String, &Page)| matches!(page, Page::Git(_)) && asked.starts_with(*place);
        let above = || state.pages.iter().find(is_above).map(|(_, page)| page);
        let page = state.pages.get(&asked).or_else(above).or(state.otherwise.as_ref()).cloned().filter(|_| may_see);
        let behind = state.behind.clone().filter(|_| may_see && page.is_none());
        (page.unwrap_or(Page::Status(if may_see { 404 } else { 401 })), behind)
    };
    let page = match behind {
        Some(url) => {
            let path = path.to_owned();
            let answer = tokio::task::spawn_blocking(move || get(&url, &path)).await?;
            if answer.status == 200 { Page::File(answer.body) } else { Page::Status(answer.status) }
        }
        None => page,
    };
    let (status, body) = match page {
        Page::Git(folder) => {
            let answer = git(&folder, &request, &headers, &mut tls).await?;
            tls.get_mut().write_all(&answer).await?;
            return tls.get_mut().shutdown().await;
        }
        Page::Import(prefix, repository) => {
            let meta = format!("<meta name=\"go-import\" content=\"{prefix} git {repository}\">");
            (200, format!("<html><head>{meta}</head></html>").into_bytes())
        }
        Page::Status(status) => (status, Vec::new()),
        Page::File(bytes) => (200, bytes),
        Page::SignIn => (200, "<html><head><title>Sign in</title></head></html>".into()),
    };
    let login = if status == 401 { "WWW-Authenticate: Basic realm=\"test\"\r\n" } else { "" };
    let head = format!("HTTP/1.1 {status} -\r\n{login}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    tls.get_mut().write_all(&[head.as_bytes(), &body].concat()).await?;
    tls.get_mut().shutdown().await
}

/// The answer of `git http-backend`, a CGI program, to a request.
async fn git(
    folder: &Path,
    request: &str,
    headers: &HashMap<String, String>,
    body: &mut (impl AsyncRead + Unpin),
) -> std::io::Result<Vec<u8>> {
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let mut sent = vec![0; header("content-length").parse().unwrap_or(0)];
    body.read_exact(&mut sent).await?;
    let mut words = request.split([' ', '?']);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut program = tokio::process::Command::new("git");
    program.arg("http-backend").env("GIT_PROJECT_ROOT", folder).env("GIT_HTTP_EXPORT_ALL", "1");
    program.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", words.next().unwrap_or_default());
    program.env("CONTENT_TYPE", header("content-type")).env("HTTP_CONTENT_ENCODING", header("content-encoding"));
    program.env("CONTENT_LENGTH", sent.len().to_string()).env("GIT_PROTOCOL", header("git-protocol"));
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = program.spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&sent).await?;
    drop(stdin);
    let answer = child.wait_with_output().await?.stdout;
    // A CGI program names its status in a header, unless it is 200.
    let status = answer.strip_prefix(b"Status: ").and_then(|rest| rest.get(..3)).unwrap_or(b"200");
    Ok([b"HTTP/1.1 ", status, b" -\r\nConnection: close\r\n", &answer].concat())
}

/// The first line of a request and its headers by their names in lower case, once all of them have come.
async fn head(
    stream: &mut (impl AsyncRead + AsyncBufReadExt + Unpin),
) -> std::io::Result<(String, HashMap<String, String>)> {
    let (mut first, mut line, mut headers) = (String::new(), String::new(), HashMap::new());
    while stream.read_line(&mut line).await? > 2 {
        if first.is_empty() {
            first = line.trim_end().to_owned();
        } else if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.trim_end().to_owned());
        }
        line.clear();
    }
    Ok((first, headers))
}
