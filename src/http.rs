//! The one HTTP client of every room that does not bring its own: TLS by rustls with the system's
//! roots and those of `SSL_CERT_FILE` and `AWS_CA_BUNDLE`, proxies from the environment, HTTP/1.1.
//!
//! It never sends plaintext off loopback and never carries a login to another host. Leans on
//! reqwest; when to try again is said in [`retry`].

#[cfg(test)]
pub(crate) mod authority;
pub mod retry;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, NoProxy, Proxy, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::{Code, Failure, one_line, quoted};

/// What is sent as `User-Agent`.
pub const USER_AGENT: &str = concat!("slipway/", env!("CARGO_PKG_VERSION"));

/// How long a TCP and TLS handshake may take: a closed port on a private address says nothing for
/// minutes.
const CONNECT: Duration = Duration::from_secs(10);

/// Redirects a request may follow.
const HOPS: usize = 5;

/// Where Linux distributions and the action's image keep their roots: read beside `SSL_CERT_FILE`,
/// which replaces them in the libraries below.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What the client takes from its surroundings, as a value.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Files with roots to trust besides the system's, each under the name of the variable that
    /// gave it.
    pub roots: Vec<(String, PathBuf)>,
    /// The proxy for `https://`.
    pub proxy: Option<String>,
    /// Hosts that are reached without it.
    pub no_proxy: Option<String>,
}

impl Surroundings {
    /// Reads the environment: `SSL_CERT_FILE`, `AWS_CA_BUNDLE`, `HTTPS_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`; the proxies also in lower case. Empty is absent.
    #[must_use]
    pub fn from_env() -> Self {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let either = |name: &str| read(name).or_else(|| read(&name.to_ascii_lowercase()));
        let root = |name: &str| read(name).map(|file| (name.to_owned(), PathBuf::from(file)));
        Self {
            roots: ["SSL_CERT_FILE", "AWS_CA_BUNDLE"].into_iter().filter_map(root).collect(),
            proxy: either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")),
            no_proxy: either("NO_PROXY"),
        }
    }
}

/// The client that the environment asks for.
///
/// # Errors
/// A root file that cannot be used, a proxy that is no URL, or no root at all.
pub fn client() -> Result<reqwest::Client, Failure> {
    client_in(&Surroundings::from_env())
}

/// The client for these surroundings.
///
/// # Errors
/// A root file that cannot be used, a proxy that is no URL, or no root at all.
pub fn client_in(surroundings: &Surroundings) -> Result<reqwest::Client, Failure> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been first; then its provider is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT)
        .tcp_keepalive(Duration::from_secs(30))
        .http1_only()
        .referer(false)
        .redirect(redirect::Policy::custom(follow))
        .tls_certs_merge(extra_roots(surroundings)?)
        .no_proxy();
    if let Some(proxy) = &surroundings.proxy {
        builder = builder.proxy(proxy_for_https(proxy, surroundings.no_proxy.as_deref())?);
    }
    builder.build().map_err(|error| {
        Failure::new(Code::InputInvalid, "no TLS client could be made")
            .why(quoted(&causes(&error)))
            .next("set `SSL_CERT_FILE` to a file of CA certificates")
    })
}

/// Follows a few redirects, to `https://` or loopback only. reqwest itself drops `Authorization`
/// and
/// cookies where scheme, host or port change.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > HOPS {
        return attempt.error("too many redirects");
    }
    if refuse_plaintext(attempt.url()).is_err() {
        return attempt.error("redirected to plaintext http off loopback");
    }
    attempt.follow()
}

/// A proxy for `https://` alone: `http://` is loopback, which no proxy should see.
fn proxy_for_https(proxy: &str, no_proxy: Option<&str>) -> Result<Proxy, Failure> {
    let spelled = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    let made = Proxy::https(&spelled).map_err(|_| {
        // Not quoted: a proxy's URL may carry a password.
        Failure::new(Code::InputInvalid, "`HTTPS_PROXY` is not the URL of a proxy")
            .next("write it as `http://HOST:PORT`")
    })?;
    Ok(made.no_proxy(no_proxy.and_then(NoProxy::from_string)))
}

