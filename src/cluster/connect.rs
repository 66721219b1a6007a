//! From an endpoint and a CA to kube's transport: TLS roots, proxy, timeouts.
//!
//! A token must never leave in the clear, so plaintext is refused off loopback. The environment is
//! read for proxies alone, by the same matcher that the other clients of this program use.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::Config;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Code, Failure, quoted};

use super::access::Access;

/// kube's configuration for this cluster.
pub(super) fn config(access: &Access) -> Result<Config, Failure> {
    let endpoint = endpoint(access)?;
    let mut config = Config::new(endpoint.clone());
    // Its own retry repeats writes too, and waits as long as a server asks.
    config.default_retry = false;
    config.connect_timeout = Some(access.pace.connect);
    config.read_timeout = None;
    if endpoint.scheme_str() == Some("http") {
        // Loopback: no roots to load, and no proxy, which would see the token.
        config.root_cert = Some(Vec::new());
        return Ok(config);
    }
    config.proxy_url = proxy(&Matcher::from_env(), &endpoint);
    config.root_cert = access.ca_pem.as_deref().map(|pem| certificates(access, pem)).transpose()?;
    Ok(config)
}

fn endpoint(access: &Access) -> Result<Uri, Failure> {
    let refuse = |why: &str| {
        Failure::new(
            Code::InputEndpoint,
            format!("the endpoint of `{}` cannot be used", access.cluster),
        )
        .why(format!("{} {why}", quoted(&access.endpoint)))
    };
    let uri: Uri = access.endpoint.parse().map_err(|_| refuse("is no URL"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => Ok(uri),
        (Some("http"), Some(host)) if is_loopback(host) => Ok(uri),
        (Some("http"), Some(_)) => Err(refuse("would send the token in the clear")),
        _ => Err(refuse("is no URL")),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn certificates(access: &Access, pem: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certs) if !certs.is_empty() => Ok(certs.into_iter().map(|c| c.to_vec()).collect()),
        _ => {
            let what = format!("the CA of `{}` cannot be read", access.cluster);
            Err(Failure::new(Code::EksAnswer, what)
                .why("DescribeCluster's certificateAuthority is no PEM certificate"))
        }
    }
}

/// The proxy for this endpoint, with its login where kube looks for it: in the URL.
fn proxy(matcher: &Matcher, endpoint: &Uri) -> Option<Uri> {
    let found = matcher.intercept(endpoint)?;
    let bare = found.uri();
    let login =
        found.basic_auth().and_then(|v| v.to_str().ok()?.strip_prefix("Basic ").map(str::to_owned));
    let Some(login) = login.and_then(|l| String::from_utf8(STANDARD.decode(l).ok()?).ok()) else {
        return Some(bare.clone());
    };
    let (user, password) = login.split_once(':').unwrap_or((&login, ""));
    let authority = format!("{}:{}@{}", escaped(user), escaped(password), bare.authority()?);
    Uri::builder().scheme(bare.scheme_str()?).authority(authority).path_and_query("/").build().ok()
}

/// Percent-encodes everything that could end a part of a URL early.
fn escaped(text: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(b).to_string()
        }
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_login_survives_the_way_into_kubes_url() {
        let endpoint = Uri::from_static("https://abc.gr7.eu-west-1.eks.amazonaws.com");
        let matcher = Matcher::builder()
            .https("http://me:p%40ss%3Aw@proxy:3128")
            .no("10.0.0.0/8,.internal")
            .build();
        let found = proxy(&matcher, &endpoint).map(|u| u.to_string());
        assert_eq!(found.as_deref(), Some("http://me:p%40ss%3Aw@proxy:3128/"));
        assert_eq!(proxy(&matcher, &Uri::from_static("https://eks.internal")), None);
        assert_eq!(proxy(&matcher, &Uri::from_static("https://10.0.3.4")), None);
    }

    #[test]
    fn loopback_is_told_from_hosts_that_only_look_like_it() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
