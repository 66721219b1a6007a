//! Rules of admission: those that judge the Deployment are met in the dry run, those that judge its pods only
//! after the write.

use crate::scene::{Rule, Scene, Trouble};
use crate::stage::NEW;

/// Ships a good image while this rule refuses every write of the Deployment; nothing may be
/// different then.
async fn refused(rule: Rule) -> String {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    stopped(scene.under(rule)).await
}

async fn stopped(scene: Scene) -> String {
    let before = scene.workload();
    let told = scene.run("ship").await;
    let after = scene.workload();
    assert_eq!((&before["metadata"], &before["spec"]), (&after["metadata"], &after["spec"]));
    scene.ends(&told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_without_a_service_stops_the_dry_run() {
    insta::assert_snapshot!(refused(Rule::SilentWebhook).await, @r#"
    error[SW-ADMIT-WEBHOOK]: nothing was deployed: webhook `policy.example.com` does not answer: `shop/web` cannot be changed
      why:  the API server: "Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.policy.svc:443/?timeout=5s": service "policy" not found"
      now:  3f2a91c serves, 3/3 ready
      next: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations
            and repair the service it names: the image is not the cause
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_denies_the_change_is_quoted() {
    insta::assert_snapshot!(refused(Rule::DenyingWebhook).await, @r#"
    error[SW-ADMIT-POLICY]: nothing was deployed: webhook `policy.example.com` refuses this change of `shop/web`
      why:  the API server: "admission webhook "policy.example.com" denied the request: image must be signed"
      now:  3f2a91c serves, 3/3 ready
      next: change what the rule names, or ask those who keep it
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_policy_that_denies_the_change_is_quoted() {
    insta::assert_snapshot!(refused(Rule::Policy).await, @r#"
    error[SW-ADMIT-POLICY]: nothing was deployed: policy `story` refuses this change of `shop/web`
      why:  the API server: "deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'story' with binding 'story' denied request: image must be signed"
      now:  3f2a91c serves, 3/3 ready
      next: change what the rule names, or ask those who keep it
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_was_in_ecr_before_leaves_nothing_written() {
    let scene = Scene::serving().await.in_ecr(NEW, "new").input("image", "");
    insta::assert_snapshot!(stopped(scene.under(Rule::Policy)).await, @r#"
    error[SW-ADMIT-POLICY]: nothing was written: policy `story` refuses this change of `shop/web`
      why:  the API server: "deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'story' with binding 'story' denied request: image must be signed"
      now:  3f2a91c serves, 3/3 ready
      next: change what the rule names, or ask those who keep it
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

/// Ships a good image whose pods this rule refuses.
async fn no_pods(rule: Rule) -> String {
    let scene = Scene::serving().await.ships(Trouble::NoPods(rule)).await.input("timeout", "6s");
    let told = scene.run("ship").await;
    scene.ends(&told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_without_a_service_for_pods_is_waited_for_and_rolled_back() {
    insta::assert_snapshot!(no_pods(Rule::SilentWebhook).await, @r#"
    error[SW-ADMIT-WEBHOOK]: `shop/web` was not updated to 9f2c1e4 in 6s: no pod can be created: webhook `policy.example.com` does not answer
      why:  API server: "Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.policy.svc:443/?timeout=5s": service "policy" not found"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations
            and repair the service it names: the image is not the cause
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_denies_pods_is_quoted_and_rolled_back() {
    insta::assert_snapshot!(no_pods(Rule::DenyingWebhook).await, @r#"
    error[SW-ADMIT-POLICY]: `shop/web` was not updated to 9f2c1e4: policy `policy.example.com` refuses its pods
      why:  API server: "admission webhook "policy.example.com" denied the request: image must be signed"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: change the workload as the policy says above
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_policy_that_denies_pods_is_quoted_and_rolled_back() {
    insta::assert_snapshot!(no_pods(Rule::Policy).await, @r#"
    error[SW-ADMIT-POLICY]: `shop/web` was not updated to 9f2c1e4: policy `story` refuses its pods
      why:  API server: "ValidatingAdmissionPolicy 'story' with binding 'story' denied request: image must be signed"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: change the workload as the policy says above
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}
