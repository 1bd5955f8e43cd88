//! Redirects, one request at a time: at most ten, never from https to http, and never from a public to an internal address.
//!
//! A public server must not make this machine send requests into its own network (server-side request forgery). No `Referer` is
//! sent: its path names a module, which is not for another server.

use reqwest::header::{self, HeaderMap};
use reqwest::{Response, StatusCode};
use url::Url;

use super::dialer::{Dialer, Unanswered};
use super::http::error::HttpError;
use super::secret::without_credentials;

/// As many as Go's `net/http` follows.
const MAX_REDIRECTS: usize = 10;

/// The answer for `url`, and whether another server sent it. A public server may redirect to an internal address only if it
/// `may_go_inside`. Another server gets only `headers`, whatever the names of the headers of the `login` are.
pub(super) async fn follow(
    dialer: &Dialer,
    url: Url,
    headers: HeaderMap,
    mut login: HeaderMap,
    may_go_inside: bool,
) -> Result<(Response, bool), HttpError> {
    let (asked, mut url) = (url.to_string(), url);
    let (mut elsewhere, mut from_outside) = (false, false);
    let refused = |cause: &str| HttpError::Redirect { url: asked.clone(), cause: cause.to_owned() };
    for _ in 0..=MAX_REDIRECTS {
        let mut all = login.clone();
        all.extend(headers.clone());
        let answered = if from_outside && !may_go_inside {
            dialer.get_outside(&url, all).await
        } else {
            dialer.get(&url, all).await
        };
        let response = answered.map_err(|error| match error {
            Unanswered::Inside(why) => {
                tracing::warn!(url = asked, why, "a redirect from a public to an internal address is not followed");
                refused(
                    "it redirects from a public address to one of this machine or of a private network, which is not \
                     followed; if it may do so, set redirects-inside = true in its [[upstream]] or [[private]]",
                )
            }
            Unanswered::NoClient(error) => HttpError::setup(&*error),
            Unanswered::Failed(error) => {
                let error = HttpError::transport(&asked, &error).through(dialer.proxies.proxy(&url));
                without_quotes(error, elsewhere)
            }
        })?;
        let Some(next) = target(&url, &response) else { return Ok((response, elsewhere)) };
        if let Some(why) = forbidden(&url, &next) {
            return Err(refused(why));
        }
        from_outside = dialer.came_from_outside(&url, &response);
        if is_another(&url, &next) {
            elsewhere = true;
            login.clear();
        }
        url = next;
    }
    Err(refused("too many redirects"))
}

/// The target of a redirect (RFC 9110 section 15.4), without its login: only the settings give logins.
fn target(url: &Url, response: &Response) -> Option<Url> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let to = response.headers().get(header::LOCATION).filter(|_| redirects)?.to_str().ok()?;
    url.join(to).ok().map(|next| without_credentials(&next))
}

/// Why the scheme of a redirect is forbidden.
fn forbidden(url: &Url, next: &Url) -> Option<&'static str> {
    match (url.scheme(), next.scheme()) {
        // The files came encrypted so far.
        ("https", "http") => Some("a redirect from https to http is not followed"),
        (_, "http" | "https") => None,
        _ => Some("a redirect to a scheme other than https and http is not followed"),
    }
}

fn is_another(url: &Url, next: &Url) -> bool {
    url.origin() != next.origin()
}

