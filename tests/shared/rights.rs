//! A right that is missing, in the cluster or in AWS: told by its name before anything is written.

use crate::scene::{Scene, Trouble};

/// What a ship says without this right.
async fn without(verb: &str, resource: &str) -> String {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.without(verb, resource).await;
    let told = scene.run("ship").await;
    format!("{verb} {resource} {}{}", scene.words(&told), scene.serves())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_of_the_cluster_is_refused_by_its_name() {
    let needed = [
        ("patch", "deployments"),
        ("get", "deployments"),
        ("list", "deployments"),
        ("watch", "deployments"),
        ("list", "replicasets"),
        ("watch", "replicasets"),
        ("list", "pods"),
        ("watch", "pods"),
    ];
    let mut all = String::new();
    for (verb, resource) in needed {
        all += &without(verb, resource).await;
    }
    insta::assert_snapshot!(all, @r#"
    patch deployments -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-EKS-403]: nothing was written: user `ship` may not patch deployments.apps in `shop`
      why:  access review: patch no; get, list, watch yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=patch --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    get deployments -> 3
    error[SW-EKS-403]: nothing was written: user `ship` may not get deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "arn:aws:iam::123456789012:user/ship" cannot get resource "deployments" in API group "apps" in the namespace "shop""
      now:  not visible
      next: kubectl -n shop create role ship --verb=get --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    list deployments -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-EKS-403]: nothing was written: user `ship` may not list deployments.apps in `shop`
      why:  access review: list no; patch, get, watch yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=list --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    watch deployments -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-EKS-403]: nothing was written: user `ship` may not watch deployments.apps in `shop`
      why:  access review: watch no; patch, get, list yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=watch --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    list replicasets -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-EKS-403]: nothing was written: user `ship` may not list replicasets.apps in `shop`
      why:  access review: list no; watch yes; groups: not known
      now:  3f2a91c is set, 3/3 ready
      next: kubectl -n shop create role ship --verb=list --resource=replicasets.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    watch replicasets -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-EKS-403]: nothing was written: user `ship` may not watch replicasets.apps in `shop`
      why:  access review: watch no; list yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=watch --resource=replicasets.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    list pods -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-EKS-403]: nothing was written: user `ship` may not list pods in `shop`
      why:  access review: list no; watch yes; groups: not known
      now:  3f2a91c is set, 3/3 ready
      next: kubectl -n shop create role ship --verb=list --resource=pods
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    watch pods -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-EKS-403]: nothing was written: user `ship` may not watch pods in `shop`
      why:  access review: watch no; list yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=watch --resource=pods
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_optional_right_of_the_cluster_is_only_not_seen() {
    let optional =
        [("get", "pods/log"), ("list", "events"), ("watch", "events"), ("list", "nodes")];
    let mut all = String::new();
    for (verb, resource) in optional {
        all += &without(verb, resource).await;
    }
    insta::assert_snapshot!(all, @"
    get pods/log -> 0
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    list events -> 0
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    not seen: events (may not watch)
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    watch events -> 0
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    not seen: events (may not watch)
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    list nodes -> 0
    not seen: nodes (may not list)
    not seen: node groups (may not list)
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_in_aws_is_refused_by_its_name() {
    let mut all = String::new();
    for action in [
        "ecr:GetAuthorizationToken",
        "ecr:BatchGetImage",
        "ecr:BatchCheckLayerAvailability",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
        "eks:DescribeCluster",
    ] {
        let scene = Scene::serving().await.ships(Trouble::Nothing).await.without_action(action);
        let told = scene.run("ship").await;
        all += &format!("{action} {}{}", scene.words(&told), scene.serves());
    }
    insta::assert_snapshot!(all, @r#"
    ecr:GetAuthorizationToken -> 3
    error[SW-ECR-403]: nothing was written: user `ship` may not `ecr:GetAuthorizationToken`
      why:  `ecr:GetAuthorizationToken` answered 400 AccessDeniedException: "no identity-based policy allows the ecr:GetAuthorizationToken action"
      now:  not visible
      next: add to the policies of user `ship`:
            {"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:BatchGetImage -> 3
    error[SW-ECR-403]: nothing was written: these credentials may not read ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows..."
            the right that was missing: ecr:BatchGetImage
      now:  not visible
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:BatchCheckLayerAvailability -> 4
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-ECR-403]: nothing was deployed: these credentials may not read ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403
            the right that was missing: ecr:BatchCheckLayerAvailability
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
              "Resource": "arn:aws:ecr:REGION:ACCOUNT:repository/web" }
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:InitiateLayerUpload -> 4
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:InitiateLayerUpload
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:UploadLayerPart -> 4
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:UploadLayerPart on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allo..."
            the right that was missing: ecr:UploadLayerPart
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:CompleteLayerUpload -> 4
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:CompleteLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:CompleteLayerUpload
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:PutImage -> 4
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows the ..."
            the right that was missing: ecr:PutImage
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    eks:DescribeCluster -> 3
    error[SW-EKS-DENIED]: nothing was written: user `ship` may not `eks:DescribeCluster` on `prod`
      why:  `eks:DescribeCluster` answered 403 AccessDeniedException: "no identity-based policy allows the eks:DescribeCluster action"
      now:  not visible
      next: add to the policies of user `ship`:
            {"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"arn:aws:eks:ap-northeast-2:123456789012:cluster/prod"}
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}
