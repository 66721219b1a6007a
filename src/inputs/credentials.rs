//! Which identity the inputs give: keys, a job's OIDC token, a role on top of keys, or none.

use secrecy::SecretString;

use super::raw::{Environment, Fault, on_runner};
use super::typed::Reader;
use crate::aws::Identity;
use crate::error::{Code, Failure};
use crate::names::RoleArn;

/// What the inputs say about credentials.
pub enum Credentials {
    /// Enough to ask AWS who it is.
    Given(Identity),
    /// None: told as it is unless the run can do without.
    None(Failure),
}

/// Reads keys, role and the job's token endpoint. Halves of a key pair are faults.
pub fn read(reader: &mut Reader<'_>, environment: &Environment) -> Credentials {
    let role: Option<RoleArn> = reader.name("role-to-assume");
    let id = reader.text("aws-access-key-id");
    let secret = reader.text("aws-secret-access-key");
    let session = reader.text("aws-session-token").map(SecretString::from);
    let keys = match (id, secret) {
        (Some(id), Some(secret)) => {
            Some(Identity::Keys { id: id.into(), secret: secret.into(), session })
        }
        (Some(_), None) => half(reader, "aws-secret-access-key", "aws-access-key-id"),
        (None, Some(_)) => half(reader, "aws-access-key-id", "aws-secret-access-key"),
        (None, None) => None,
    };
    match (keys, role) {
        (Some(keys), Some(role)) => {
            Credentials::Given(Identity::Chain { base: Box::new(keys), role })
        }
        (Some(keys), None) => Credentials::Given(keys),
        (None, Some(role)) => by_oidc(role, environment),
        (None, None) => Credentials::None(no_credentials(environment)),
    }
}

fn half(reader: &mut Reader<'_>, missing: &str, given: &str) -> Option<Identity> {
    reader.faults.push(Fault::new(format!("`{missing}` is missing beside `{given}`")));
    None
}

fn by_oidc(role: RoleArn, environment: &Environment) -> Credentials {
    let of = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let (url, token) = (of("ACTIONS_ID_TOKEN_REQUEST_URL"), of("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    if let (Some(request_url), Some(request_token)) = (url, token) {
        // China's STS has its own audience; GovCloud's does not.
        let china = role.as_str().starts_with("arn:aws-cn:");
        let audience = if china { "sts.amazonaws.com.cn" } else { "sts.amazonaws.com" };
        return Credentials::Given(Identity::Oidc {
            role,
            request_url: request_url.clone(),
            request_token: request_token.as_str().into(),
            audience: audience.into(),
        });
    }
    let failure = if on_runner(environment) {
        Failure::new(Code::OidcToken, "this job may not ask for an OIDC token")
            .why("`role-to-assume` is given without keys, and the runner gave no ACTIONS_ID_TOKEN_REQUEST_URL")
            .next("give the job `permissions: { contents: read, id-token: write }`")
    } else {
        Failure::new(Code::InputMissing, "no AWS credentials")
            .why("`role-to-assume` is given without keys, and only a GitHub job has an OIDC token")
            .next("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: the role is assumed with them")
    };
    Credentials::None(failure)
}

fn no_credentials(environment: &Environment) -> Failure {
    let failure = Failure::new(Code::InputMissing, "no AWS credentials");
    if !on_runner(environment) {
        return failure
            .why("`aws-access-key-id`, `aws-secret-access-key` and `role-to-assume` are empty")
            .next("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN with temporary keys)");
    }
    let empty = "`aws-access-key-id`, `aws-secret-access-key` are empty";
    match secrets_named_by_the_workflow(environment) {
        Some((file, names)) => {
            let shown: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            let set: Vec<_> = names.iter().map(|name| format!("gh secret set {name}")).collect();
            failure
                .why(format!("{empty}: {file} names secrets this job cannot see, {}", shown.join(", ")))
                .next(format!("{}   or no stored key: `role-to-assume`", set.join("; ")))
        }
        None => failure
            .why(empty)
            .next("give the step aws-access-key-id: ${{ secrets.AWS_KEY }} and aws-secret-access-key: ${{ secrets.AWS_SECRET }}, or `role-to-assume`"),
    }
}

/// The workflow file's own name for the two secrets: its `with:` is read, nothing of it is run.
fn secrets_named_by_the_workflow(environment: &Environment) -> Option<(String, Vec<String>)> {
    let reference = environment.get("GITHUB_WORKFLOW_REF")?;
    let path = reference.split('@').next()?.split_once(".github/workflows/")?.1;
    let workspace = environment.get("GITHUB_WORKSPACE")?;
    let text = std::fs::read_to_string(
        std::path::Path::new(workspace).join(".github/workflows").join(path),
    )
    .ok()?;
    let mut names: Vec<_> = text.lines().filter_map(secret_of_line).collect();
    names.dedup();
    (!names.is_empty()).then(|| (path.to_owned(), names))
}

fn secret_of_line(line: &str) -> Option<String> {
    let (key, value) = line.trim().split_once(':')?;
    matches!(key, "aws-access-key-id" | "aws-secret-access-key").then_some(())?;
    let expression = value.trim().strip_prefix("${{")?.split("}}").next()?.trim();
    let name = expression.strip_prefix("secrets.")?;
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_').then(|| name.to_owned())
}
