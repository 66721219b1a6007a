//! The one HTTP connector of this room: rustls with ring, further authorities from `AWS_CA_BUNDLE`
//! and `SSL_CERT_FILE`, proxies from the environment, bounded waiting.
//!
//! It follows no redirect, so that no header of ours reaches a host that we did not choose.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::shared::IntoShared as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::{Code, Failure};

/// How long a connection may take to come up.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may take to begin.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where systems keep their authorities. `SSL_CERT_FILE` hides them from the platform loader, but
/// somebody who adds a proxy's authority still wants AWS's.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The connector that the SDK clients and the request for GitHub's token share.
pub(super) fn connector() -> Result<SharedHttpConnector, Failure> {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(ANSWER_WITHIN)
        .build();
    let context = TlsContext::builder().with_trust_store(trust_store()?).build().map_err(|e| {
        Failure::new(Code::RunBug, "the TLS client cannot be set up").why(e.to_string())
    })?;
    let connector = Connector::builder()
        .connector_settings(settings)
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build();
    Ok(connector.into_shared())
}

/// A client for the SDKs over that connector.
pub(super) fn client(connector: &SharedHttpConnector) -> SharedHttpClient {
    let connector = connector.clone();
    http_client_fn(move |_, _| connector.clone())
}

fn trust_store() -> Result<TrustStore, Failure> {
    let mut store = TrustStore::default();
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let Some(path) = std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from)
        else {
            continue;
        };
        for pem in bundle(variable, &path)? {
            store.add_pem_certificate(pem);
        }
        if variable == "SSL_CERT_FILE" {
            for pem in system_bundle() {
                store.add_pem_certificate(pem);
            }
        }
    }
    Ok(store)
}

fn system_bundle() -> Vec<Vec<u8>> {
    let bytes = SYSTEM_BUNDLES.iter().find_map(|path| std::fs::read(path).ok());
    bytes.map(|bytes| usable(&bytes)).unwrap_or_default()
}

fn bundle(variable: &str, path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let refuse = |why: String| {
        Failure::new(Code::InputInvalid, format!("`{variable}` is no bundle of certificates"))
            .why(why)
            .next(format!("set {variable} to a PEM file that this step can read, or unset it"))
    };
    let bytes = std::fs::read(path).map_err(|e| refuse(format!("`{}`: {e}", path.display())))?;
    let certificates = usable(&bytes);
    if certificates.is_empty() {
        return Err(refuse(format!("`{}` holds no certificate in PEM", path.display())));
    }
    Ok(certificates)
}

/// The certificates that rustls accepts, each as PEM of its own. The SDK's client panics on any
/// other, so they are sorted out before it sees them.
fn usable(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut probe = RootCertStore::empty();
    CertificateDer::pem_slice_iter(bytes)
        .filter_map(Result::ok)
        .filter(|der| probe.add(der.clone()).is_ok())
        .map(|der| pem(&der))
        .collect()
}

fn pem(der: &[u8]) -> Vec<u8> {
    let body = BASE64_STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::aws::tests::told;

    /// An authority that signs for nobody.
    const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgjCCASmgAwIBAgIUSKwGUukP38Rk53g71KoWF6hIag8wCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMc2xpcHdheS10ZXN0MB4XDTI2MTEyMTExMzczNFoXDTM2MTEx
ODExMzczNFowFzEVMBMGA1UEAwwMc2xpcHdheS10ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEavJXin1Kw6fgajgtBsR9NZDgeNKwB9N5d30iJkIC1Glql/IY
l4JVyHJPi4nITdTzEf+y7eU/tPydcT6D8ch9HqNTMFEwHQYDVR0OBBYEFLk6/SP0
QXPCz6wdgBawsq745JwOMB8GA1UdIwQYMBaAFLk6/SP0QXPCz6wdgBawsq745JwO
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgJ6eM1shyLvROM6Y6
GS3RQlm06dfCaohwoW+o8FTQ0HECIGI/jvKl014HV2F1ytADQzyPGWM72/42X1YU
E01/f0qo
-----END CERTIFICATE-----
";

    #[test]
    fn a_bundle_is_read_around_what_is_no_certificate() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let found = usable(format!("# corporate\n{broken}{AUTHORITY}").as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(usable(&found[0]).len(), 1);
    }

    #[test]
    fn a_bundle_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let tells = || {
            let failure = bundle("AWS_CA_BUNDLE", &path).unwrap_err();
            told(&failure).replace(&path.display().to_string(), "@@PATH@@")
        };
        assert_snapshot!(tells(), @"
        SW-INPUT-INVALID: `AWS_CA_BUNDLE` is no bundle of certificates
          why:  `@@PATH@@`: No such file or directory (os error 2)
          next: set AWS_CA_BUNDLE to a PEM file that this step can read, or unset it
        ");
        std::fs::write(&path, "not PEM").unwrap();
        assert_snapshot!(tells(), @"
        SW-INPUT-INVALID: `AWS_CA_BUNDLE` is no bundle of certificates
          why:  `@@PATH@@` holds no certificate in PEM
          next: set AWS_CA_BUNDLE to a PEM file that this step can read, or unset it
        ");
    }
}
