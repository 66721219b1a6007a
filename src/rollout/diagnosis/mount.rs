//! Volumes that do not come.

use super::super::Evidence;
use super::facts::{between, said_last};
use crate::error::{Code, Failure};

pub(super) fn diagnose(e: &Evidence, message: &str) -> Failure {
    let why = format!("{}: {}; {}", e.kubelet(), said_last(message), e.share());
    missing(e, message).unwrap_or_else(|| other(e, message)).why(why)
}

fn missing(e: &Evidence, message: &str) -> Option<Failure> {
    let kinds = [("Secret", "secret \""), ("ConfigMap", "configmap \"")];
    let (kind, name) = kinds
        .iter()
        .find_map(|(kind, begin)| Some((kind, between(message, begin, "\" not found")?)))?;
    let what =
        format!("{kind} `{name}`, which its pods mount, does not exist in `{}`", e.namespace);
    Some(
        Failure::new(Code::MountMissing, what)
            .next(format!("create {kind} `{name}` in `{}`, then ship again", e.namespace)),
    )
}

fn other(e: &Evidence, message: &str) -> Failure {
    if message.contains("Multi-Attach error") {
        return Failure::new(Code::MountOther, "its volume is still attached to an old pod's node")
            .next("a volume for one node at a time needs `strategy: Recreate`");
    }
    if let Some(driver) = between(message, "driver name ", " not found") {
        return Failure::new(
            Code::MountOther,
            format!("volume driver `{driver}` is not on its node"),
        )
        .next("install the add-on of that driver on the cluster");
    }
    if message.contains("AccessDenied") || message.contains("UnauthorizedOperation") {
        return Failure::new(Code::MountOther, "the volume driver may not attach its volume")
            .next("give the driver's service account its IAM role");
    }
    Failure::new(Code::MountOther, "a volume of its pods cannot be mounted")
        .next(format!("kubectl -n {} get events --field-selector reason=FailedMount", e.namespace))
}
