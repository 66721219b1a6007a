//! Repositories, their settings, and the password of the registry.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{named, not_found, page, seconds};
use crate::access::{self, Principal, Refusal};
use crate::sandbox::State;
use crate::world::{Repository, World, hold};

/// GetAuthorizationToken.
pub(super) fn token(state: &State, who: Principal) -> Value {
    let (password, until) = access::password(state, who);
    let other = hold(&state.world).registry.clone();
    json!({ "authorizationData": [{
        "authorizationToken": BASE64_STANDARD.encode(format!("AWS:{password}")),
        "expiresAt": seconds(until),
        "proxyEndpoint": other.unwrap_or_else(|| state.url()),
    }] })
}

fn shown(world: &World, name: &str, kept: &Repository, url: &str) -> Value {
    let uri = match world.loopback_uris {
        true => format!("{}/{name}", url.trim_start_matches("http://")),
        false => world.repository_uri(name),
    };
    json!({
        "repositoryArn": format!("arn:aws:ecr:{}:{}:repository/{name}", world.region, world.account),
        "registryId": world.account,
        "repositoryName": name,
        "repositoryUri": uri,
        "createdAt": seconds(kept.created),
        "imageTagMutability": if kept.immutable { "IMMUTABLE" } else { "MUTABLE" },
        "imageScanningConfiguration": { "scanOnPush": kept.scan_on_push },
        "encryptionConfiguration": { "encryptionType": "AES256" },
    })
}

/// DescribeRepositories: those that are named, or all.
pub(super) fn described(world: &World, given: &Value, url: &str) -> Result<Value, Refusal> {
    let Some(names) = given["repositoryNames"].as_array() else {
        let all = world.repositories.iter().map(|(name, kept)| shown(world, name, kept, url));
        return Ok(page(all.collect(), given, "repositories"));
    };
    let names = names.iter().map(|name| name.as_str().unwrap_or_default());
    let found: Result<Vec<_>, _> = names
        .map(|name| match world.repositories.get(name) {
            Some(kept) => Ok(shown(world, name, kept, url)),
            None => Err(not_found(world, name)),
        })
        .collect();
    Ok(json!({ "repositories": found? }))
}

/// CreateRepository.
pub(super) fn created(world: &mut World, given: &Value, url: &str) -> Result<Value, Refusal> {
    let name = named(given)?;
    if !is_name(name) {
        return Err(Refusal::new(
            "InvalidParameterException",
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy \
             regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''",
            400,
        ));
    }
    if world.repositories.contains_key(name) {
        let said = format!(
            "The repository with name '{name}' already exists in the registry with id '{}'",
            world.account
        );
        return Err(Refusal::new("RepositoryAlreadyExistsException", &said, 400));
    }
    let kept = Repository {
        immutable: given["imageTagMutability"] == "IMMUTABLE",
        scan_on_push: given["imageScanningConfiguration"]["scanOnPush"] == true,
        created: world.now(),
        ..Repository::default()
    };
    world.repositories.insert(name.to_owned(), kept.clone());
    Ok(json!({ "repository": shown(world, name, &kept, url) }))
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (2..=256).contains(&name.len())
        && name.split('/').all(|part| {
            part.split(['.', '_', '-']).all(|word| !word.is_empty() && word.bytes().all(plain))
        })
}

/// DeleteRepository: one with images only by force.
pub(super) fn deleted(world: &mut World, given: &Value, url: &str) -> Result<Value, Refusal> {
    let name = named(given)?;
    let kept = world.repositories.get(name).ok_or_else(|| not_found(world, name))?;
    if !kept.manifests.is_empty() && given["force"] != true {
        let said = format!(
            "The repository with name '{name}' in registry with id '{}' cannot be deleted because \
             it still contains images",
            world.account
        );
        return Err(Refusal::new("RepositoryNotEmptyException", &said, 400));
    }
    let shown = shown(world, name, kept, url);
    world.repositories.remove(name);
    Ok(json!({ "repository": shown }))
}

/// PutImageTagMutability.
pub(super) fn mutability_put(world: &mut World, given: &Value) -> Result<Value, Refusal> {
    let name = named(given)?;
    let absent = not_found(world, name);
    let kept = world.repositories.get_mut(name).ok_or(absent)?;
    kept.immutable = given["imageTagMutability"] == "IMMUTABLE";
    Ok(json!({
        "registryId": world.account,
        "repositoryName": name,
        "imageTagMutability": given["imageTagMutability"],
    }))
}
