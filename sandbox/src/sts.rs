//! STS: who calls, and temporary credentials for roles. Query protocol in, XML out, with a request
//! id; JSON for those who ask for it, as STS does.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::{self, Issued, Principal, Refusal};
use crate::answer::{Answer, answer, json as json_answer, set};
use crate::call::{Asked, Fields};
use crate::oidc;
use crate::sandbox::State;
use crate::world::{Role, hold};

const SPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Answers one call of STS.
pub(crate) fn answered(state: &State, asked: &Asked, given: &Fields) -> Answer {
    let action = given.get("Action").map_or("", String::as_str);
    let id = crate::serve::request_id(state);
    let plain = asked.header("accept").starts_with("application/json");
    let (status, root, body) = match result(state, asked, given, action) {
        Ok(result) => {
            let body = json!({ format!("{action}Result"): result, "ResponseMetadata": { "RequestId": id } });
            (200, format!("{action}Response"), body)
        }
        Err(no) => {
            let error = json!({ "Type": "Sender", "Code": no.code, "Message": no.message });
            (no.status, "ErrorResponse".into(), json!({ "Error": error, "RequestId": id }))
        }
    };
    let mut answer = match plain {
        true if status == 200 => json_answer(status, &json!({ root: body })),
        true => json_answer(status, &body),
        false => {
            let text = format!("<{root} xmlns=\"{SPACE}\">\n{}</{root}>\n", xml(&body, 1));
            answer(status, "text/xml", text)
        }
    };
    set(&mut answer, "x-amzn-RequestId", &id);
    answer
}

fn result(state: &State, asked: &Asked, given: &Fields, action: &str) -> Result<Value, Refusal> {
    if action == "AssumeRoleWithWebIdentity" {
        return web_identity(state, given);
    }
    let who = access::caller(state, asked, "sts")?;
    match action {
        // It needs no permission, and cannot be denied.
        "GetCallerIdentity" => {
            let account = hold(&state.world).account.clone();
            Ok(json!({ "Arn": who.arn, "UserId": who.id, "Account": account }))
        }
        "AssumeRole" => assume(state, &who, given),
        _ => {
            let said = format!("Could not find operation {action} for version 2011-06-15");
            Err(Refusal::new("InvalidAction", &said, 400))
        }
    }
}

/// The role that a parameter names, if there is one.
fn role(state: &State, arn: &str) -> Option<Role> {
    let world = hold(&state.world);
    world.roles.iter().find(|role| world.role_arn(&role.name) == arn).cloned()
}

fn assume(state: &State, who: &Principal, given: &Fields) -> Result<Value, Refusal> {
    let arn = given.get("RoleArn").cloned().unwrap_or_default();
    let trusted = role(state, &arn)
        .filter(|r| r.principals.iter().any(|p| *p == who.policy || *p == who.arn));
    let world = hold(&state.world).clone();
    let allowed = access::allow(&world, who, "sts:AssumeRole", &arn).is_ok();
    let Some(role) = trusted.filter(|_| allowed) else {
        let said = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            who.arn
        );
        return Err(Refusal::new("AccessDenied", &said, 403));
    };
    become_role(state, &role, given)
}

/// Checks the token as STS does: its form, its provider, its signature, its time, its audience, and
/// last the role's trust policy.
fn web_identity(state: &State, given: &Fields) -> Result<Value, Refusal> {
    let token = given.get("WebIdentityToken").map_or("", String::as_str);
    let claims = oidc::read(state, token)?;
    let subject = claims["sub"].as_str().unwrap_or_default().to_owned();
    let arn = given.get("RoleArn").map_or("", String::as_str);
    let trusted = role(state, arn)
        .filter(|r| r.subjects.iter().any(|pattern| access::matches(pattern, &subject)));
    let denied = hold(&state.world)
        .denied
        .iter()
        .any(|d| access::matches(&d.action, "sts:AssumeRoleWithWebIdentity"));
    let Some(role) = trusted.filter(|_| !denied) else {
        let said = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        return Err(Refusal::new("AccessDenied", said, 403));
    };
    let mut result = become_role(state, &role, given)?;
    let account = hold(&state.world).account.clone();
    result["Provider"] = json!(format!("arn:aws:iam::{account}:oidc-provider/{}", oidc::ISSUER));
    result["Audience"] = claims["aud"].clone();
    result["SubjectFromWebIdentityToken"] = json!(subject);
    Ok(result)
}

fn become_role(state: &State, role: &Role, given: &Fields) -> Result<Value, Refusal> {
    let session = given.get("RoleSessionName").map_or("", String::as_str);
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if !(2..=64).contains(&session.len()) || !session.bytes().all(fine) {
        return Err(invalid(&format!(
            "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let seconds = given.get("DurationSeconds").and_then(|s| s.parse::<u64>().ok());
    if let Some(seconds) = seconds.filter(|s| *s < 900) {
        return Err(invalid(&format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy \
             constraint: Member must have value greater than or equal to 900"
        )));
    }
    if seconds.is_some_and(|s| s > role.session.as_secs().max(3600)) {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(shown(&access::issue(state, role, session, seconds)))
}

fn invalid(said: &str) -> Refusal {
    Refusal::new("ValidationError", said, 400)
}

fn shown(issued: &Issued) -> Value {
    json!({
        "AssumedRoleUser": { "Arn": issued.who.arn, "AssumedRoleId": issued.who.id },
        "Credentials": {
            "AccessKeyId": issued.key,
            "SecretAccessKey": issued.secret,
            "SessionToken": issued.token,
            "Expiration": seconds(issued.expires),
        },
    })
}

/// A time as STS writes it, in whole seconds.
fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn xml(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let Value::Object(fields) = value else {
        return String::new();
    };
    let element = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => {
            format!("{indent}<{name}>\n{}{indent}</{name}>\n", xml(value, depth + 1))
        }
        Value::String(text) => format!("{indent}<{name}>{}</{name}>\n", escaped(text)),
        other => format!("{indent}<{name}>{other}</{name}>\n"),
    };
    fields.iter().map(element).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
