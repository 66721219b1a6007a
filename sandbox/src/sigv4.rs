//! SigV4, checked: recomputes the signature of a request from its parts, in the header form and in
//! the presigned form. Written from AWS's description of the process, not from any SDK.

use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::access::{Key, Refusal};
use crate::call::{Asked, decoded, fields};

const FORM: &str = "%Y%m%dT%H%M%SZ";

/// What a signature says about itself.
struct Claim {
    key: String,
    scope: Vec<String>,
    headers: Vec<String>,
    signature: String,
    date: String,
    token: Option<String>,
    /// The query that was signed.
    query: String,
}

/// Finds the key that signed this request for this service, or says what AWS says. Whether the key
/// has expired is the caller's question.
pub(crate) fn verify(
    asked: &Asked,
    service: &str,
    region: &str,
    now: Timestamp,
    find: impl Fn(&str) -> Option<Key>,
) -> Result<Key, Refusal> {
    let claim = claim(asked)?;
    let key = find(&claim.key).filter(|key| key.token == claim.token).ok_or_else(|| {
        let said = "The security token included in the request is invalid.";
        Refusal::new("InvalidClientTokenId", said, 403)
    })?;
    scoped(&claim, service, region)?;
    let wanted = signature(&key.secret, &claim, &canonical(asked, &claim));
    let complete = claim.headers.iter().any(|h| h == "host") && is_whole(asked);
    if wanted != claim.signature || !complete {
        return Err(mismatch(
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method. \
             Consult the service documentation for details.",
        ));
    }
    in_time(&claim, now)?;
    Ok(key)
}

fn mismatch(said: &str) -> Refusal {
    Refusal::new("SignatureDoesNotMatch", said, 403)
}

/// Whether the body is the one that the client says it signed.
fn is_whole(asked: &Asked) -> bool {
    let claimed = asked.header("x-amz-content-sha256");
    claimed.is_empty() || claimed == sha(&asked.body)
}

fn claim(asked: &Asked) -> Result<Claim, Refusal> {
    let given = fields(&asked.query);
    let head = asked.header("authorization");
    if given.contains_key("X-Amz-Signature") {
        let field = |name: &str| given.get(&format!("X-Amz-{name}")).cloned();
        let kept: Vec<_> =
            asked.query.split('&').filter(|p| !p.starts_with("X-Amz-Signature=")).collect();
        let parts = (field("Credential"), field("SignedHeaders"), field("Signature"));
        return made(parts, field("Date"), field("Security-Token"), kept.join("&"));
    }
    let Some(head) = head.strip_prefix("AWS4-HMAC-SHA256") else {
        let said = "Request is missing Authentication Token";
        return Err(Refusal::new("MissingAuthenticationToken", said, 403));
    };
    let field = |name: &str| {
        head.split(',')
            .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
            .map(str::to_owned)
    };
    let optional = |name: &str| Some(asked.header(name).to_owned()).filter(|v| !v.is_empty());
    let parts = (field("Credential"), field("SignedHeaders"), field("Signature"));
    made(parts, optional("x-amz-date"), optional("x-amz-security-token"), asked.query.clone())
}

type Parts = (Option<String>, Option<String>, Option<String>);

fn made(
    parts: Parts,
    date: Option<String>,
    token: Option<String>,
    query: String,
) -> Result<Claim, Refusal> {
    let (Some(credential), Some(headers), Some(signature), Some(date)) =
        (parts.0, parts.1, parts.2, date)
    else {
        let said = "Authorization header requires 'Credential', 'SignedHeaders', 'Signature' \
                    parameters and existence of either a 'X-Amz-Date' or a 'Date' header.";
        return Err(Refusal::new("IncompleteSignature", said, 400));
    };
    let mut scope: Vec<String> = credential.split('/').map(str::to_owned).collect();
    if scope.len() != 5 {
        let said = format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got '{credential}'"
        );
        return Err(Refusal::new("IncompleteSignature", &said, 400));
    }
    let key = scope.remove(0);
    let headers = headers.split(';').map(str::to_owned).collect();
    Ok(Claim { key, scope, headers, signature, date, token, query })
}

fn scoped(claim: &Claim, service: &str, region: &str) -> Result<(), Refusal> {
    let [day, in_region, for_service, end] = claim.scope.as_slice() else {
        return Err(mismatch("Credential is malformed."));
    };
    if in_region != region {
        let said = format!("Credential should be scoped to a valid region, not '{in_region}'. ");
        return Err(mismatch(&said));
    }
    if for_service != service {
        let said = format!("Credential should be scoped to correct service: '{service}'. ");
        return Err(mismatch(&said));
    }
    if end != "aws4_request" || !claim.date.starts_with(day.as_str()) {
        return Err(mismatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
        ));
    }
    Ok(())
}

