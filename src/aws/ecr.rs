//! ECR's API: the repository and its settings, and the login of the registry.
//!
//! Hosts are taken from AWS's answers, never put together here.

use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability,
    Repository as Described,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use serde::Serialize;

use super::Aws;
use crate::error::{Code, Failure, Unseen};
use crate::names::{ImageRef, Repository, Tag, nearest};

/// What DescribeRepositories says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepositoryState {
    /// It is there.
    Found(FoundRepository),
    /// It is not.
    Missing,
    /// We may not look: the right is optional.
    NotSeen(Unseen),
}

/// A repository and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundRepository {
    /// `host/name`, with neither tag nor digest.
    pub uri: ImageRef,
    /// Its ARN.
    pub arn: String,
    /// Which tags may be overwritten.
    pub mutability: Mutability,
    /// Whether an image is scanned when it is pushed.
    pub scan_on_push: bool,
    /// How it is encrypted.
    pub encryption: Encryption,
}

/// Which tags may be overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mutability {
    /// The rule.
    pub mutable: bool,
    /// Tag patterns (`*` for anything) for which the opposite holds.
    pub exclusions: Vec<String>,
}

impl Mutability {
    /// Whether this tag may be overwritten.
    #[must_use]
    pub fn may_overwrite(&self, tag: &Tag) -> bool {
        self.mutable != self.exclusions.iter().any(|pattern| wildcard(pattern, tag.as_str()))
    }
}

/// How a repository is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// By keys of AWS's own.
    Aes256,
    /// By a KMS key, whose policy readers need too.
    Kms {
        /// Its ARN, where it is told.
        key: Option<String>,
    },
}

/// What the registry's own API wants.
#[derive(Clone, Debug)]
pub struct RegistryLogin {
    /// `proxyEndpoint`: scheme and host.
    pub endpoint: String,
    /// `AWS`.
    pub user: String,
    /// The password, for at most 12 hours.
    pub password: SecretString,
    /// When it ends.
    pub expires: Option<jiff::Timestamp>,
}

impl Aws {
    /// Reads a repository and its settings; a missing right is a state of its own.
    ///
    /// # Errors
    /// When AWS cannot be reached, does not know us, or does not answer.
    pub async fn repository(&self, repository: &Repository) -> Result<RepositoryState, Failure> {
        let request = self.0.ecr.describe_repositories().repository_names(repository.as_str());
        let answer = match self.ask("ecr:DescribeRepositories", || request.clone().send()).await {
            Ok(answer) => answer,
            Err(fault) => {
                return match fault.code() {
                    "RepositoryNotFoundException" => Ok(RepositoryState::Missing),
                    _ if fault.is_denied() => {
                        Ok(RepositoryState::NotSeen(fault.unseen("repository settings")))
                    }
                    _ => Err(fault.failure(&self.ecr_place(self.repository_arn(repository)))),
                };
            }
        };
        let named = |d: &Described| d.repository_name() == Some(repository.as_str());
        match answer.repositories.unwrap_or_default().into_iter().find(named) {
            Some(described) => Ok(RepositoryState::Found(found(&described)?)),
            None => Ok(RepositoryState::Missing),
        }
    }

    /// Creates a repository: immutable tags, scan on push. If somebody was faster, theirs is taken.
    ///
    /// # Errors
    /// When it may not be created.
    pub async fn create_repository(
        &self,
        repository: &Repository,
    ) -> Result<FoundRepository, Failure> {
        let request = self
            .0
            .ecr
            .create_repository()
            .repository_name(repository.as_str())
            .image_tag_mutability(ImageTagMutability::Immutable)
            .image_scanning_configuration(
                ImageScanningConfiguration::builder().scan_on_push(true).build(),
            );
        match self.ask("ecr:CreateRepository", || request.clone().send()).await {
            Ok(answer) => match answer.repository {
                Some(described) => found(&described),
                None => Err(unclear("ecr:CreateRepository", "the answer names no repository")),
            },
            Err(fault) => {
                if fault.code() == "RepositoryAlreadyExistsException"
                    && let RepositoryState::Found(theirs) = self.repository(repository).await?
                {
                    return Ok(theirs);
                }
                Err(fault.failure(&self.ecr_place(self.repository_arn(repository))))
            }
        }
    }

    /// The names of the repositories, for a did-you-mean: the first thousand.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn repositories(&self) -> Result<Vec<Repository>, Unseen> {
        let request = self.0.ecr.describe_repositories().max_results(1000);
        let answer = self.ask("ecr:DescribeRepositories", || request.clone().send()).await;
        let answer = answer.map_err(|fault| fault.unseen("repositories"))?;
        let names = answer.repositories.unwrap_or_default();
        Ok(names.iter().filter_map(|d| d.repository_name()?.parse().ok()).collect())
    }

    /// Says that a repository is not there, with the nearest that is.
    pub async fn repository_missing(&self, repository: &Repository) -> Failure {
        missing(repository, self.region().as_str(), &self.repositories().await)
    }

    /// Takes the login of the registry.
    ///
    /// # Errors
    /// When it is not given.
    pub async fn registry_login(&self) -> Result<RegistryLogin, Failure> {
        let action = "ecr:GetAuthorizationToken";
        let answer = self.ask(action, || self.0.ecr.get_authorization_token().send()).await;
        let answer = answer.map_err(|fault| fault.failure(&self.ecr_place("*".into())))?;
        let given = answer.authorization_data.unwrap_or_default().into_iter().next();
        let given = given.ok_or_else(|| unclear(action, "the answer holds no token"))?;
        let (Some(token), Some(endpoint)) = (given.authorization_token(), given.proxy_endpoint())
        else {
            return Err(unclear(action, "the answer holds no token or no registry"));
        };
        (self.0.secrets)(token);
        let (user, password) =
            login(token).ok_or_else(|| unclear(action, "its token is no login"))?;
        (self.0.secrets)(&password);
        Ok(RegistryLogin {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            user,
            password: password.into(),
            expires: given.expires_at().and_then(|t| jiff::Timestamp::from_second(t.secs()).ok()),
        })
    }

    pub(super) fn repository_arn(&self, repository: &Repository) -> String {
        self.arn("ecr", &format!("repository/{repository}"))
    }
}

