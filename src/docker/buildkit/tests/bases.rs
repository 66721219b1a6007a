//! What a registry answered when it was asked for a base image: the words are recorded from engines 28 and 20.10 and
//! from Podman, with a registry that answered so.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::causes::case;
use super::{login, order};
use crate::docker::Order;
use crate::docker::buildkit::wrong::base::{Asked, cause};

/// Why, and what to do, of an image that is called so in FROM.
fn told(image: &str, words: &str) -> String {
    let asked = Asked { image, host: "the.host", place: "FROM", platform: None };
    let (why, next) = cause(&order(), words, &asked);
    format!("{why}; {next}")
}

#[test]
fn what_a_registry_answers_is_told_as_what_it_is() {
    let blob = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let said = [
        // Engine 28 with BuildKit.
        "127.0.0.1:5999/web:1: not found".to_owned(),
        "unexpected status from HEAD request to https://127.0.0.1:5999/v2/web/manifests/1: 403 Forbidden".into(),
        "unexpected status from HEAD request to https://127.0.0.1:5999/v2/web/manifests/1: 429 Too Many Requests".into(),
        "unexpected status from HEAD request to https://127.0.0.1:5999/v2/web/manifests/1: 502 Bad Gateway".into(),
        "unexpected status from HEAD request to https://127.0.0.1:5999/v2/web/manifests/1: 418 I'm a Teapot".into(),
        "encountered unknown type text/html; children may not be fetched".into(),
        format!("failed to copy: httpReadSeeker: failed open: could not fetch content descriptor {blob} (application/vnd.docker.container.image.v1+json) from remote: not found"),
        format!("failed commit on ref \"config-{blob}\": commit failed: \"config-{blob}\" failed size validation: 7 != 2: failed precondition"),
        "failed to do request: Head \"https://127.0.0.1:5999/v2/web/manifests/1\": tls: first record does not look like a TLS handshake".into(),
        "failed to do request: Head \"https://127.0.0.1:5999/v2/web/manifests/1\": read tcp 127.0.0.1:54650->127.0.0.1:5999: read: connection reset by peer".into(),
        "failed to do request: Head \"https://127.0.0.1:5999/v2/web/manifests/1\": dial tcp 127.0.0.1:5999: connect: permission denied".into(),
        // The older builder.
        "name unknown".into(),
        "unknown: <html>not here</html>".into(),
        "denied".into(),
        "toomanyrequests".into(),
        "received unexpected HTTP status: 500 Internal Server Error".into(),
        "error unmarshalling content: invalid character '<' looking for beginning of value".into(),
        "error pulling image configuration: download failed after attempts=6: unexpected EOF".into(),
        "invalid reference format: repository name must be lowercase".into(),
        "Get \"http://127.0.0.1:5999/v2/\": EOF".into(),
        // Podman.
        "creating build container: initializing source docker://127.0.0.1:5999/web:1: reading manifest 1 in 127.0.0.1:5999/web: StatusCode: 404, <html>not here</html>".into(),
        "creating build container: initializing source docker://127.0.0.1:5999/web:1: reading manifest 1 in 127.0.0.1:5999/web: unauthorized".into(),
        "creating build container: initializing source docker://127.0.0.1:5999/web:1: pinging container registry 127.0.0.1:5999: Get \"https://127.0.0.1:5999/v2/\": x509: certificate signed by unknown authority".into(),
        "creating build container: parsing image configuration: Error fetching blob: invalid status code from registry 404 (Not Found)".into(),
    ];
    let mut all = String::new();
    for words in said {
        let end = words.rsplit(": ").next().unwrap();
        writeln!(all, "{end} => {}", told("127.0.0.1:5999/web:1", &words)).unwrap();
    }
    assert_snapshot!(all, @"
    not found => the.host has no such image; correct the name or the tag in FROM
    403 Forbidden => the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    429 Too Many Requests => the.host allows no more pulls for now; add a login for the.host to the input `base-logins`, which may pull more
    502 Bad Gateway => the.host is out of order; run it again when it is well
    418 I'm a Teapot => the engine cannot use what the.host answered; act on those words, or name another image in FROM
    encountered unknown type text/html; children may not be fetched => the engine cannot use what the.host answered; act on those words, or name another image in FROM
    not found => the.host has it, but not all of it came as it should; run it again; if it stays so, push that image again or name another
    failed precondition => the.host has it, but not all of it came as it should; run it again; if it stays so, push that image again or name another
    first record does not look like a TLS handshake => the.host answers without TLS, which the engine asks for; name a registry with TLS in FROM, or tell the engine that this one has none: `insecure-registries` in its configuration
    connection reset by peer => the engine did not reach the.host; let the engine's machine reach the.host, or name another registry in FROM
    permission denied => the engine did not reach the.host; let the engine's machine reach the.host, or name another registry in FROM
    name unknown => the.host has no such image; correct the name or the tag in FROM
    <html>not here</html> => the engine cannot use what the.host answered; act on those words, or name another image in FROM
    denied => the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    toomanyrequests => the.host allows no more pulls for now; add a login for the.host to the input `base-logins`, which may pull more
    500 Internal Server Error => the.host is out of order; run it again when it is well
    invalid character '<' looking for beginning of value => the engine cannot use what the.host answered; act on those words, or name another image in FROM
    unexpected EOF => the.host has it, but not all of it came as it should; run it again; if it stays so, push that image again or name another
    repository name must be lowercase => that is no name of an image; correct the name in FROM
    EOF => the engine did not reach the.host; let the engine's machine reach the.host, or name another registry in FROM
    404, <html>not here</html> => the.host has no such image; correct the name or the tag in FROM
    unauthorized => the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    certificate signed by unknown authority => the engine does not trust the certificate of the.host; give the engine's machine the authority of the.host, and start the engine again
    invalid status code from registry 404 (Not Found) => the.host has it, but not all of it came as it should; run it again; if it stays so, push that image again or name another
    ");
}

#[test]
fn what_a_proxy_or_a_giver_of_tokens_answers_is_told_apart() {
    let token = "https://auth.the.host/token?scope=repository%3Aweb%3Apull&service=the.host";
    let said = [
        "failed to do request: Head \"https://the.host/v2/web/manifests/1\": Proxy Authentication Required".to_owned(),
        "received unexpected HTTP status: 407 Proxy Authentication Required".into(),
        "failed to authorize: failed to fetch oauth token: unknown: Authentication is required".into(),
        format!("failed to authorize: failed to fetch oauth token: unexpected status from POST request to {token}: 401 Unauthorized"),
        format!("failed to authorize: failed to fetch anonymous token: unexpected status from GET request to {token}: 401 Unauthorized"),
        "failed to authorize: failed to fetch anonymous token: unknown: Authentication is required".into(),
        format!("failed to authorize: failed to fetch anonymous token: unexpected status from GET request to {token}: 503 Service Unavailable"),
        format!("failed to authorize: failed to fetch oauth token: unexpected status from POST request to {token}: 503 Service Unavailable"),
        format!("failed to authorize: failed to fetch oauth token: Post \"{token}\": dial tcp: lookup auth.the.host: no such host"),
    ];
    let (mut given, mut not) = (String::new(), String::new());
    let order_with = Order { logins: vec![login("the.host")], ..order() };
    for words in said {
        let asked =
            Asked { image: "the.host/web:1", host: "the.host", place: "FROM", platform: None };
        let (why, next) = cause(&order_with, &words, &asked);
        writeln!(given, "{why}; {next}").unwrap();
        writeln!(not, "{}", told("the.host/web:1", &words)).unwrap();
    }
    assert_snapshot!(given, @"
    the proxy that the engine goes by asks for a login; give the engine that login: `proxies` in its configuration, or HTTPS_PROXY where it is started
    the proxy that the engine goes by asks for a login; give the engine that login: `proxies` in its configuration, or HTTPS_PROXY where it is started
    the.host does not take the login in `base-logins`; correct the user and the password for the.host in `base-logins`
    the.host does not take the login in `base-logins`; correct the user and the password for the.host in `base-logins`
    the login for the.host in `base-logins` may not pull it, or there is no such image; correct the login for the.host in `base-logins`
    the login for the.host in `base-logins` may not pull it, or there is no such image; correct the login for the.host in `base-logins`
    the.host is out of order; run it again when it is well
    the.host is out of order; run it again when it is well
    the engine did not reach the.host; let the engine's machine reach the.host, or name another registry in FROM
    ");
    assert_snapshot!(not, @"
    the proxy that the engine goes by asks for a login; give the engine that login: `proxies` in its configuration, or HTTPS_PROXY where it is started
    the proxy that the engine goes by asks for a login; give the engine that login: `proxies` in its configuration, or HTTPS_PROXY where it is started
    the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    the.host is out of order; run it again when it is well
    the.host is out of order; run it again when it is well
    the engine did not reach the.host; let the engine's machine reach the.host, or name another registry in FROM
    ");
}

#[test]
fn a_platform_that_a_stage_has_of_its_own_is_the_one_that_is_not_there() {
    let asked =
        Asked { image: "tool", host: "the.host", place: "FROM", platform: Some("$BUILDPLATFORM") };
    let (why, _) = cause(&order(), "no match for platform in manifest: not found", &asked);
    assert_eq!(why, "the.host does not have it for what `--platform=$BUILDPLATFORM` says");
}

#[test]
fn what_an_image_is_called_says_nothing_of_why_it_is_not_had() {
    let digest = format!("sha256:429{}", "0".repeat(61));
    let mut all = String::new();
    for (image, words) in [
        (format!("ghcr.io/web@{digest}"), format!("ghcr.io/web@{digest}: not found")),
        ("ghcr.io/acme/denied:x509:1".into(), "failed to do request: Head \"https://ghcr.io/v2/acme/denied/manifests/1\": dial tcp: connection refused".into()),
        ("acme/unauthorized".into(), "docker.io/acme/unauthorized:latest: not found".into()),
        ("acme/unauthorized".into(), "pull access denied for acme/unauthorized, repository does not exist or may require 'docker login': denied: requested access to the resource is denied".into()),
    ] {
        writeln!(all, "{}", told(&image, &words)).unwrap();
    }
    assert_snapshot!(all, @"
    the.host has no such image; correct the name or the tag in FROM
    the engine did not reach the.host; let the engine's machine reach the.host, or name another registry in FROM
    the.host has no such image; correct the name or the tag in FROM
    the.host asks for a login, or there is no such image; add a login for the.host to the input `base-logins`
    ");
}

#[test]
fn words_that_are_a_chain_are_quoted_from_their_end() {
    let step = "[internal] load metadata for ghcr.io/acme/base:1";
    let chain = "a cause of it: ".repeat(20);
    let words = format!(
        "ghcr.io/acme/base:1: failed to resolve source metadata for ghcr.io/acme/base:1: {chain}dial tcp 192.0.2.7:443: connect: connection refused"
    );
    assert_snapshot!(case(step).reads(&words), @r#"
    [SW-BUILD-BASE]: base image `ghcr.io/acme/base:1` cannot be pulled
      why: the engine did not reach ghcr.io
      why: the builder: "...a cause of it: a cause of it: a cause of it: a cause of it: a cause of it: a cause of it: a cause of it: a cause of it: dial tcp 192.0.2.7:443: connect: connection refused"
      next: let the engine's machine reach ghcr.io, or name another registry in FROM
    "#);
}

#[test]
fn a_base_image_that_cannot_be_had_is_named_with_what_to_do() {
    let step = "[internal] load metadata for ghcr.io/acme/base:1";
    let failed = "ghcr.io/acme/base:1: failed to resolve source metadata for ghcr.io/acme/base:1: ";
    let denied = format!(
        "{failed}unexpected status from HEAD request to https://ghcr.io/v2/acme/base/manifests/1: 401 Unauthorized"
    );
    assert_snapshot!(case(step).reads(&denied), @r#"
    [SW-BUILD-BASE]: base image `ghcr.io/acme/base:1` cannot be pulled
      why: ghcr.io asks for a login, or there is no such image
      why: the builder: "unexpected status from HEAD request to https://ghcr.io/v2/acme/base/manifests/1: 401 Unauthorized"
      next: add a login for ghcr.io to the input `base-logins`
    "#);
    let given = case(step).order(|order| order.logins = vec![login("ghcr.io")]);
    assert_snapshot!(given.reads(&denied), @r#"
    [SW-BUILD-BASE]: base image `ghcr.io/acme/base:1` cannot be pulled
      why: the login for ghcr.io in `base-logins` may not pull it, or there is no such image
      why: the builder: "unexpected status from HEAD request to https://ghcr.io/v2/acme/base/manifests/1: 401 Unauthorized"
      next: correct the login for ghcr.io in `base-logins`
    "#);
    assert_snapshot!(case(step).reads(&format!("{failed}ghcr.io/acme/base:1: not found")), @r#"
    [SW-BUILD-BASE]: base image `ghcr.io/acme/base:1` cannot be pulled
      why: ghcr.io has no such image
      why: the builder: "ghcr.io/acme/base:1: not found"
      next: correct the name or the tag in FROM
    "#);
    let platform = case(step).order(|order| order.platforms = vec!["linux/arm64".parse().unwrap()]);
    assert_snapshot!(platform.reads(&format!("{failed}no match for platform in manifest: not found")), @r#"
    [SW-BUILD-BASE]: base image `ghcr.io/acme/base:1` cannot be pulled
      why: ghcr.io does not have it for linux/arm64
      why: the builder: "no match for platform in manifest: not found"
      next: begin with an image that is there for this platform
    "#);
    assert_snapshot!(case("[internal] load metadata for docker.io/library/alpine:3.20").reads("failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to do request: Head \"https://registry-1.docker.io/v2/library/alpine/manifests/3.20\": dial tcp: lookup registry-1.docker.io: no such host"), @r#"
    [SW-BUILD-BASE]: base image `docker.io/library/alpine:3.20` cannot be pulled
      why: the engine did not reach docker.io
      why: the builder: "failed to do request: Head "https://registry-1.docker.io/v2/library/alpine/manifests/3.20": dial tcp: lookup registry-1.docker.io: no such host"
      next: let the engine's machine reach docker.io, or name another registry in FROM
    "#);
    assert_snapshot!(case("[internal] load metadata for docker.io/library/alpine:3.20").reads("toomanyrequests: You have reached your pull rate limit"), @r#"
    [SW-BUILD-BASE]: base image `docker.io/library/alpine:3.20` cannot be pulled
      why: docker.io allows no more pulls for now
      why: the builder: "toomanyrequests: You have reached your pull rate limit"
      next: add a login for docker.io to the input `base-logins`, which may pull more
    "#);
}