/// Fifteen minutes back and five ahead. STS takes a presigned address that long whatever its
/// `X-Amz-Expires` says.
fn in_time(claim: &Claim, now: Timestamp) -> Result<(), Refusal> {
    let show = |at: Timestamp| at.strftime(FORM).to_string();
    let Ok(signed) = jiff::civil::DateTime::strptime(FORM, &claim.date)
        .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|at| at.timestamp())
    else {
        let said = format!("Date must be in ISO-8601 'basic format'. Got '{}'.", claim.date);
        return Err(Refusal::new("IncompleteSignature", &said, 400));
    };
    let (oldest, newest) =
        (now - SignedDuration::from_mins(15), now + SignedDuration::from_mins(5));
    let (date, at) = (&claim.date, show(now));
    if signed < oldest {
        let oldest = show(oldest);
        return Err(mismatch(&format!(
            "Signature expired: {date} is now earlier than {oldest} ({at} - 15 min.)"
        )));
    }
    if signed > newest {
        let newest = show(newest);
        return Err(mismatch(&format!(
            "Signature not yet current: {date} is still later than {newest} ({at} + 5 min.)"
        )));
    }
    Ok(())
}

/// The canonical request: the path is encoded once more, as every service but S3 wants it.
fn canonical(asked: &Asked, claim: &Claim) -> String {
    let headers: String =
        claim.headers.iter().map(|h| format!("{h}:{}\n", folded(asked, h))).collect();
    let mut pairs: Vec<_> = claim
        .query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(&decoded(name), false), encoded(&decoded(value), false)))
        .collect();
    pairs.sort();
    let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        asked.method,
        encoded(&asked.path, true),
        query.join("&"),
        claim.headers.join(";"),
        sha(&asked.body),
    )
}

/// A header's values, trimmed, with single spaces.
fn folded(asked: &Asked, name: &str) -> String {
    let values = asked.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let tidy = |value: &str| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    values.map(tidy).collect::<Vec<_>>().join(",")
}

fn signature(secret: &str, claim: &Claim, canonical: &str) -> String {
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{}\n{}",
        claim.date,
        claim.scope.join("/"),
        sha(canonical.as_bytes())
    );
    let key = claim
        .scope
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    hex::encode(hmac(&key, text.as_bytes()))
}

/// HMAC with SHA-256.
pub(crate) fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn sha(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Percent encoding as SigV4 wants it.
fn encoded(text: &str, slashes: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if plain || (slashes && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Principal;
    use bytes::Bytes;
    use hyper::{HeaderMap, Method};

    /// The worked example of AWS's documentation: ListUsers of IAM, 30 August 2015.
    fn example() -> Asked {
        let mut headers = HeaderMap::new();
        let mut put =
            |name: &'static str, value: &str| headers.insert(name, value.parse().unwrap());
        put("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        put("host", "iam.amazonaws.com");
        put("x-amz-date", "20150830T123600Z");
        put(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        );
        Asked {
            method: Method::GET,
            path: "/".into(),
            query: "Action=ListUsers&Version=2010-05-08".into(),
            headers,
            body: Bytes::new(),
        }
    }

    fn checked(asked: &Asked, at: &str) -> Result<Key, Refusal> {
        let key = Key {
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            token: None,
            expires: None,
            who: Principal { arn: "a".into(), policy: "a".into(), id: "a".into() },
        };
        verify(asked, "iam", "us-east-1", at.parse().unwrap(), |_| Some(key.clone()))
    }

    #[test]
    fn the_example_of_the_documentation_is_accepted() {
        assert!(checked(&example(), "2015-08-30T12:40:00Z").is_ok());
    }

    #[test]
    fn a_changed_query_or_a_changed_header_is_refused() {
        let mut asked = example();
        asked.query.push('1');
        let said = checked(&asked, "2015-08-30T12:40:00Z").err().map(|r| r.code);
        assert_eq!(said, Some("SignatureDoesNotMatch"));
        let mut asked = example();
        asked.headers.insert("host", "sts.amazonaws.com".parse().unwrap());
        let said = checked(&asked, "2015-08-30T12:40:00Z").err().map(|r| r.code);
        assert_eq!(said, Some("SignatureDoesNotMatch"));
    }

    #[test]
    fn a_signature_holds_fifteen_minutes_and_not_before_its_time() {
        let said = |at| checked(&example(), at).err().map(|r| r.message);
        assert_eq!(
            said("2015-08-30T12:51:01Z").as_deref(),
            Some(
                "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
                  (20150830T125101Z - 15 min.)"
            )
        );
        assert_eq!(
            said("2015-08-30T12:30:00Z").as_deref(),
            Some(
                "Signature not yet current: 20150830T123600Z is still later than \
                  20150830T123500Z (20150830T123000Z + 5 min.)"
            )
        );
        assert_eq!(said("2015-08-30T12:50:59Z"), None);
    }
}
