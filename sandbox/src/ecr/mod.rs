//! ECR's JSON API: who may, which operation, and errors in its form. Repositories and images are in
//! the files beside this one.

mod images;
mod repositories;

use serde_json::{Value, json};

use crate::access::{self, Principal, Refusal};
use crate::answer::{Answer, answer, set};
use crate::call::Asked;
use crate::registry::no_repository;
use crate::sandbox::State;
use crate::world::{Repository, World, hold};

/// Answers one operation.
pub(crate) fn answered(state: &State, asked: &Asked, operation: &str) -> Answer {
    let (status, body) = match result(state, asked, operation) {
        Ok(body) => (200, body),
        // The JSON protocol has one status for every mistake of a caller.
        Err(no) => (400, json!({ "__type": no.json_code(), "message": no.message })),
    };
    let mut answer = answer(status, "application/x-amz-json-1.1", body.to_string());
    set(&mut answer, "x-amzn-RequestId", &crate::serve::request_id(state));
    answer
}

fn result(state: &State, asked: &Asked, operation: &str) -> Result<Value, Refusal> {
    let who = access::caller(state, asked, "ecr")?;
    let given: Value = match asked.body.as_ref() {
        b"" => json!({}),
        body => serde_json::from_slice(body)
            .map_err(|_| Refusal::new("SerializationException", "the body is no JSON", 400))?,
    };
    let name = given["repositoryName"].as_str().or_else(|| given["repositoryNames"][0].as_str());
    permitted(state, &who, operation, name)?;
    if operation == "GetAuthorizationToken" {
        return Ok(repositories::token(state, who));
    }
    let url = state.url();
    let mut world = hold(&state.world);
    match operation {
        "DescribeRepositories" => repositories::described(&world, &given, &url),
        "CreateRepository" => repositories::created(&mut world, &given, &url),
        "DeleteRepository" => repositories::deleted(&mut world, &given, &url),
        "PutImageTagMutability" => repositories::mutability_put(&mut world, &given),
        "BatchGetImage" => images::got(&world, &given),
        "DescribeImages" => images::described(&world, &given),
        "ListImages" => images::listed(&world, &given),
        "BatchCheckLayerAvailability" => images::layers(&world, &given),
        "BatchDeleteImage" => images::deleted(&mut world, &given),
        "PutImage" => images::put(&mut world, &given),
        _ => Err(Refusal::new("UnknownOperationException", "", 400)),
    }
}

fn permitted(
    state: &State,
    who: &Principal,
    operation: &str,
    name: Option<&str>,
) -> Result<(), Refusal> {
    let world = hold(&state.world);
    // Without a name it is about all repositories, and the token is about none.
    let resource = match (name, operation) {
        (_, "GetAuthorizationToken") => "*".to_owned(),
        (name, _) => {
            let name = name.unwrap_or("*");
            format!("arn:aws:ecr:{}:{}:repository/{name}", world.region, world.account)
        }
    };
    access::allow(&world, who, &format!("ecr:{operation}"), &resource)
}

/// The repository that a call is about.
fn repository<'w>(
    world: &'w World,
    given: &Value,
) -> Result<(&'w String, &'w Repository), Refusal> {
    let name = named(given)?;
    world.repositories.get_key_value(name).ok_or_else(|| not_found(world, name))
}

fn named(given: &Value) -> Result<&str, Refusal> {
    given["repositoryName"].as_str().ok_or_else(|| {
        let said = "1 validation error detected: Value null at 'repositoryName' failed to satisfy \
                    constraint: Member must not be null";
        Refusal::new("ValidationException", said, 400)
    })
}

fn not_found(world: &World, name: &str) -> Refusal {
    let said = no_repository(name, &world.account);
    Refusal::new("RepositoryNotFoundException", &said, 400)
}

/// A page of a list, and the token of the next one.
fn page(all: Vec<Value>, given: &Value, key: &str) -> Value {
    let from = given["nextToken"].as_str().and_then(|t| t.parse::<usize>().ok()).unwrap_or(0);
    let most = given["maxResults"].as_u64().and_then(|m| usize::try_from(m).ok()).unwrap_or(100);
    let mut body = json!({});
    if all.len() > from.saturating_add(most) {
        body["nextToken"] = json!((from + most).to_string());
    }
    body[key] = all.into_iter().skip(from).take(most).collect();
    body
}

/// A time as this protocol writes it: seconds.
fn seconds(at: jiff::Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1000.0)
}