fn extra_roots(surroundings: &Surroundings) -> Result<Vec<Certificate>, Failure> {
    let mut found = Vec::new();
    for (variable, file) in &surroundings.roots {
        let roots = roots_of(file).map_err(|said| {
            Failure::new(
                Code::InputInvalid,
                format!("`{variable}` names no usable CA certificates"),
            )
            .why(format!("`{}`: {said}", file.display()))
            .next(format!("let `{variable}` name a PEM file of CA certificates, or unset it"))
        })?;
        found.extend(roots);
    }
    if !found.is_empty()
        && let Some(system) = BUNDLES.iter().map(Path::new).find(|file| file.exists())
    {
        found.extend(roots_of(system).unwrap_or_default());
    }
    found.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    found.dedup();
    found
        .iter()
        .map(|der| Certificate::from_der(der).map_err(|error| unusable_root(&error)))
        .collect()
}

fn unusable_root(error: &reqwest::Error) -> Failure {
    Failure::new(Code::InputInvalid, "a CA certificate cannot be used").why(quoted(&causes(error)))
}

/// The certificates of a PEM file that can be trust anchors: one strange root in a bundle must not
/// take the others with it.
fn roots_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pems = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let usable =
        |der: &CertificateDer<'static>| rustls::RootCertStore::empty().add(der.clone()).is_ok();
    let found: Vec<_> = pems.filter_map(Result::ok).filter(usable).collect();
    if found.is_empty() { Err("no certificate in it".into()) } else { Ok(found) }
}

/// Refuses `http://` to anything but this machine: a login must not cross a network in the clear.
///
/// # Errors
/// `SW-INPUT-ENDPOINT` naming the endpoint.
pub fn refuse_plaintext(url: &Url) -> Result<(), Failure> {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    if url.scheme() == "https" && url.has_host() || url.scheme() == "http" && loopback {
        return Ok(());
    }
    let shown = redacted(url);
    Err(Failure::new(Code::InputEndpoint, format!("`{shown}` would be reached in plaintext"))
        .why("only an endpoint on this machine may be `http://`: a login is sent to it")
        .next("write the endpoint with `https://`, or unset it"))
}

