//! TLS to an engine, as Docker's clients have it: both sides show a certificate, and either may not be believed.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Engine, Server, Whereabouts, at, known, told};
use crate::http::authority::{Authority, authority, certified};

const HERE: &str = "127.0.0.1";

/// An engine that lets in whom this authority vouches for.
async fn engine(authority: &Authority) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let (certificate, key) = certified(authority, HERE);
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().unwrap())
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let inner = Server::start(|asked| known(asked).unwrap()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, inner) = (acceptor.clone(), inner.address.replace("tcp://", ""));
            tokio::spawn(async move {
                let mut outer = match acceptor.accept(socket).into_fallible().await {
                    Ok(outer) => outer,
                    // What it was told has to be read before the connection ends.
                    Err((_, mut refused)) => {
                        let _ = tokio::io::copy(&mut refused, &mut tokio::io::sink()).await;
                        return;
                    }
                };
                let mut inner = TcpStream::connect(inner).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    address
}

/// As Docker's clients find it: an authority to trust, and who we are by another.
fn with(folder: &Path, address: &str, trusts: &Authority, is_of: &Authority) -> Whereabouts {
    let (certificate, key) = certified(is_of, HERE);
    let files = [("ca", trusts.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())];
    for (name, pem) in files {
        std::fs::write(folder.join(format!("{name}.pem")), pem).unwrap();
    }
    Whereabouts { tls_verify: Some("1".into()), cert_path: Some(folder.into()), ..at(address) }
}

#[tokio::test]
async fn both_sides_have_to_be_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (authority(), authority());
    let address = engine(&ours).await;
    let found = Engine::find(&with(folder.path(), &address, &ours, &ours)).await.unwrap();
    assert_eq!(found.facts.product, "Docker Engine 28.5.2");
    let refused = Engine::find(&with(folder.path(), &address, &ours, &other)).await.unwrap_err();
    insta::assert_snapshot!(told(refused, &address), @r#"
    SW-BUILD-ENGINE
    the engine does not let this client in
    it asks for a `cert.pem` that it accepts, in `DOCKER_CERT_PATH` or the context
    the connection: "received fatal alert: DecryptError"
    `DOCKER_HOST` names it
    build in a step before and give `image`: an OCI layout, or a file of `docker save`;
    or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
    or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    "#);
    let refused = Engine::find(&with(folder.path(), &address, &other, &ours)).await.unwrap_err();
    insta::assert_snapshot!(told(refused, &address), @r#"
    SW-BUILD-ENGINE
    the engine's certificate is not trusted
    `ca.pem` of `DOCKER_CERT_PATH`, or of the context, does not vouch for it
    the connection: "invalid peer certificate: BadSignature"
    `DOCKER_HOST` names it
    build in a step before and give `image`: an OCI layout, or a file of `docker save`;
    or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
    or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    "#);
}