/// The library's message may quote the server, such as the names in its certificate. That of a server after a redirect goes
/// only to the log.
fn without_quotes(error: HttpError, elsewhere: bool) -> HttpError {
    match error {
        HttpError::Transport { url, cause } | HttpError::Unconnected { url, cause, .. } if elsewhere => {
            tracing::warn!(url, cause, "the request after a redirect failed");
            let cause = "it redirects to another server, and the request fails there (the log says why)".to_owned();
            HttpError::Transport { url, cause }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::io::{self, Read, Write};
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::super::config::{Source, UpstreamConfig};
    use super::super::dialer::Network;
    use super::super::http::HttpClient;
    use super::super::times::Timeouts;
    use super::*;

    /// All of 127.0.0.0/8 is this machine. In these tests its first address is internal, and all others are public.
    const INSIDE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    const ANOTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
    const NETWORK: Network = Network { addresses, is_inside: |address| address.to_canonical() == IpAddr::V4(INSIDE) };

    static REBINDINGS: AtomicUsize = AtomicUsize::new(0);

    fn addresses(name: &str) -> io::Result<Vec<SocketAddr>> {
        let all = match name {
            "inside.example" => vec![INSIDE],
            "another.example" => vec![ANOTHER],
            "both.example" => vec![ANOTHER, INSIDE],
            // Public at the first lookup, internal at the next.
            "rebinding.example" => {
                let first = REBINDINGS.fetch_add(1, Ordering::SeqCst) == 0;
                vec![if first { ANOTHER } else { INSIDE }]
            }
            _ => return Err(io::Error::other("no such name")),
        };
        Ok(all.into_iter().map(|address| SocketAddr::from((address, 0))).collect())
    }

    /// A server that sends the same answer to every request, and records the request headers.
    struct Server {
        port: u16,
        heads: Arc<Mutex<Vec<String>>>,
    }

    fn read_head(socket: &mut TcpStream) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        String::from_utf8(head).ok()
    }

    impl Server {
        fn start(address: Ipv4Addr, port: u16, answer: &str) -> Self {
            let listener = TcpListener::bind((address, port)).unwrap();
            let (port, heads) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
            let (answer, seen) = (answer.to_owned(), Arc::clone(&heads));
            std::thread::spawn(move || {
                for socket in listener.incoming() {
                    let (mut socket, answer, seen) = (socket.unwrap(), answer.clone(), Arc::clone(&seen));
                    std::thread::spawn(move || {
                        while let Some(head) = read_head(&mut socket) {
                            seen.lock().unwrap().push(head);
                            let _ = socket.write_all(answer.as_bytes());
                        }
                    });
                }
            });
            Self { port, heads }
        }

        fn with_body(address: Ipv4Addr, port: u16, body: &str) -> Self {
            let length = body.len();
            Self::start(address, port, &format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"))
        }

        fn redirects(address: Ipv4Addr, to: &str) -> Self {
            Self::start(address, 0, &format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"))
        }

        fn asked(&self) -> usize {
            self.heads.lock().unwrap().len()
        }
    }

    fn client(redirects_inside: bool) -> HttpClient {
        let mut client = HttpClient::within(Timeouts::default(), &Arc::default(), NETWORK).unwrap();
        client.redirects_inside = redirects_inside;
        client
    }

    async fn ask(client: &HttpClient, address: Ipv4Addr, server: &Server) -> Result<String, HttpError> {
        let url = Url::parse(&format!("http://{address}:{}/a", server.port)).unwrap();
        client.get_small(url, 100).await.map(|body| String::from_utf8(body).unwrap())
    }

    #[tokio::test]
    async fn a_redirect_from_a_public_to_an_internal_address_is_refused() {
        let inside = Server::with_body(INSIDE, 0, "the neighbour");
        let port = inside.port;
        for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "inside.example", "both.example", "localhost"] {
            let to = format!("http://{host}:{port}/b");
            let public = Server::redirects(PUBLIC, &to);
            let error = ask(&client(false), PUBLIC, &public).await.unwrap_err();
            assert!(matches!(error, HttpError::Redirect { .. }) && !error.passes(), "{to}: {error}");
            let words = error.to_string();
            assert!(words.contains("redirects-inside = true") && !words.contains("inside.example"), "{words}");
            assert_eq!((public.asked(), inside.asked()), (1, 0), "{to}");
        }
    }

    #[tokio::test]
    async fn every_hop_of_a_redirect_is_checked() {
        let inside = Server::with_body(INSIDE, 0, "the neighbour");
        let second = Server::redirects(ANOTHER, &format!("http://inside.example:{}/", inside.port));
        let first = Server::redirects(PUBLIC, &format!("http://another.example:{}/", second.port));
        // An open connection without a checked address is not reused.
        let client = client(false);
        let direct = Url::parse(&format!("http://inside.example:{}/", inside.port)).unwrap();
        assert_eq!(client.get_small(direct, 100).await.unwrap(), b"the neighbour");
        assert!(ask(&client, PUBLIC, &first).await.is_err());
        assert_eq!((first.asked(), second.asked(), inside.asked()), (1, 1, 1));
    }

    #[tokio::test]
    async fn redirects_to_internal_addresses_are_followed_from_there_or_if_allowed() {
        let inside = Server::with_body(INSIDE, 0, "the neighbour");
        let to = format!("http://inside.example:{}/", inside.port);
        let (public, own) = (Server::redirects(PUBLIC, &to), Server::redirects(INSIDE, &to));
        assert_eq!(ask(&client(true), PUBLIC, &public).await.unwrap(), "the neighbour");
        assert_eq!(ask(&client(false), INSIDE, &own).await.unwrap(), "the neighbour");
        // The setting of a source reaches its client.
        let source = Source::parse("https://a.example").unwrap();
        let config = UpstreamConfig { redirects_inside: true, ..UpstreamConfig::plain(source, false) };
        assert!(client(false).for_upstream(&config).unwrap().redirects_inside);
    }

    #[tokio::test]
    async fn the_client_connects_to_the_checked_address() {
        let inside = Server::with_body(INSIDE, 0, "the neighbour");
        // Each request needs a connection of its own.
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\npublic";
        let public = Server::start(ANOTHER, inside.port, answer);
        let first = Server::redirects(PUBLIC, &format!("http://rebinding.example:{}/", inside.port));
        let client = client(false);
        assert_eq!(ask(&client, PUBLIC, &first).await.unwrap(), "public");
        assert_eq!(REBINDINGS.load(Ordering::SeqCst), 1, "it was looked up once");
        assert!(ask(&client, PUBLIC, &first).await.is_err(), "now it is internal");
        assert_eq!((public.asked(), inside.asked()), (1, 0));
    }

    #[tokio::test]
    async fn neither_login_nor_referer_goes_to_another_server() {
        let another = Server::with_body(ANOTHER, 0, "public");
        let first = Server::redirects(PUBLIC, &format!("http://me:word@another.example:{}/b", another.port));
        let url = format!("http://you:open%20it@{PUBLIC}:{}/a", first.port);
        assert_eq!(client(false).get_small(Url::parse(&url).unwrap(), 100).await.unwrap(), b"public");
        let (asked, redirected) = (first.heads.lock().unwrap()[0].clone(), another.heads.lock().unwrap()[0].clone());
        // `you:open it` in base 64 (RFC 4648).
        assert!(asked.to_lowercase().contains("authorization: basic ew91om9wzw4gaxq="), "{asked}");
        let redirected = redirected.to_lowercase();
        assert!(!redirected.contains("authorization") && !redirected.contains("referer"), "{redirected}");
    }

    #[tokio::test]
    async fn no_header_of_a_login_goes_to_another_server() {
        let another = Server::with_body(ANOTHER, 0, "public");
        let first = Server::redirects(PUBLIC, &format!("http://another.example:{}/b", another.port));
        let second = Server::redirects(PUBLIC, &format!("http://{PUBLIC}:{}/c", first.port));
        let dialer = Dialer::new(Timeouts::default(), &Arc::default(), NETWORK).unwrap();
        for (server, is_elsewhere) in [(&first, true), (&second, true)] {
            let url = Url::parse(&format!("http://{PUBLIC}:{}/a", server.port)).unwrap();
            let login = HeaderMap::from_iter([(header::COOKIE, "key".parse().unwrap())]);
            let headers = HeaderMap::from_iter([(header::RANGE, "bytes=1-".parse().unwrap())]);
            let (_, elsewhere) = follow(&dialer, url, headers, login, false).await.unwrap();
            assert_eq!(elsewhere, is_elsewhere);
        }
        let heads = |server: &Server| server.heads.lock().unwrap().join("").to_lowercase();
        assert_eq!(
            (heads(&first).matches("cookie: key").count(), heads(&second).matches("cookie: key").count()),
            (1, 1)
        );
        assert_eq!(
            (heads(&another).matches("cookie").count(), heads(&another).matches("range: bytes=1-").count()),
            (0, 2)
        );
    }

    #[test]
    fn redirects_from_https_to_http_and_to_other_schemes_are_forbidden() {
        let why = |url: &str, next: &str| forbidden(&Url::parse(url).unwrap(), &Url::parse(next).unwrap());
        assert!(why("https://a.example/x", "http://a.example/x").is_some_and(|why| why.contains("https to http")));
        for next in ["file:///etc/passwd", "ftp://a.example/x", "data:,x"] {
            assert!(why("http://a.example/x", next).is_some(), "{next}");
        }
        for (url, next) in [("https://a", "https://b"), ("http://a", "https://b"), ("http://a", "http://b")] {
            assert_eq!(why(url, next), None);
        }
    }

    #[test]
    fn another_server_differs_in_scheme_host_or_port() {
        let is_another =
            |url: &str, next: &str| super::is_another(&Url::parse(url).unwrap(), &Url::parse(next).unwrap());
        assert!(!is_another("https://a.example/x", "https://A.example:443/y"));
        for next in ["https://b.example/x", "https://a.example:8443/x", "https://a.example.b.example/x"] {
            assert!(is_another("https://a.example/x", next), "{next}");
        }
        assert!(is_another("http://a.example/x", "https://a.example/x"));
    }
}