/// A URL for messages: without query, fragment, user and password.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// What an error says down to its cause, on one line and without the URL, whose query may be
/// secret.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        // "error sending request for url (..)" and "client error (Connect)": the cause below says
        // more.
        let frame = line.contains("for url (") || line.starts_with("client error (");
        let telling = !frame || error.source().is_none();
        if telling && said.last() != Some(&line) {
            said.push(line);
        }
        next = error.source();
    }
    let line = said.join(": ");
    one_line(line.split(" for url (").next().unwrap_or(&line), 200)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    /// Answers one request with this text, and yields what was asked.
    fn one(answer: String) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut text = String::new();
            while !text.contains("\r\n\r\n") {
                let mut piece = [0; 1024];
                let read = socket.read(&mut piece).unwrap();
                text.push_str(&String::from_utf8_lossy(&piece[..read]));
            }
            socket.write_all(answer.as_bytes()).unwrap();
            text
        });
        (here, asked)
    }

    #[test]
    fn plaintext_goes_to_this_machine_only() {
        for good in [
            "https://ecr.example",
            "http://127.0.0.1:5000",
            "http://[::1]:1",
            "http://localhost/v2",
        ] {
            assert_eq!(refuse_plaintext(&url(good)), Ok(()), "{good}");
        }
        for bad in [
            "http://ecr.example",
            "http://127.0.0.1.evil.example",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "unix:/run/x",
        ] {
            let failure = refuse_plaintext(&url(bad)).unwrap_err();
            assert_eq!(failure.code, Code::InputEndpoint, "{bad}");
        }
    }

    #[test]
    fn a_shown_url_has_no_secret_in_it() {
        let shown = redacted(&url("https://me:word@host:8443/v2/web?X-Amz-Signature=abc#x"));
        assert_eq!(shown, "https://host:8443/v2/web");
    }

    #[tokio::test]
    async fn a_redirect_to_another_host_loses_the_login() {
        let (to, second) = one("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into());
        let (from, first) =
            one(format!("HTTP/1.1 307 x\r\nLocation: {to}/blob\r\nContent-Length: 0\r\n\r\n"));
        let client = client_in(&Surroundings::default()).unwrap();
        let answer = client.get(from).basic_auth("AWS", Some("secret")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "ok");
        assert!(first.join().unwrap().contains("authorization: Basic"));
        let second = second.join().unwrap();
        assert!(!second.to_ascii_lowercase().contains("authorization"), "{second}");
        assert!(second.contains(USER_AGENT), "{second}");
    }

    #[tokio::test]
    async fn a_redirect_to_plaintext_elsewhere_is_not_followed() {
        let (from, _first) = one(
            "HTTP/1.1 302 x\r\nLocation: http://ecr.example/?sig=1\r\nContent-Length: 0\r\n\r\n"
                .into(),
        );
        let client = client_in(&Surroundings::default()).unwrap();
        let error = client.get(from).send().await.unwrap_err();
        assert_eq!(causes(&error), "redirected to plaintext http off loopback");
    }

    #[tokio::test]
    async fn a_proxy_sees_https_and_never_what_goes_to_this_machine() {
        let (proxy, asked) = one("HTTP/1.1 502 x\r\nContent-Length: 0\r\n\r\n".into());
        let surroundings = Surroundings { proxy: Some(proxy), ..Surroundings::default() };
        let client = client_in(&surroundings).unwrap();
        let (here, _served) = one("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into());
        assert_eq!(client.get(here).send().await.unwrap().text().await.unwrap(), "ok");
        assert!(client.get("https://ecr.example/v2/").send().await.is_err());
        assert!(asked.join().unwrap().starts_with("CONNECT ecr.example:443"));
    }

    /// Runs openssl in a folder.
    fn openssl(folder: &Path, arguments: &str) {
        let done = std::process::Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[tokio::test]
    #[ignore = "needs openssl"]
    async fn a_private_root_is_trusted_when_it_is_named_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        std::fs::write(here.join("san"), "subjectAltName=IP:127.0.0.1").unwrap();
        openssl(here, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca");
        openssl(here, "req -newkey rsa:2048 -nodes -keyout key -out csr -subj /CN=leaf");
        let sign =
            "x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf -extfile san";
        openssl(here, sign);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = std::process::Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-cert", "leaf", "-key", "key", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .current_dir(here)
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        let url = format!("https://127.0.0.1:{port}/");
        let plain = client_in(&Surroundings::default()).unwrap().get(&url).send().await;
        let roots = vec![("AWS_CA_BUNDLE".to_owned(), here.join("ca.pem"))];
        let surroundings = Surroundings { roots, ..Surroundings::default() };
        let trusting = client_in(&surroundings).unwrap().get(&url).send().await;
        server.kill().unwrap();
        server.wait().unwrap();
        assert!(causes(&plain.unwrap_err()).contains("UnknownIssuer"));
        assert_eq!(trusting.unwrap().status(), 200);
    }

    #[test]
    fn a_root_file_without_certificates_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let roots = vec![("AWS_CA_BUNDLE".to_owned(), file.path().to_owned())];
        let failure = client_in(&Surroundings { roots, ..Surroundings::default() }).unwrap_err();
        assert_eq!(failure.what, "`AWS_CA_BUNDLE` names no usable CA certificates");
        assert!(failure.why[0].ends_with("no certificate in it"), "{:?}", failure.why);
    }

    #[test]
    fn a_proxy_that_is_no_url_is_refused_without_its_password() {
        let proxy = Some("http://me:word@[".to_owned());
        let failure = client_in(&Surroundings { proxy, ..Surroundings::default() }).unwrap_err();
        assert!(!format!("{failure:?}").contains("word"), "{failure:?}");
    }
}