fn login(token: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn found(described: &Described) -> Result<FoundRepository, Failure> {
    let uri = described.repository_uri().unwrap_or_default();
    let uri = uri.parse::<ImageRef>().map_err(|e| unclear("ecr:DescribeRepositories", &e))?;
    let mutable = !matches!(
        described.image_tag_mutability(),
        Some(ImageTagMutability::Immutable | ImageTagMutability::ImmutableWithExclusion)
    );
    let exclusions = described.image_tag_mutability_exclusion_filters();
    Ok(FoundRepository {
        uri,
        arn: described.repository_arn().unwrap_or_default().to_owned(),
        mutability: Mutability {
            mutable,
            exclusions: exclusions.iter().map(|f| f.filter().to_owned()).collect(),
        },
        scan_on_push: described
            .image_scanning_configuration()
            .is_some_and(ImageScanningConfiguration::scan_on_push),
        encryption: described.encryption_configuration().map_or(Encryption::Aes256, encryption),
    })
}

fn encryption(told: &EncryptionConfiguration) -> Encryption {
    match told.encryption_type() {
        EncryptionType::Aes256 => Encryption::Aes256,
        _ => Encryption::Kms { key: told.kms_key().map(ToOwned::to_owned) },
    }
}

/// `*` stands for any run of characters; everything else for itself.
fn wildcard(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|i| tail.is_char_boundary(*i))
                .any(|i| wildcard(rest, &tail[i..]))
        }),
    }
}

fn missing(
    repository: &Repository,
    region: &str,
    others: &Result<Vec<Repository>, Unseen>,
) -> Failure {
    let failure =
        Failure::new(Code::EcrMissing, format!("ECR has no repository `{repository}` in {region}"));
    let near = match others {
        Err(unseen) => {
            let line = format!("not seen: {} ({})", unseen.what, unseen.because);
            return failure.why(line).next(create(repository, region));
        }
        Ok(names) => nearest(repository.as_str(), names.iter().map(Repository::as_str)),
    };
    match near {
        Some(near) => failure
            .why(format!("the nearest that is there: `{near}`"))
            .next(format!("set `repository: {near}`, or {}", create(repository, region))),
        None => failure
            .why("`ecr:DescribeRepositories` answered RepositoryNotFoundException")
            .next(create(repository, region)),
    }
}

fn create(repository: &Repository, region: &str) -> String {
    format!(
        "aws ecr create-repository --region {region} --image-tag-mutability IMMUTABLE --repository-name {repository}"
    )
}

pub(super) fn unclear(action: &str, why: &str) -> Failure {
    Failure::new(Code::AwsAnswer, format!("the answer to `{action}` cannot be used"))
        .why(why)
        .next("check the ECR endpoint, if one is set")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::aws::tests::told;

    fn may(mutable: bool, exclusions: &[&str], tag: &str) -> bool {
        let exclusions = exclusions.iter().map(|e| (*e).to_owned()).collect();
        Mutability { mutable, exclusions }.may_overwrite(&tag.parse().unwrap())
    }

    #[test]
    fn an_exclusion_turns_the_rule_around_for_its_tags() {
        assert!(may(true, &[], "latest"));
        assert!(!may(false, &[], "latest"));
        assert!(may(false, &["latest", "dev-*"], "dev-7"));
        assert!(!may(false, &["latest", "dev-*"], "prod-7"));
        assert!(!may(true, &["v*"], "v1"));
        assert!(may(true, &["v*.0"], "v1.1"));
        assert!(!may(true, &["*v*0*"], "xv10"));
    }

    #[test]
    fn a_login_is_the_user_and_the_rest() {
        let token = BASE64_STANDARD.encode("AWS:pass:word");
        assert_eq!(login(&token), Some(("AWS".into(), "pass:word".into())));
        assert_eq!(login("!"), None);
    }

    #[test]
    fn a_missing_repository_is_told_with_the_nearest() {
        let asked: Repository = "web".parse().unwrap();
        let others = Ok(vec!["shop/web".parse().unwrap(), "api".parse().unwrap()]);
        assert_snapshot!(told(&missing(&asked, "ap-northeast-2", &others)), @"
        SW-ECR-MISSING: ECR has no repository `web` in ap-northeast-2
          why:  the nearest that is there: `shop/web`
          next: set `repository: shop/web`, or aws ecr create-repository --region ap-northeast-2 --image-tag-mutability IMMUTABLE --repository-name web
        ");
        let unseen =
            Err(Unseen { what: "repositories".into(), because: "may not describe".into() });
        assert_snapshot!(told(&missing(&asked, "ap-northeast-2", &unseen)), @"
        SW-ECR-MISSING: ECR has no repository `web` in ap-northeast-2
          why:  not seen: repositories (may not describe)
          next: aws ecr create-repository --region ap-northeast-2 --image-tag-mutability IMMUTABLE --repository-name web
        ");
    }
}
