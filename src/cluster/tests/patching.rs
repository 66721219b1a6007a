//! The write: sent once, and every answer told apart.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::server::{Say, Server, ok, status};
use super::{connect, told};
use crate::cluster::live::tests::{deployment, live};
use crate::cluster::{Patch, PatchAnswer};

fn patch() -> Patch {
    let images: BTreeMap<String, String> = [("app".to_owned(), "ecr/web:new".to_owned())].into();
    Patch::images(&live(), &images, &BTreeMap::new()).unwrap()
}

fn name(answer: &PatchAnswer) -> &'static str {
    match answer {
        PatchAnswer::Applied(_) => "applied",
        PatchAnswer::Conflict(_) => "conflict",
        PatchAnswer::Invalid(..) => "invalid",
        PatchAnswer::Forbidden(_) => "forbidden",
        PatchAnswer::Refused(_) => "refused",
        PatchAnswer::Gone => "gone",
        PatchAnswer::Lost(_) => "lost",
    }
}

#[tokio::test]
async fn a_patch_is_sent_as_it_was_planned_and_a_dry_run_says_so() {
    let server = Server::start(|_, _| ok(&deployment())).await;
    let cluster = connect(&server);
    assert_eq!(name(&cluster.try_patch(&patch()).await.unwrap()), "applied");
    let PatchAnswer::Applied(object) = cluster.patch(&patch()).await.unwrap() else {
        panic!("not applied")
    };
    assert_eq!(object.metadata.generation, Some(4));
    let heard = server.heard();
    let path = "/apis/apps/v1/namespaces/shop/deployments/web";
    assert_eq!(heard[0].target, format!("{path}?dryRun=All&fieldManager=slipway"));
    assert_eq!(heard[1].target, format!("{path}?fieldManager=slipway"));
    assert_eq!(
        (heard[1].method.as_str(), heard[1].content_type.as_str()),
        ("PATCH", "application/json-patch+json")
    );
    assert_eq!(
        serde_json::from_str::<Value>(&heard[1].body).unwrap(),
        serde_json::to_value(patch()).unwrap()
    );
}

/// The words are the API server's own.
fn answers() -> Vec<(&'static str, Say)> {
    let invalid = json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422,
        "message": "Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value",
        "details": {"causes": [{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.template.spec.containers[0].image"}]}});
    let policy = json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422,
        "message": "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no latest",
        "details": {"causes": [{"message": "no latest"}]}});
    vec![
        (
            "conflict",
            status(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            ),
        ),
        ("conflict", status(409, "Conflict", "the object has been modified")),
        ("invalid", Say::Answer(422, invalid.to_string())),
        ("refused", Say::Answer(422, policy.to_string())),
        (
            "refused",
            status(
                403,
                "Forbidden",
                "admission webhook \"v.kyverno.svc\" denied the request: unsigned image",
            ),
        ),
        (
            "refused",
            status(
                500,
                "InternalError",
                "Internal error occurred: failed calling webhook \"v.kyverno.svc\": context deadline exceeded",
            ),
        ),
        (
            "forbidden",
            status(
                403,
                "Forbidden",
                "deployments.apps \"web\" is forbidden: User \"ship\" cannot patch resource \"deployments\"",
            ),
        ),
        ("gone", status(404, "NotFound", "deployments.apps \"web\" not found")),
        ("lost", status(500, "InternalError", "etcdserver: request timed out")),
        ("lost", status(504, "Timeout", "request did not complete within the allotted timeout")),
        ("lost", Say::Answer(502, "<html>bad gateway</html>".into())),
        ("lost", Say::Answer(200, "{}x".into())),
        ("lost", Say::Close),
        ("lost", Say::Nothing),
    ]
}

#[tokio::test]
async fn every_answer_is_told_apart_and_no_write_is_repeated_blindly() {
    let server = Server::start(|_, before| answers().swap_remove(before).1).await;
    let cluster = connect(&server);
    for (asked, (expected, _)) in answers().into_iter().enumerate() {
        let answer = cluster.patch(&patch()).await.unwrap();
        assert_eq!(name(&answer), expected, "{asked}: {answer:?}");
        assert_eq!(server.heard().len(), asked + 1, "sent once");
    }
}

#[tokio::test]
async fn a_write_that_was_turned_away_unread_is_sent_again() {
    let server = Server::start(|heard, before| match before {
        0 => status(429, "TooManyRequests", "too many requests"),
        _ if heard.token == "Bearer t1" => status(401, "Unauthorized", "Unauthorized"),
        _ => ok(&deployment()),
    })
    .await;
    assert_eq!(name(&connect(&server).patch(&patch()).await.unwrap()), "applied");
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn refusals_read_like_what_they_are() {
    let said = "deployments.apps \"web\" is forbidden: User \"ship\" cannot patch";
    let webhook = "admission webhook \"v.kyverno.svc\" denied the request: unsigned image";
    let silent = "Internal error occurred: failed calling webhook \"v.kyverno.svc\": context deadline exceeded";
    let server = Server::start(|_, _| Say::Close).await;
    let cluster = connect(&server);
    let all = [
        told(&cluster.may_not_patch(&patch(), said)),
        told(&PatchAnswer::Refused(webhook.into()).refusal(&patch()).unwrap()),
        told(&PatchAnswer::Refused(silent.into()).refusal(&patch()).unwrap()),
        told(
            &PatchAnswer::Conflict("the server rejected our request".into())
                .refusal(&patch())
                .unwrap(),
        ),
        told(
            &PatchAnswer::Invalid("it is invalid".into(), vec!["spec.x: Required value".into()])
                .refusal(&patch())
                .unwrap(),
        ),
        told(&PatchAnswer::Gone.refusal(&patch()).unwrap()),
    ];
    assert_snapshot!(all.join("\n"), @r#"
    SW-EKS-403: role `ship` may not patch deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "ship" cannot patch"
      next: kubectl -n shop create role ship --verb=patch --resource=deployments.apps
      next: kubectl -n shop create rolebinding ship --role=ship --group=slipway
    SW-ADMIT-POLICY: webhook `v.kyverno.svc` refuses this change of `shop/web`
      why:  the API server: "admission webhook "v.kyverno.svc" denied the request: unsigned image"
      next: change what the rule names, or ask those who keep it
    SW-ADMIT-WEBHOOK: webhook `v.kyverno.svc` does not answer: `shop/web` cannot be changed
      why:  the API server: "Internal error occurred: failed calling webhook "v.kyverno.svc": context deadline exceeded"
      next: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations
      next: and repair the service it names: the image is not the cause
    SW-WORKLOAD-CHANGED: `shop/web` was changed by somebody else just now
      why:  the API server: "the server rejected our request"
      next: run it again: it reads the workload anew
    SW-WORKLOAD-INVALID: `shop/web` would not be valid with this image
      why:  the API server: "it is invalid"
      why:  "spec.x: Required value"
      next: kubectl -n shop edit deployment web
    SW-WORKLOAD-GONE: `shop/web` was deleted just now
      next: kubectl -n shop get deployments
    "#);
}
