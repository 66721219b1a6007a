//! TLS: the cluster's own CA is trusted, and nothing else is.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::server::{Server, ok};
use super::{access, tokens, told};
use crate::cluster::live::tests::deployment;
use crate::cluster::{Access, Cluster};
use crate::error::Failure;
use crate::http::authority::{Authority, authority, certified};

/// A server with a certificate of `authority` for `name`.
async fn server(authority: &Authority, name: &str) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (certificate, key) = certified(authority, name);
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    Server::behind(Some(TlsAcceptor::from(Arc::new(config))), |_, _| ok(&deployment())).await
}

async fn ask(server: &Server, ca_pem: String) -> Result<String, Failure> {
    let access = Access { ca_pem: Some(ca_pem.into_bytes()), ..access(&server.endpoint) };
    let cluster = Cluster::connect(access, tokens(Duration::from_mins(14)))?;
    let found =
        cluster.workload(&"shop".parse().unwrap(), &"deployment/web".parse().unwrap()).await;
    found.map(|live| live.uid)
}

#[tokio::test]
async fn the_clusters_own_ca_is_trusted_and_no_other() {
    let (ours, other) = (authority(), authority());
    let server = server(&ours, "127.0.0.1").await;
    assert_eq!(ask(&server, ours.pem()).await.unwrap(), "u-1");
    // A bundle, as while a CA is rotated.
    assert_eq!(ask(&server, other.pem() + &ours.pem()).await.unwrap(), "u-1");
    let heard = server.heard().len();
    let refused = ask(&server, other.pem()).await.unwrap_err();
    assert_eq!(server.heard().len(), heard, "no token was sent");
    let port = server.endpoint.rsplit_once(':').unwrap().1;
    assert_snapshot!(told(&refused).replace(port, "@@PORT@@"), @"
    SW-EKS-REACH: the API server of `prod` was not trusted: its certificate is not signed by the cluster's CA
      why:  its endpoint is 127.0.0.1:@@PORT@@; no token was sent
      next: aws eks describe-cluster --name prod --query cluster.[endpoint,certificateAuthority]
      next: if both are right, something between answers with a certificate of its own: HTTPS_PROXY?
    ");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_not_taken() {
    let ours = authority();
    let server = server(&ours, "10.0.0.1").await;
    assert_snapshot!(ask(&server, ours.pem()).await.unwrap_err().what, @"the API server of `prod` was not trusted: its certificate is not valid for it");
    assert_snapshot!(told(&ask(&server, "no PEM".into()).await.unwrap_err()), @"
    SW-EKS-ANSWER: the CA of `prod` cannot be read
      why:  DescribeCluster's certificateAuthority is no PEM certificate
    ");
    assert!(server.heard().is_empty());
}
