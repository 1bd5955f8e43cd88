//! Following redirects, one request at a time: at most ten, never from https to http, and from outside never inside.
//!
//! A public server must not make this machine ask its neighbours (server-side request forgery): what they answer is none of
//! the clients' business. Where a redirect came from is nobody else's business either, for the path names a module: no
//! `Referer` is sent.

use reqwest::header::{self, HeaderMap};
use reqwest::{Response, StatusCode};
use url::Url;

use super::dialer::{Dialer, Unanswered};
use super::http::error::HttpError;
use super::secret::without_credentials;

/// Go's `net/http` follows ten.
const MAX_REDIRECTS: usize = 10;

/// The answer for `url`, and whether another server gave it. A public server leads inside only if it `may_go_inside`.
pub(super) async fn follow(
    dialer: &Dialer,
    url: Url,
    mut headers: HeaderMap,
    may_go_inside: bool,
) -> Result<(Response, bool), HttpError> {
    let (asked, mut url) = (url.to_string(), url);
    let (mut elsewhere, mut from_outside) = (false, false);
    let refused = |cause: &str| HttpError::Redirect { url: asked.clone(), cause: cause.to_owned() };
    for _ in 0..=MAX_REDIRECTS {
        let answered = if from_outside && !may_go_inside {
            dialer.get_outside(&url, headers.clone()).await
        } else {
            dialer.get(&url, headers.clone()).await
        };
        let response = answered.map_err(|error| match error {
            Unanswered::Inside(why) => {
                tracing::warn!(url = asked, why, "a redirect from outside to an address inside is not followed");
                refused(
                    "it redirects from a public address to one of this machine or of a private network, which is not \
                     followed; if it may do so, set redirects-inside = true in its [[upstream]] or [[private]]",
                )
            }
            Unanswered::Failed(error) => behind(HttpError::transport(&asked, &error), elsewhere),
        })?;
        let Some(next) = target(&url, &response) else { return Ok((response, elsewhere)) };
        if let Some(why) = forbidden(&url, &next) {
            return Err(refused(why));
        }
        from_outside = dialer.came_from_outside(&url, &response);
        if is_another(&url, &next) {
            elsewhere = true;
            headers.remove(header::AUTHORIZATION);
        }
        url = next;
    }
    Err(refused("too many redirects"))
}

/// Where an answer leads (RFC 9110 section 15.4), without the login that may stand there: logins are in settings.
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

/// Why a redirect is not followed wherever it leads.
fn forbidden(url: &Url, next: &Url) -> Option<&'static str> {
    match (url.scheme(), next.scheme()) {
        // A redirect must not undo what TLS gave.
        ("https", "http") => Some("a redirect from https to http is not followed"),
        (_, "http" | "https") => None,
        _ => Some("a redirect to what is neither https nor http is not followed"),
    }
}

fn is_another(url: &Url, next: &Url) -> bool {
    url.origin() != next.origin()
}

