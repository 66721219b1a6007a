//! The runner's token endpoint, and STS's reading of such tokens. They are signed with a key that
//! only this process has, so a changed token is refused as one with a wrong signature is.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::access::Refusal;
use crate::answer::{Answer, answer, json as json_answer};
use crate::call::{Asked, fields};
use crate::sandbox::State;
use crate::sigv4;
use crate::world::{World, hold};

/// The one key that GitHub publishes.
const KEY: &str = "sandbox";

/// GitHub's issuer, without its scheme.
pub(crate) const ISSUER: &str = "token.actions.githubusercontent.com";

/// Answers a step that asks for a token.
pub(crate) fn answered(state: &State, asked: &Asked) -> Answer {
    let world = hold(&state.world);
    let given = asked.header("authorization");
    let token = given.split_once(' ').map_or("", |(_, token)| token);
    if asked.parts() != ["oidc", "token"] {
        return answer(404, "text/plain", "no such endpoint in this sandbox\n");
    }
    if token != world.oidc.request_token {
        return answer(401, "application/json", r#"{"message":"the request token is not valid"}"#);
    }
    let audience = fields(&asked.query).get("audience").cloned();
    let audience = audience.unwrap_or_else(|| format!("https://github.com/{}", owner(&world)));
    let jwt = minted(&world, &audience);
    json_answer(200, &json!({ "count": jwt.len(), "value": jwt }))
}

fn owner(world: &World) -> String {
    world.github.repository.split('/').next().unwrap_or_default().to_owned()
}

/// A token with the claims of a run, as far as anybody here reads them.
fn minted(world: &World, audience: &str) -> String {
    let now = world.now().as_second();
    let life = i64::try_from(world.oidc.life.as_secs()).unwrap_or(i64::MAX);
    let claims = json!({
        "iss": format!("https://{ISSUER}"),
        "aud": audience,
        "sub": world.oidc.subject,
        "iat": now,
        "nbf": now - 300,
        "exp": now.saturating_add(life),
        "repository": world.github.repository,
        "repository_owner": owner(world),
        "runner_environment": "github-hosted",
    });
    let key = if world.oidc.published { KEY } else { "unpublished" };
    let head = json!({ "alg": "RS256", "kid": key, "typ": "JWT" });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&head), part(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature(world, &signed));
    format!("{signed}.{signature}")
}

fn signature(world: &World, signed: &str) -> Vec<u8> {
    sigv4::hmac(world.oidc.request_token.as_bytes(), signed.as_bytes())
}

/// Reads a token as STS does, up to the trust policy.
pub(crate) fn read(state: &State, token: &str) -> Result<Value, Refusal> {
    let invalid = |said: &str| Refusal::new("InvalidIdentityToken", said, 400);
    let claims = part(token, 1).ok_or_else(|| {
        invalid(
            "The ID Token provided is not a valid JWT. \
             (You may see this error if you sent an Access Token)",
        )
    })?;
    let world = hold(&state.world);
    let issuer = claims["iss"].as_str().unwrap_or_default();
    if !world.oidc.provider || issuer.strip_prefix("https://") != Some(ISSUER) {
        let said = format!("No OpenIDConnect provider found in your account for {issuer}");
        return Err(invalid(&said));
    }
    let (signed, given) = token.rsplit_once('.').unwrap_or_default();
    let is_known = part(token, 0).is_some_and(|head| head["kid"] == KEY);
    let is_signed = BASE64_URL_SAFE_NO_PAD.decode(given).ok() == Some(signature(&world, signed));
    if !(is_known && is_signed) {
        // The two spaces are AWS's own.
        let said = "Couldn't retrieve verification key from your identity provider,  \
             please reference AssumeRoleWithWebIdentity documentation for requirements";
        return Err(invalid(said));
    }
    let (now, until) = (world.now().as_second(), claims["exp"].as_i64().unwrap_or_default());
    if now >= until {
        let said = format!(
            "Token expired: current date/time {now} must be before the expiration date/time {until}"
        );
        return Err(Refusal::new("ExpiredTokenException", &said, 400));
    }
    if !world.oidc.audiences.iter().any(|audience| claims["aud"] == **audience) {
        return Err(invalid("Incorrect token audience"));
    }
    Ok(claims)
}

/// The head or the claims of a token.
fn part(token: &str, number: usize) -> Option<Value> {
    let text = token.split('.').nth(number)?;
    let part: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    part.is_object().then_some(part)
}
