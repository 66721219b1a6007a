//! The image that a copy begins from: found by its reference in this registry, and in no other.

use super::{Held, Reference, Registry};
use crate::error::{Code, Failure};
use crate::names::{Account, EcrRef, Region};

/// An image in another repository of the same registry.
#[derive(Clone)]
pub struct Original {
    /// As it was typed.
    pub shown: String,
    /// Its repository.
    pub registry: Registry,
    /// What it is.
    pub held: Held,
}

impl Registry {
    /// Reads the image that is named, with its platforms and configs. `account` and `region` are those that
    /// this registry belongs to.
    ///
    /// # Errors
    /// Another registry, nothing there, nothing that runs, or what the registry refuses.
    pub async fn original(
        &self,
        named: &EcrRef,
        account: &Account,
        region: &Region,
    ) -> Result<Original, Failure> {
        if named.account != *account || named.region != *region {
            return Err(abroad(named, account, region));
        }
        let registry = self.beside(&named.repository);
        let reference = match (&named.digest, &named.tag) {
            (Some(digest), _) => Reference::Digest(digest.clone()),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            // It does not parse without either.
            (None, None) => return Err(Failure::new(Code::RunBug, format!("`{named}` is bare"))),
        };
        let held = registry.held(&reference).await.map_err(|failure| mended(failure, named))?;
        let held = held.ok_or_else(|| absent(named, &reference))?;
        if held.configs.is_empty() {
            return Err(Failure::new(Code::ImageInvalid, format!("`{named}` holds no image"))
                .why("nothing in it has the config of an image: it is an artifact, or its parts are gone")
                .next("name an image in `image`"));
        }
        Ok(Original { shown: named.to_string(), registry, held })
    }
}

fn abroad(named: &EcrRef, account: &Account, region: &Region) -> Failure {
    let place = match (named.account == *account, named.region == *region) {
        (true, _) => format!("another region, {}", named.region),
        (false, true) => format!("another account, {}", named.account),
        (false, false) => {
            format!("another account and region, {}, {}", named.account, named.region)
        }
    };
    let host = named.host.replacen(named.account.as_str(), account.as_str(), 1);
    let host = host.replacen(named.region.as_str(), region.as_str(), 1);
    let here = EcrRef { host, ..named.clone() };
    Failure::new(Code::ImageInvalid, format!("`{named}` is in {place}"))
        .why(format!(
            "this run works in {account}, {region}: an image is copied within one registry"
        ))
        .next(format!("let ECR replicate that repository to {account}, {region}, then give"))
        .next(format!("`image: {here}`"))
}

fn absent(named: &EcrRef, reference: &Reference) -> Failure {
    let EcrRef { repository, region, .. } = named;
    let what = match reference {
        Reference::Tag(tag) => format!("tag `{tag}`"),
        Reference::Digest(digest) => digest.to_string(),
    };
    Failure::new(Code::ImageMissing, format!("image `{named}` is not there"))
        .why(format!("ECR `{repository}` has no {what}"))
        .next(format!("aws ecr describe-images --region {region} --repository-name {repository}"))
}

/// What is told of the repository to ship to, told of the one to take from.
fn mended(mut failure: Failure, named: &EcrRef) -> Failure {
    match failure.code {
        Code::EcrMissing => {
            failure.next = vec![format!(
                "correct `image`: aws ecr describe-repositories --region {}",
                named.region
            )];
        }
        Code::Ecr403 => {
            failure
                .next
                .iter_mut()
                .for_each(|line| *line = line.replace("`repository`", "`image`"));
        }
        _ => {}
    }
    failure
}
