//! Images in ECR as people type them: `123456789012.dkr.ecr.REGION.amazonaws.com/web:TAG`. Pure.

use std::fmt;
use std::str::FromStr;

use super::{Account, Digest, ImageRef, Malformed, Region, Repository, Tag};

/// What an ECR host ends with, in every partition of AWS.
const ENDS: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// An image in a private registry of ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrRef {
    /// The registry's host, as it was typed.
    pub host: String,
    /// Whose registry.
    pub account: Account,
    /// Where.
    pub region: Region,
    /// The repository in it.
    pub repository: Repository,
    /// The tag, where one is typed.
    pub tag: Option<Tag>,
    /// The digest, where one is typed: then the tag says nothing.
    pub digest: Option<Digest>,
}

impl EcrRef {
    /// Whether this text begins with a host of ECR: then it is meant as such a reference, whether it is
    /// a good one or not.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.split_once('/').is_some_and(|(host, _)| located(host).is_some())
    }
}

/// Account and region of an ECR host: `ACCOUNT.dkr.ecr.REGION.END`, with `dkr-ecr` where it is dual-stack
/// and `ecr-fips` where it is that.
fn located(host: &str) -> Option<(Account, Region)> {
    let (account, rest) = host.split_once('.')?;
    let services = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."];
    let rest = services.iter().find_map(|service| rest.strip_prefix(service))?;
    let (region, end) = rest.split_once('.')?;
    let known = ENDS.contains(&end);
    Some((account.parse().ok()?, region.parse().ok()?)).filter(|_| known)
}

impl FromStr for EcrRef {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let form = || "an image in ECR is `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG`";
        let parsed: ImageRef = text.parse()?;
        let host = parsed.registry.ok_or_else(form)?;
        let (account, region) = located(&host).ok_or_else(form)?;
        if parsed.tag.is_none() && parsed.digest.is_none() {
            return Err("it names no tag and no digest: add `:TAG` or `@sha256:...`".into());
        }
        let repository = parsed.repository.parse()?;
        Ok(Self { host, account, region, repository, tag: parsed.tag, digest: parsed.digest })
    }
}

impl fmt::Display for EcrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, Malformed> {
        let read: EcrRef = text.parse()?;
        let tag = read.tag.map(|tag| tag.to_string()).unwrap_or_default();
        let digest = read.digest.map(|digest| digest.short().to_owned()).unwrap_or_default();
        Ok(format!("{} {} {} {tag} {digest}", read.account, read.region, read.repository))
    }

    #[test]
    fn hosts_of_every_partition_are_known() {
        for host in [
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
            "123456789012.dkr-ecr.us-east-1.on.aws",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.cn",
            "123456789012.dkr.ecr.us-east-1.amazonaws.eu",
            "123456789012.dkr.ecr.us-east-1.c2s.ic.gov",
        ] {
            let text = format!("{host}/staging/web:v1");
            assert!(EcrRef::is_meant(&text), "{text}");
            assert_eq!(read(&text), Ok("123456789012 us-east-1 staging/web v1 ".into()));
        }
        for other in [
            "out/image.tar",
            "image.tar:v1",
            "docker.io/library/web:v1",
            "127.0.0.1:5000/web:v1",
            "12345.dkr.ecr.us-east-1.amazonaws.com/web:v1",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example/web:v1",
            "123456789012.dkr.ecr.us-east-1.example.com/web:v1",
            "123456789012.dkr.ecr.us.amazonaws.com/web:v1",
        ] {
            assert!(!EcrRef::is_meant(other), "{other}");
            assert!(read(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_digest_or_a_tag_is_needed() {
        let host = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com";
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(
            read(&format!("{host}/web@{digest}")),
            Ok("123456789012 ap-northeast-2 web  sha256:aaaaaaaaaaaa".into())
        );
        let both = format!("{host}/web:v1@{digest}");
        assert_eq!(both.parse::<EcrRef>().map(|both_| both_.to_string()), Ok(both));
        assert_eq!(
            read(&format!("{host}/web")),
            Err("it names no tag and no digest: add `:TAG` or `@sha256:...`".into())
        );
        assert!(read(&format!("{host}/Web:v1")).is_err());
        assert!(read(&format!("{host}/web@sha256:abc")).is_err());
    }
}
