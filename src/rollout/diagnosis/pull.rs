//! An image that the kubelet could not pull.

use super::super::kinds::{self, Pull};
use super::super::{Evidence, pods};
use super::facts::said_last;
use crate::error::{Code, Failure};

pub(super) fn diagnose(e: &Evidence, reason: &str, message: &str) -> Failure {
    let failure = match kinds::pull(reason, message) {
        Pull::Name => return name(e),
        Pull::Never => return never(e),
        Pull::Platform => platform(e),
        Pull::Missing => missing(e),
        Pull::Expired => expired(e),
        Pull::Login => login(e),
        Pull::Refused => return refused(e, message),
        Pull::Key => key(e),
        Pull::Reach => reach(e),
        Pull::Trust => trust(e),
        Pull::Rate => rate(e),
        Pull::Disk => disk(e),
        Pull::Signature => signature(e),
        Pull::Other => other(e),
    };
    failure_with(failure, &e.kubelet(), message)
}

/// Who said it comes before what else was read.
fn failure_with(mut failure: Failure, who: &str, message: &str) -> Failure {
    let message = message.split_once(" desc = ").map_or(message, |(_, rest)| rest);
    if !message.is_empty() {
        failure.why.insert(0, format!("{who}: {}", said_last(message)));
    }
    failure
}

fn name(e: &Evidence) -> Failure {
    Failure::new(Code::PullName, format!("`{}` is no image reference", e.image))
        .why(format!("{}: InvalidImageName", e.kubelet()))
        .next("write it as HOST/REPOSITORY:TAG, the repository in lower case")
}

fn never(e: &Evidence) -> Failure {
    Failure::new(
        Code::PullOther,
        format!("{} is never pulled, and its node lacks it", e.container()),
    )
    .why(format!("{}: ErrImageNeverPull", e.kubelet()))
    .next("set `imagePullPolicy: IfNotPresent` in the workload")
}

fn platform(e: &Evidence) -> Failure {
    let wanted = e.node_platform.as_ref().map(ToString::to_string);
    let lacks = wanted.clone().unwrap_or_else(|| "the platform of its node".into());
    let mut failure = Failure::new(
        Code::PullPlatform,
        format!("image `{}` has nothing for {lacks}", e.image_name()),
    );
    if !e.image_platforms.is_empty() {
        failure = failure.why(format!("it has {}", e.platforms()));
    }
    failure.next(match wanted {
        Some(wanted) => {
            format!("build it for {wanted} too, or leave out `platform`: the nodes decide")
        }
        None => "leave out `platform`: the nodes decide what is built".into(),
    })
}

fn missing(e: &Evidence) -> Failure {
    let failure = Failure::new(
        Code::PullMissing,
        format!("image `{}` is not in {}", e.image_name(), e.source()),
    );
    let Some(image) = e.image().filter(|_| e.is_ecr()) else {
        return failure.next(format!("check that `{}` exists", e.image));
    };
    let id = match (&image.digest, &image.tag) {
        (Some(digest), _) => format!("imageDigest={digest}"),
        (None, Some(tag)) => format!("imageTag={tag}"),
        (None, None) => "imageTag=latest".into(),
    };
    failure.next(format!(
        "aws ecr describe-images --repository-name {} --image-ids {id}",
        image.repository
    ))
}

fn expired(e: &Evidence) -> Failure {
    let secrets = e.pull_secrets().join("`, `");
    let what = format!("the pull secret for {} has expired", e.source());
    let failure = Failure::new(Code::PullLogin, what);
    let failure = if secrets.is_empty() {
        failure
    } else {
        failure.why(format!("its pods name `{secrets}`"))
    };
    failure
        .next("remove `imagePullSecrets`: an ECR token lives 12 hours, the node's role needs none")
}

fn login(e: &Evidence) -> Failure {
    let what = format!("the nodes have no login for {}", e.source());
    let failure = Failure::new(Code::PullLogin, what);
    let secrets = e.pull_secrets().join("`, `");
    match (e.is_ecr(), secrets.is_empty()) {
        (true, true) => {
            failure.next(format!("check the ECR credential provider of kubelet on {}", e.node()))
        }
        (true, false) => {
            failure.why(format!("its pods name the pull secret `{secrets}`")).next(format!(
                "remove `{secrets}` from `imagePullSecrets`: the node's role is enough for ECR"
            ))
        }
        (false, true) => failure.next("name a Secret with a login in `imagePullSecrets`"),
        (false, false) => failure
            .why(format!("its pods name the pull secret `{secrets}`"))
            .next(format!("renew the login in Secret `{secrets}`")),
    }
}

fn refused(e: &Evidence, message: &str) -> Failure {
    let failure =
        Failure::new(Code::Pull403, format!("the nodes may not pull from {}", e.source()));
    let role = e.node_role.as_deref().unwrap_or("NODE-ROLE");
    let mut failure = failure_with(failure, &e.kubelet(), message);
    let account = match e.same_account {
        Some(true) => "one account for image and cluster",
        Some(false) => "image and cluster are in different accounts",
        None => "",
    };
    if let Some(line) = failure.why.first_mut().filter(|_| !account.is_empty()) {
        line.push_str("; ");
        line.push_str(account);
    }
    if e.same_account == Some(false) {
        return failure.next(format!("in the policy of {}, allow role {role}:", e.source())).next(
            "  ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:BatchCheckLayerAvailability",
        );
    }
    // EKS gives the role's ARN; IAM's commands take its name, which follows any path.
    let role = role.rsplit('/').next().unwrap_or(role);
    failure
        .next(format!("aws iam attach-role-policy --role-name {role} \\"))
        .next("  --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly")
}

fn key(e: &Evidence) -> Failure {
    let role = e.node_role.as_deref().unwrap_or("NODE-ROLE");
    Failure::new(Code::Pull403, format!("the key of {} does not let the nodes decrypt", e.source()))
        .next(format!("in the key's policy, allow role {role} kms:Decrypt"))
}

fn reach(e: &Evidence) -> Failure {
    let failure = Failure::new(Code::PullReach, format!("the nodes cannot reach {}", e.source()));
    if e.is_ecr() {
        return failure
            .next("give their subnets a NAT gateway, or VPC endpoints for ecr.api, ecr.dkr and s3")
            .next("with port 443 open from the nodes");
    }
    failure.next("open the way from the nodes' subnets to the registry, port 443")
}

fn trust(e: &Evidence) -> Failure {
    Failure::new(
        Code::PullOther,
        format!("the nodes do not trust the certificate of {}", e.source()),
    )
    .next("install the registry's or the proxy's CA on the nodes")
}

fn rate(e: &Evidence) -> Failure {
    Failure::new(Code::PullOther, format!("{} slows its pulls down", e.source()))
        .next("ship again later; for Docker Hub use a pull-through cache in ECR")
}

fn disk(e: &Evidence) -> Failure {
    Failure::new(Code::PullOther, format!("the disk of {} is full", pods::short_node(e.node())))
        .next("give the nodes larger volumes, or make the image smaller")
}

fn signature(e: &Evidence) -> Failure {
    Failure::new(Code::PullOther, format!("a signature policy refuses image `{}`", e.image_name()))
        .next("sign the image before it is shipped")
}

fn other(e: &Evidence) -> Failure {
    Failure::new(Code::PullOther, format!("image `{}` could not be pulled", e.image_name()))
        .next(format!("kubectl -n {} get events --field-selector reason=Failed", e.namespace))
}
