//! TLS for the cluster's endpoint, as EKS has it: a certificate authority that lives as long as the
//! sandbox, and a certificate for loopback. The same port speaks plain HTTP; the first byte decides.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

/// The cluster's authority and what speaks for it.
pub(crate) struct Tls {
    /// The authority's certificate, PEM.
    pub(crate) ca: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// Makes an authority and a certificate for `127.0.0.1` and `localhost`.
    pub(crate) fn made() -> io::Result<Self> {
        let (ca, chain, key) = certificates().map_err(io::Error::other)?;
        // The provider is named, so that a process that has none, or two, can run a sandbox.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
                builder.with_no_client_auth().with_single_cert(vec![chain.der().clone()], key)
            })
            .map_err(io::Error::other)?;
        Ok(Self { ca: pem(ca.der()), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

fn certificates() -> Result<(rcgen::Certificate, rcgen::Certificate, KeyPair), Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "kubernetes");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    let key = KeyPair::generate()?;
    let chain = server.signed_by(&key, &issuer)?;
    Ok((ca, chain, key))
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
