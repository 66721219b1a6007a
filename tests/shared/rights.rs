//! A right that is missing, in the cluster or in AWS: told by its name before anything is written.

use crate::scene::{Scene, Trouble};

/// How a ship ends without each of these rights in the cluster, and what serves then.
async fn without(rights: &[(&str, &str)]) -> String {
    let mut all = String::new();
    for (verb, resource) in rights {
        let scene = Scene::serving().await.ships(Trouble::Nothing).await;
        let scene = scene.without(verb, resource).await;
        let told = scene.run("ship").await;
        all += &format!("{verb} {resource}: {}", scene.ends(&told));
    }
    all
}

/// The same without actions in AWS.
async fn without_actions(actions: &[&str]) -> String {
    let mut all = String::new();
    for action in actions {
        let scene = Scene::serving().await.ships(Trouble::Nothing).await.without_action(action);
        let told = scene.run("ship").await;
        all += &format!("{action}: {}", scene.ends(&told));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_on_the_workload_is_refused_by_its_name() {
    let verbs = ["patch", "get", "list", "watch"].map(|verb| (verb, "deployments"));
    insta::assert_snapshot!(without(&verbs).await, @r#"
    patch deployments: error[SW-EKS-403]: nothing was written: user `ship` may not patch deployments.apps in `shop`
      why:  access review: patch no; get, list, watch yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=patch --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    get deployments: error[SW-EKS-403]: nothing was written: user `ship` may not get deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "arn:aws:iam::123456789012:user/ship" cannot get resource "deployments" in API group "apps" in the namespace "shop""
      now:  not visible
      next: kubectl -n shop create role ship --verb=get --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    list deployments: error[SW-EKS-403]: nothing was written: user `ship` may not list deployments.apps in `shop`
      why:  access review: list no; patch, get, watch yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=list --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    watch deployments: error[SW-EKS-403]: nothing was written: user `ship` may not watch deployments.apps in `shop`
      why:  access review: watch no; patch, get, list yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=watch --resource=deployments.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_on_its_pods_is_refused_by_its_name() {
    let rights =
        [("list", "replicasets"), ("watch", "replicasets"), ("list", "pods"), ("watch", "pods")];
    insta::assert_snapshot!(without(&rights).await, @"
    list replicasets: error[SW-EKS-403]: nothing was written: user `ship` may not list replicasets.apps in `shop`
      why:  access review: list no; watch yes; groups: not known
      now:  3f2a91c is set, 3/3 ready
      next: kubectl -n shop create role ship --verb=list --resource=replicasets.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    watch replicasets: error[SW-EKS-403]: nothing was written: user `ship` may not watch replicasets.apps in `shop`
      why:  access review: watch no; list yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=watch --resource=replicasets.apps
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    list pods: error[SW-EKS-403]: nothing was written: user `ship` may not list pods in `shop`
      why:  access review: list no; watch yes; groups: not known
      now:  3f2a91c is set, 3/3 ready
      next: kubectl -n shop create role ship --verb=list --resource=pods
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    watch pods: error[SW-EKS-403]: nothing was written: user `ship` may not watch pods in `shop`
      why:  access review: watch no; list yes; groups: not known
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop create role ship --verb=watch --resource=pods
            kubectl -n shop create rolebinding ship --role=ship --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_explains_may_be_missing() {
    let rights = [("get", "pods/log"), ("list", "events"), ("watch", "events")];
    insta::assert_snapshot!(without(&rights).await, @"
    get pods/log: shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    list events: shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    watch events: shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_to_read_in_aws_is_refused_by_its_name() {
    let actions = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "eks:DescribeCluster"];
    insta::assert_snapshot!(without_actions(&actions).await, @r#"
    ecr:GetAuthorizationToken: error[SW-ECR-403]: nothing was written: user `ship` may not `ecr:GetAuthorizationToken`
      why:  `ecr:GetAuthorizationToken` answered 400 AccessDeniedException: "no identity-based policy allows the ecr:GetAuthorizationToken action"
      now:  not visible
      next: add to the policies of user `ship`:
            {"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:BatchGetImage: error[SW-ECR-403]: nothing was written: these credentials may not read ECR `web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows..."
            the right that was missing: ecr:BatchGetImage
      now:  not visible
      next: see that `repository` is spelled right; if it is, add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    eks:DescribeCluster: error[SW-EKS-DENIED]: nothing was written: user `ship` may not `eks:DescribeCluster` on `prod`
      why:  `eks:DescribeCluster` answered 403 AccessDeniedException: "no identity-based policy allows the eks:DescribeCluster action"
      now:  not visible
      next: see that `cluster` is spelled right; if it is, add to the policies of user `ship`:
            {"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"arn:aws:eks:ap-northeast-2:123456789012:cluster/prod"}
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_to_push_is_refused_by_its_name() {
    let actions = [
        "ecr:BatchCheckLayerAvailability",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
    ];
    insta::assert_snapshot!(without_actions(&actions).await, @r#"
    ecr:BatchCheckLayerAvailability: error[SW-ECR-403]: nothing was deployed: these credentials may not read ECR `web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403
            the right that was missing: ecr:BatchCheckLayerAvailability
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:InitiateLayerUpload: error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:InitiateLayerUpload
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:UploadLayerPart: error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:UploadLayerPart on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allo..."
            the right that was missing: ecr:UploadLayerPart
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:CompleteLayerUpload: error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:CompleteLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:CompleteLayerUpload
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ecr:PutImage: error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows the ..."
            the right that was missing: ecr:PutImage
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}
