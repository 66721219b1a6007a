//! The token that an EKS cluster takes: a GetCallerIdentity request, signed and not sent.
//!
//! Minting is local: the cluster's own authenticator sends the request to STS, so the host is the
//! region's real one, unless the STS endpoint is overridden.

use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::SecretString;

use super::Aws;
use crate::error::{Code, Failure};
use crate::names::Cluster;

/// The life that the signature claims, as every client does; the cluster counts 15 minutes itself.
const CLAIMED: Duration = Duration::from_secs(60);
/// A cluster takes a token for 15 minutes after its date.
const RENEW_AFTER: Duration = Duration::from_secs(10 * 60);

/// A token for a cluster.
#[derive(Clone, Debug)]
pub struct EksToken {
    /// `k8s-aws-v1.…`
    pub token: SecretString,
    /// Mint another after this: the cluster takes this one for some minutes more.
    pub renew_at: Instant,
}

impl Aws {
    /// Mints a token after the cluster refused the last: a session can be ended before its time, so
    /// it is renewed first. Keys that cannot be renewed are asked about, since STS says what the
    /// cluster's 401 does not.
    ///
    /// # Errors
    /// When the credentials have ended, or others are refused.
    pub async fn eks_token_after_401(&self, cluster: &Cluster) -> Result<EksToken, Failure> {
        let provider = &self.0.provider;
        if !provider.distrust(provider.renewals()).await
            && let Err(failure) = self.caller().await
            && matches!(failure.code, Code::AwsExpired | Code::AwsKey)
        {
            return Err(failure);
        }
        self.eks_token(cluster).await
    }

    /// Mints a token for this cluster; local, but for credentials that must be renewed first.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn eks_token(&self, cluster: &Cluster) -> Result<EksToken, Failure> {
        let credentials = self.0.provider.credentials().await?;
        let ends = credentials.expiry().and_then(|end| end.duration_since(SystemTime::now()).ok());
        let renew_at = Instant::now() + ends.map_or(RENEW_AFTER, |left| left.min(RENEW_AFTER));
        let token = presigned(
            &self.0.sts_base,
            &self.0.region,
            cluster.as_str(),
            credentials,
            self.0.clock.now(),
        );
        let token = token.map_err(|words| {
            Failure::new(Code::RunBug, "the cluster's token cannot be signed").why(words)
        })?;
        (self.0.secrets)(&token);
        Ok(EksToken { token: token.into(), renew_at })
    }
}

fn presigned(
    base: &str,
    region: &crate::names::Region,
    cluster: &str,
    credentials: Credentials,
    at: SystemTime,
) -> Result<String, String> {
    let url =
        format!("{}/?Action=GetCallerIdentity&Version=2011-06-15", base.trim_end_matches('/'));
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(CLAIMED);
    let identity: Identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(at)
        .settings(settings)
        .build()
        .map_err(|e| e.to_string())?;
    let headers = [("x-k8s-aws-id", cluster)];
    let request =
        SignableRequest::new("GET", url.as_str(), headers.into_iter(), SignableBody::Bytes(&[]))
            .map_err(|e| e.to_string())?;
    let (signed, _) = sign(request, &params.into()).map_err(|e| e.to_string())?.into_parts();
    let mut request = http::Request::builder().uri(url).body(()).map_err(|e| e.to_string())?;
    signed.apply_to_request_http1x(&mut request);
    Ok(format!("k8s-aws-v1.{}", BASE64_URL_SAFE_NO_PAD.encode(request.uri().to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What botocore's SigV4QueryAuth (1.44.5) signed for this key, cluster and second.
    const PLAIN: &str = "93b073e14a14da39e4fcab043fc39ebc6d1237932f9bd2a080fefc4f10911d02";
    const WITH_SESSION: &str = "a28a87e059336d3a47ab3db3b97a3d1b4181a4f4ee3f7754e89d32680bd5b696";

    fn url(session: Option<&str>) -> String {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let session = session.map(ToOwned::to_owned);
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, session, None, "test");
        let region = "ap-northeast-2".parse().unwrap();
        let at = SystemTime::from(
            jiff::civil::date(2026, 11, 21).at(10, 30, 0, 0).in_tz("UTC").unwrap(),
        );
        let base = "https://sts.ap-northeast-2.amazonaws.com";
        let token = presigned(base, &region, "prod", credentials, at).unwrap();
        let encoded = token.strip_prefix("k8s-aws-v1.").unwrap();
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    }

    fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
        let query = url.split_once('?').unwrap().1;
        query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).unwrap()
    }

    #[test]
    fn the_signature_is_the_one_botocore_makes() {
        let plain = url(None);
        assert_eq!(parameter(&plain, "X-Amz-Signature"), PLAIN, "{plain}");
        assert_eq!(parameter(&plain, "X-Amz-Expires"), "60");
        assert_eq!(parameter(&plain, "X-Amz-Date"), "20261121T103000Z");
        assert_eq!(parameter(&plain, "X-Amz-SignedHeaders"), "host%3Bx-k8s-aws-id");
        let temporary = url(Some("FwoGZXIvYXdzEXAMPLE/token+with=signs=="));
        assert_eq!(parameter(&temporary, "X-Amz-Signature"), WITH_SESSION, "{temporary}");
    }

    #[test]
    fn the_token_asks_the_region_s_own_sts_in_every_partition() {
        let host = |region: &str| crate::aws::sts_url(&region.parse().unwrap());
        assert_eq!(host("ap-northeast-2"), "https://sts.ap-northeast-2.amazonaws.com");
        assert_eq!(host("us-east-1"), "https://sts.us-east-1.amazonaws.com");
        assert_eq!(host("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn");
        assert_eq!(host("us-gov-west-1"), "https://sts.us-gov-west-1.amazonaws.com");
        assert_eq!(host("eusc-de-east-1"), "https://sts.eusc-de-east-1.amazonaws.eu");
    }
}
