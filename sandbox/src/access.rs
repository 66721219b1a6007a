//! Who calls, and what IAM lets them do: users' keys, temporary credentials, registry passwords
//! and the world's denials, in AWS's words.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::call::Asked;
use crate::sandbox::State;
use crate::sigv4;
use crate::world::{Role, World, hold};

/// What AWS says instead of doing it; each service writes it in its own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The name that STS uses; JSON services have other names for some.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) status: u16,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: &str, status: u16) -> Self {
        Self { code, message: message.to_owned(), status }
    }

    /// The name of the error in the JSON protocols.
    pub(crate) fn json_code(&self) -> &'static str {
        match self.code {
            "SignatureDoesNotMatch" => "InvalidSignatureException",
            "InvalidClientTokenId" => "UnrecognizedClientException",
            "ExpiredToken" => "ExpiredTokenException",
            "AccessDenied" => "AccessDeniedException",
            "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
            "IncompleteSignature" => "IncompleteSignatureException",
            code => code,
        }
    }
}

/// Somebody that IAM knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// As GetCallerIdentity shows it.
    pub(crate) arn: String,
    /// The ARN of the user or role whose policies count.
    pub(crate) policy: String,
    /// The unique id.
    pub(crate) id: String,
}

/// An access key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) who: Principal,
}

/// What was handed out.
#[derive(Default)]
pub(crate) struct Sessions {
    keys: BTreeMap<String, Key>,
    passwords: BTreeMap<String, (Principal, Timestamp)>,
}

impl Sessions {
    /// All temporary credentials are expired from now on.
    pub(crate) fn expire_keys(&mut self) {
        self.keys.values_mut().for_each(|key| key.expires = Some(Timestamp::MIN));
    }

    /// All registry passwords are expired from now on.
    pub(crate) fn expire_passwords(&mut self) {
        self.passwords.values_mut().for_each(|(_, until)| *until = Timestamp::MIN);
    }

    /// Whom a registry password was given to, and until when.
    pub(crate) fn password(&self, password: &str) -> Option<&(Principal, Timestamp)> {
        self.passwords.get(password)
    }
}

/// Temporary credentials as they are handed out.
pub(crate) struct Issued {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
    pub(crate) who: Principal,
}

/// Who signed this request; AWS's answer if nobody did.
pub(crate) fn caller(state: &State, asked: &Asked, service: &str) -> Result<Principal, Refusal> {
    let (region, now) = {
        let world = hold(&state.world);
        (world.region.clone(), world.now())
    };
    let key = sigv4::verify(asked, service, &region, now, |id| key(state, id))?;
    if key.expires.is_some_and(|until| until <= now) {
        let said = "The security token included in the request is expired";
        return Err(Refusal::new("ExpiredToken", said, 403));
    }
    Ok(key.who)
}

fn key(state: &State, id: &str) -> Option<Key> {
    if let Some(key) = hold(&state.sessions).keys.get(id) {
        return Some(key.clone());
    }
    let world = hold(&state.world);
    let user = world.users.iter().find(|user| user.key == id)?;
    let arn = world.user_arn(&user.name);
    let who = Principal { policy: arn.clone(), id: unique("AIDA", 17, &arn), arn };
    Some(Key { secret: user.secret.clone(), token: None, expires: None, who })
}

/// Whether IAM lets this principal do that.
pub(crate) fn allow(
    world: &World,
    who: &Principal,
    action: &str,
    resource: &str,
) -> Result<(), Refusal> {
    let denied = world.denied.iter().any(|denial| {
        matches(&denial.action, action)
            && denial.principal.as_ref().is_none_or(|p| *p == who.policy || *p == who.arn)
            && denial.resource.as_ref().is_none_or(|pattern| matches(pattern, resource))
    });
    if !denied {
        return Ok(());
    }
    let message = format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} \
         because no identity-based policy allows the {action} action",
        who.arn
    );
    Err(Refusal { code: "AccessDenied", message, status: 403 })
}

/// Whether a pattern, in which `*` is anything, matches the whole text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    loop {
        if matches(rest, left) {
            return true;
        }
        let mut chars = left.chars();
        if chars.next().is_none() {
            return false;
        }
        left = chars.as_str();
    }
}

/// Hands out credentials for a session of this role.
pub(crate) fn issue(state: &State, role: &Role, session: &str, seconds: Option<u64>) -> Issued {
    let (arn, policy, now) = {
        let world = hold(&state.world);
        let arn = format!("arn:aws:sts::{}:assumed-role/{}/{session}", world.account, role.name);
        (arn, world.role_arn(&role.name), world.now())
    };
    // A world may have shorter sessions than AWS allows to ask for, never longer than asked.
    let life =
        seconds.map_or(role.session, |s| role.session.min(std::time::Duration::from_secs(s)));
    let expires = now + SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
    let id = format!("{}:{session}", unique("AROA", 17, &policy));
    let issued = Issued {
        key: unique("ASIA", 16, &random(state, "key")),
        secret: random(state, "secret")[..40].to_owned(),
        token: BASE64_STANDARD.encode(random(state, "token").repeat(5)),
        expires,
        who: Principal { arn, policy, id },
    };
    let key = Key {
        secret: issued.secret.clone(),
        token: Some(issued.token.clone()),
        expires: Some(expires),
        who: issued.who.clone(),
    };
    hold(&state.sessions).keys.insert(issued.key.clone(), key);
    issued
}

/// Hands out a registry password and says how long it holds.
pub(crate) fn password(state: &State, who: Principal) -> (String, Timestamp) {
    let until = {
        let world = hold(&state.world);
        world.now() + SignedDuration::try_from(world.password_life).unwrap_or(SignedDuration::MAX)
    };
    let password = BASE64_STANDARD.encode(random(state, "password").repeat(12));
    hold(&state.sessions).passwords.insert(password.clone(), (who, until));
    (password, until)
}

/// Hex digits that nobody guesses by accident; this guards a sandbox, not an account.
pub(crate) fn random(state: &State, what: &str) -> String {
    let seed = format!("{what} {} {} {:?}", state.number(), state.address, state.folder.path());
    hex::encode(Sha256::digest(seed))
}

/// An id as IAM makes them: a prefix and so many letters, the same for the same name. Users and
/// roles have 17 letters, keys 16.
pub(crate) fn unique(prefix: &str, letters: usize, name: &str) -> String {
    let known = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(name);
    let rest = digest.iter().take(letters).map(|b| char::from(known[usize::from(b % 32)]));
    prefix.chars().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_matches_anything_anywhere() {
        assert!(matches("ecr:*", "ecr:BatchGetImage"));
        assert!(matches("repo:acme/*:ref:*", "repo:acme/web:ref:refs/heads/main"));
        assert!(!matches("repo:acme/*:ref:*", "repo:acme/web:pull_request"));
        assert!(matches("a", "a") && !matches("a", "ab") && matches("a*", "a"));
    }
}