/// The library's words may quote what a server sent, such as the names in its certificate. Of another server than the one
/// that was asked they go to the log alone.
fn behind(error: HttpError, elsewhere: bool) -> HttpError {
    match error {
        HttpError::Transport { url, cause } if elsewhere => {
            tracing::warn!(url, cause, "a redirect leads to where the request fails");
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

    /// All of 127.0.0.0/8 is this machine; in these tests its first address is inside, and all others are public.
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
            // Public when it is looked up first, inside after that.
            "rebinding.example" => {
                let first = REBINDINGS.fetch_add(1, Ordering::SeqCst) == 0;
                vec![if first { ANOTHER } else { INSIDE }]
            }
            _ => return Err(io::Error::other("no such name")),
        };
        Ok(all.into_iter().map(|address| SocketAddr::from((address, 0))).collect())
    }

    /// A server that answers every request with the same words, and remembers the heads of the requests.
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

        fn says(address: Ipv4Addr, port: u16, body: &str) -> Self {
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
        let mut client = HttpClient::within(Timeouts::default(), Arc::default(), NETWORK).unwrap();
        client.redirects_inside = redirects_inside;
        client
    }

    async fn ask(client: &HttpClient, address: Ipv4Addr, server: &Server) -> Result<String, HttpError> {
        let url = Url::parse(&format!("http://{address}:{}/a", server.port)).unwrap();
        client.get_small(url, 100).await.map(|body| String::from_utf8(body).unwrap())
    }

    #[tokio::test]
    async fn from_a_public_address_no_redirect_leads_inside() {
        let inside = Server::says(INSIDE, 0, "the neighbour");
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
    async fn what_was_checked_at_one_hop_is_checked_at_the_next() {
        let inside = Server::says(INSIDE, 0, "the neighbour");
        let second = Server::redirects(ANOTHER, &format!("http://inside.example:{}/", inside.port));
        let first = Server::redirects(PUBLIC, &format!("http://another.example:{}/", second.port));
        // A connection that was not checked is open already, and is not taken.
        let client = client(false);
        let direct = Url::parse(&format!("http://inside.example:{}/", inside.port)).unwrap();
        assert_eq!(client.get_small(direct, 100).await.unwrap(), b"the neighbour");
        assert!(ask(&client, PUBLIC, &first).await.is_err());
        assert_eq!((first.asked(), second.asked(), inside.asked()), (1, 1, 1));
    }

    #[tokio::test]
    async fn redirects_inside_are_followed_from_inside_or_if_they_are_allowed() {
        let inside = Server::says(INSIDE, 0, "the neighbour");
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
    async fn the_addresses_that_are_checked_are_connected_to() {
        let inside = Server::says(INSIDE, 0, "the neighbour");
        // Each request needs a connection of its own.
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\npublic";
        let public = Server::start(ANOTHER, inside.port, answer);
        let first = Server::redirects(PUBLIC, &format!("http://rebinding.example:{}/", inside.port));
        let client = client(false);
        assert_eq!(ask(&client, PUBLIC, &first).await.unwrap(), "public");
        assert_eq!(REBINDINGS.load(Ordering::SeqCst), 1, "it was looked up once");
        assert!(ask(&client, PUBLIC, &first).await.is_err(), "now it lies inside");
        assert_eq!((public.asked(), inside.asked()), (1, 0));
    }

    #[tokio::test]
    async fn nothing_goes_along_to_another_server() {
        let another = Server::says(ANOTHER, 0, "public");
        let first = Server::redirects(PUBLIC, &format!("http://me:word@another.example:{}/b", another.port));
        let url = format!("http://you:open%20it@{PUBLIC}:{}/a", first.port);
        assert_eq!(client(false).get_small(Url::parse(&url).unwrap(), 100).await.unwrap(), b"public");
        let (asked, behind) = (first.heads.lock().unwrap()[0].clone(), another.heads.lock().unwrap()[0].clone());
        // `you:open it` in base 64 (RFC 4648), which the library made of a url before.
        assert!(asked.to_lowercase().contains("authorization: basic ew91om9wzw4gaxq="), "{asked}");
        let behind = behind.to_lowercase();
        assert!(!behind.contains("authorization") && !behind.contains("referer"), "{behind}");
    }

    #[test]
    fn what_tls_gave_is_kept() {
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
    fn other_servers_are_told_from_the_same() {
        let is_another =
            |url: &str, next: &str| super::is_another(&Url::parse(url).unwrap(), &Url::parse(next).unwrap());
        assert!(!is_another("https://a.example/x", "https://A.example:443/y"));
        for next in ["https://b.example/x", "https://a.example:8443/x", "https://a.example.b.example/x"] {
            assert!(is_another("https://a.example/x", next), "{next}");
        }
        assert!(is_another("http://a.example/x", "https://a.example/x"));
    }
}
