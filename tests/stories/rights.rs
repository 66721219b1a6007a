//! Rights: a needed one that is missing is told before any write with the command that grants it; an
//! optional one never fails a run, and the report says what it could not see.

use slipway_sandbox::{Fault, World};

use crate::stage::{NEW, Stage};

/// A run of a workflow that ships a good commit.
async fn shipping(change: impl FnOnce(&mut World)) -> Stage {
    Stage::with(change).await.serving().ships("good").on_github(11).input("bake", "0s")
}

const NEEDED: [(&str, &str); 8] = [
    ("patch", "deployments"),
    ("get", "deployments"),
    ("list", "deployments"),
    ("watch", "deployments"),
    ("list", "replicasets"),
    ("watch", "replicasets"),
    ("list", "pods"),
    ("watch", "pods"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_of_the_cluster_is_refused_by_its_name() {
    let mut all = String::new();
    for (verb, resource) in NEEDED {
        let stage = shipping(|_| {}).await;
        stage.kube().deny(verb, resource);
        let told = stage.run("ship").await;
        assert_eq!(stage.writes(), [""; 0], "{verb} {resource}");
        all += &format!("{verb} {resource} {}\n", told.words());
    }
    insta::assert_snapshot!(all, @r#"
    patch deployments -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not patch deployments.apps in `shop`
      why:  access review: patch no; get, list, watch yes; groups: slipway
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role demo --verb=patch --resource=deployments.apps
            kubectl -n shop create rolebinding demo --role=demo --group=slipway

    get deployments -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not get deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "arn:aws:iam::123456789012:user/demo" cannot get resource "deployments" in API group "apps" in the namespace "shop""
      now:  not visible
      next: kubectl -n shop create role demo --verb=get --resource=deployments.apps
            kubectl -n shop create rolebinding demo --role=demo --group=slipway

    list deployments -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not list deployments.apps in `shop`
      why:  access review: list no; patch, get, watch yes; groups: slipway
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role demo --verb=list --resource=deployments.apps
            kubectl -n shop create rolebinding demo --role=demo --group=slipway

    watch deployments -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not watch deployments.apps in `shop`
      why:  access review: watch no; patch, get, list yes; groups: slipway
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role demo --verb=watch --resource=deployments.apps
            kubectl -n shop create rolebinding demo --role=demo --group=slipway

    list replicasets -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not list replicasets.apps in `shop`
      why:  access review: list no; watch yes; groups: slipway
      now:  3f2a91c is set, 3/3 ready
      next: kubectl -n shop create role demo --verb=list --resource=replicasets.apps
            kubectl -n shop create rolebinding demo --role=demo --group=slipway

    watch replicasets -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not watch replicasets.apps in `shop`
      why:  access review: watch no; list yes; groups: slipway
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role demo --verb=watch --resource=replicasets.apps
            kubectl -n shop create rolebinding demo --role=demo --group=slipway

    list pods -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not list pods in `shop`
      why:  access review: list no; watch yes; groups: slipway
      now:  3f2a91c is set, 3/3 ready
      next: kubectl -n shop create role demo --verb=list --resource=pods
            kubectl -n shop create rolebinding demo --role=demo --group=slipway

    watch pods -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not watch pods in `shop`
      why:  access review: watch no; list yes; groups: slipway
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role demo --verb=watch --resource=pods
            kubectl -n shop create rolebinding demo --role=demo --group=slipway
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_missing_rights_are_one_refusal() {
    let stage = shipping(|_| {}).await;
    for (verb, resource) in [("patch", "deployments"), ("watch", "pods"), ("list", "pods")] {
        stage.kube().deny(verb, resource);
    }
    insta::assert_snapshot!(stage.run("ship").await.words(), @"
    -> 3
    error[SW-EKS-403]: nothing was written: user `demo` may not patch deployments.apps in `shop`
      why:  access review: deployments.apps patch no; get, list, watch yes; pods list, watch no; groups: slipway
      now:  3f2a91c is set, 3/3 ready
      next: kubectl -n shop create role demo --verb=patch --resource=deployments.apps
            kubectl -n shop create rolebinding demo --role=demo --group=slipway
            kubectl -n shop create role demo-pods --verb=list,watch --resource=pods
            kubectl -n shop create rolebinding demo-pods --role=demo-pods --group=slipway
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_optional_right_of_the_cluster_is_only_not_seen() {
    let optional =
        [("get", "pods/log"), ("list", "events"), ("watch", "events"), ("list", "nodes")];
    let mut all = String::new();
    for (verb, resource) in optional {
        let stage = shipping(|world| {
            world.cluster.node_groups[0].ami_type = "AL2023_x86_64_STANDARD".into();
        })
        .await;
        stage.kube().deny(verb, resource);
        all +=
            &format!("{verb} {resource} {}{}\n", stage.run("ship").await.words(), stage.serves());
    }
    insta::assert_snapshot!(all, @"
    get pods/log -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    list events -> 0
    not seen: events (may not watch)
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    watch events -> 0
    not seen: events (may not watch)
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    list nodes -> 0
    not seen: nodes (may not list)
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_whose_log_may_not_be_read_is_still_a_crash() {
    let stage = Stage::new().await.serving().ships("crash").on_github(11);
    stage.kube().deny("get", "pods/log");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.words(), @"
    -> 5
    not seen: logs of web-@HASH@-@POD@ (may not read)
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its log was not seen; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_an_access_entry_is_told_how_to_get_one() {
    let stage = shipping(|world| world.cluster.access.clear()).await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.words(), @r"
    -> 3
    error[SW-EKS-401]: nothing was written: `prod` does not know user `demo`
      why:  401 twice, the second time to a new token; DescribeAccessEntry: not found
      now:  not visible
      next: aws eks create-access-entry --cluster-name prod --kubernetes-groups slipway \
              --principal-arn arn:aws:iam::123456789012:user/demo
    ");
    assert_eq!(stage.writes(), [""; 0]);
    let stage = shipping(|world| {
        world.cluster.access.clear();
        world.deny("eks:DescribeAccessEntry");
    })
    .await;
    insta::assert_snapshot!(stage.run("ship").await.words(), @r"
    -> 3
    error[SW-EKS-401]: nothing was written: `prod` does not know user `demo`
      why:  401 twice, the second time to a new token; DescribeAccessEntry: not seen (may not describe)
      now:  not visible
      next: aws eks create-access-entry --cluster-name prod --kubernetes-groups slipway \
              --principal-arn arn:aws:iam::123456789012:user/demo
    ");
}

/// Ships without this action, and tells what is said, what serves and which tags there are.
async fn without(action: &str) -> String {
    let stage = shipping(|world| {
        world.deny(action);
    })
    .await;
    let told = stage.run("ship").await;
    let tags: Vec<_> =
        stage.sandbox.tags("web").into_keys().map(|tag| tag[..7].to_owned()).collect();
    format!("{action} {}{}, tags {}\n\n", told.words(), stage.serves(), tags.join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_of_ecr_that_reads_is_told_by_its_weight() {
    let mut all = String::new();
    for action in
        ["GetAuthorizationToken", "DescribeRepositories", "BatchGetImage", "DescribeImages"]
    {
        all += &without(&format!("ecr:{action}")).await;
    }
    insta::assert_snapshot!(all, @r#"
    ecr:GetAuthorizationToken -> 3
    error[SW-ECR-403]: nothing was written: user `demo` may not `ecr:GetAuthorizationToken`
      why:  `ecr:GetAuthorizationToken` answered 400 AccessDeniedException: "no identity-based policy allows the ecr:GetAuthorizationToken action"
      now:  not visible
      next: add to the policies of user `demo`:
            {"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready, tags 3f2a91c

    ecr:DescribeRepositories -> 0
    not seen: repository settings (may not describe)
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready, tags 3f2a91c 9f2c1e4

    ecr:BatchGetImage -> 3
    error[SW-ECR-403]: nothing was written: these credentials may not read ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows..."
            the right that was missing: ecr:BatchGetImage
      now:  not visible
      next: see that `repository` is spelled right; if it is, add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready, tags 3f2a91c

    ecr:DescribeImages -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready, tags 3f2a91c 9f2c1e4
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_of_ecr_that_a_push_needs_is_refused_by_its_name() {
    let mut all = String::new();
    for action in [
        "BatchCheckLayerAvailability",
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "PutImage",
    ] {
        all += &without(&format!("ecr:{action}")).await;
    }
    insta::assert_snapshot!(all, @r#"
    ecr:BatchCheckLayerAvailability -> 4
    error[SW-ECR-403]: nothing was deployed: these credentials may not read ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403
            the right that was missing: ecr:BatchCheckLayerAvailability
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
              "Resource": "arn:aws:ecr:REGION:ACCOUNT:repository/web" }
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready, tags 3f2a91c

    ecr:InitiateLayerUpload -> 4
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:InitiateLayerUpload
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready, tags 3f2a91c

    ecr:UploadLayerPart -> 4
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:UploadLayerPart on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allo..."
            the right that was missing: ecr:UploadLayerPart
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready, tags 3f2a91c

    ecr:CompleteLayerUpload -> 4
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:CompleteLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:CompleteLayerUpload
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready, tags 3f2a91c

    ecr:PutImage -> 4
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows the ..."
            the right that was missing: ecr:PutImage
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready, tags 3f2a91c
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_of_eks_is_told_by_its_weight() {
    let mut all = String::new();
    for action in [
        "eks:DescribeCluster",
        "eks:ListNodegroups",
        "eks:DescribeNodegroup",
        "ecr:CreateRepository",
    ] {
        let stage = shipping(|world| {
            world.deny(action);
        })
        .await;
        let stage = if action.starts_with("ecr") {
            stage
                .input("repository", "new")
                .input("create-repository", "true")
                .input("container", "app")
        } else {
            stage
        };
        all += &format!("{action} {}{}\n\n", stage.run("ship").await.words(), stage.serves());
    }
    insta::assert_snapshot!(all, @r#"
    eks:DescribeCluster -> 3
    error[SW-EKS-DENIED]: nothing was written: user `demo` may not `eks:DescribeCluster` on `prod`
      why:  `eks:DescribeCluster` answered 403 AccessDeniedException: "no identity-based policy allows the eks:DescribeCluster action"
      now:  not visible
      next: see that `cluster` is spelled right; if it is, add to the policies of user `demo`:
            {"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"arn:aws:eks:ap-northeast-2:123456789012:cluster/prod"}
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready

    eks:ListNodegroups -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready

    eks:DescribeNodegroup -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready

    ecr:CreateRepository -> 4
    error[SW-ECR-403]: nothing was deployed: user `demo` may not `ecr:CreateRepository` on `new`
      why:  `ecr:CreateRepository` answered 400 AccessDeniedException: "no identity-based policy allows the ecr:CreateRepository action"
      now:  3f2a91c serves, 3/3 ready
      next: see that `repository` is spelled right; if it is, add to the policies of user `demo`:
            {"Effect":"Allow","Action":"ecr:CreateRepository","Resource":"arn:aws:ecr:ap-northeast-2:123456789012:repository/new"}
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    "#);
}

/// With rights for one repository and one cluster, IAM denies before anybody says "not found".
#[tokio::test(flavor = "multi_thread")]
async fn a_misspelled_name_under_least_rights_is_thought_of() {
    let mut all = String::new();
    for (input, action) in [("repository", "ecr:BatchGetImage"), ("cluster", "eks:DescribeCluster")]
    {
        let stage = shipping(|world| {
            world.deny(action).deny("ecr:DescribeRepositories");
        })
        .await;
        let stage = stage.input(input, "misspelled").input("container", "app");
        all += &format!("{input} {}\n", stage.run("ship").await.words());
        assert_eq!(stage.writes(), [""; 0], "{input}");
    }
    insta::assert_snapshot!(all, @r#"
    repository -> 3
    error[SW-ECR-403]: nothing was written: these credentials may not read ECR `misspelled`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/misspelled because no identity-based policy..."
            the right that was missing: ecr:BatchGetImage
      now:  not visible
      next: see that `repository` is spelled right; if it is, add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/misspelled" }

    cluster -> 3
    error[SW-EKS-DENIED]: nothing was written: user `demo` may not `eks:DescribeCluster` on `misspelled`
      why:  `eks:DescribeCluster` answered 403 AccessDeniedException: "no identity-based policy allows the eks:DescribeCluster action"
      now:  not visible
      next: see that `cluster` is spelled right; if it is, add to the policies of user `demo`:
            {"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"arn:aws:eks:ap-northeast-2:123456789012:cluster/misspelled"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_image_needs_no_right_to_push() {
    let stage = Stage::with(|world| {
        world.image("web", NEW, &Stage::new_image());
        for action in [
            "ecr:InitiateLayerUpload",
            "ecr:UploadLayerPart",
            "ecr:CompleteLayerUpload",
            "ecr:PutImage",
        ] {
            world.deny(action);
        }
    })
    .await;
    let stage = stage.serving().on_github(11).input("bake", "0s");
    insta::assert_snapshot!(stage.run("ship").await.words(), @"
    -> 0
    shipped 9f2c1e4 to shop/web in @s
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_may_not_be_reviewed_are_not_seen_and_the_patch_decides() {
    let stage = shipping(|_| {}).await;
    stage.sandbox.fault("selfsubjectaccessreviews", 99, Fault::status(403));
    insta::assert_snapshot!(stage.run("ship").await.words(), @"
    -> 0
    not seen: rights (may not review them)
    shipped 9f2c1e4 to shop/web in @s
    ");
    let stage = shipping(|_| {}).await;
    stage.sandbox.fault("selfsubjectaccessreviews", 99, Fault::status(403));
    stage.kube().deny("patch", "deployments");
    insta::assert_snapshot!(stage.run("ship").await.words(), @r#"
    -> 4
    not seen: rights (may not review them)
    error[SW-EKS-403]: nothing was deployed: user `demo` may not patch deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "arn:aws:iam::123456789012:user/demo" cannot patch resource "deployments" in API group "apps" in the namespace "shop""
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role demo --verb=patch --resource=deployments.apps
            kubectl -n shop create rolebinding demo --role=demo --group=GROUP
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_without_the_right_to_list_pods_says_which_right_is_missing() {
    let stage = Stage::new().await.serving();
    stage.kube().deny("list", "pods");
    let told = stage.run("status").await;
    insta::assert_snapshot!(told.refusal(), @"
    -> 0
    shop/web in prod
      serves   3f2a91c  sha256:17d4954971da  linux/amd64  3/3 ready, restarts not seen
      shipped  2026-11-20 17:02 UTC by run 4710
      restore  nothing: no earlier healthy commit is known
    ");
    assert!(stage.writes().is_empty());
}
