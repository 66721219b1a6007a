//! What the sentences of a diagnosis are put together from: names as they are printed, shares of
//! pods, others' words without credentials, and what the pod's own specification says.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::super::{Evidence, pods};
use super::scrub::scrub;
use crate::error;
use crate::names::ImageRef;

/// Others' words: scrubbed, on one line, cut at the end.
pub(super) fn said(text: &str) -> String {
    error::quoted(&scrub(text))
}

/// Others' words of which the end says most, as in errors that wrap each other.
pub(super) fn said_last(text: &str) -> String {
    const MOST: usize = 160;
    let line = error::one_line(&scrub(text), usize::MAX);
    let length = line.chars().count();
    if length <= MOST {
        return format!("\"{line}\"");
    }
    let kept: String = line.chars().skip(length - MOST).collect();
    // A whole word to begin with.
    let kept = kept.split_once(' ').map_or(kept.as_str(), |(_, rest)| rest);
    format!("\"...{kept}\"")
}

/// The words between a beginning and an end, for the names that messages hold.
pub(super) fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(name, _)| name)
}

impl Evidence {
    /// "container `app`", or "init container `migrate`".
    pub(super) fn container(&self) -> String {
        let kind = if self.cause.init { "init container" } else { "container" };
        match &self.cause.container {
            Some(name) => format!("{kind} `{name}`"),
            None => "its pod".into(),
        }
    }

    /// "1/1 new pods".
    pub(super) fn share(&self) -> String {
        format!("{}/{} new pods", self.cause.affected, self.cause.new_pods)
    }

    /// "its new pod", or "2 of its 3 new pods".
    pub(super) fn its_pods(&self) -> String {
        match (self.cause.affected, self.cause.new_pods) {
            (_, 0 | 1) => "its new pod".into(),
            (affected, all) => format!("{affected} of its {all} new pods"),
        }
    }

    /// "kubelet on ip-10-0-1-12", with how long it has said so where that matters.
    pub(super) fn kubelet(&self) -> String {
        let node = self.cause.node.as_deref().map(pods::short_node);
        let seconds = self.cause.lasted.as_secs();
        let lasted = if seconds > 0 { format!(", for {seconds}s") } else { String::new() };
        node.map_or_else(|| format!("kubelet{lasted}"), |node| format!("kubelet on {node}{lasted}"))
    }

    /// The node's whole name, for commands.
    pub(super) fn node(&self) -> &str {
        self.cause.node.as_deref().unwrap_or("NODE")
    }

    /// The image reference in its parts, if it can be read.
    pub(super) fn image(&self) -> Option<ImageRef> {
        self.image.parse().ok()
    }

    /// `web:9f2c1e4`: the image as people name it, commits cut to seven digits.
    pub(super) fn image_name(&self) -> String {
        let Some(image) = self.image() else { return self.image.clone() };
        let tag = image.tag.as_ref().map(|tag| tag.as_str());
        let is_commit = |tag: &str| tag.len() == 40 && tag.bytes().all(|b| b.is_ascii_hexdigit());
        match (tag, &image.digest) {
            (Some(tag), _) if is_commit(tag) => format!("{}:{}", image.repository, &tag[..7]),
            (Some(tag), _) => format!("{}:{tag}", image.repository),
            (None, Some(digest)) => format!("{}@{}", image.repository, digest.short()),
            (None, None) => image.repository,
        }
    }

    /// The registry and repository: "ECR `web`", or "`nginx`".
    pub(super) fn source(&self) -> String {
        match self.image() {
            Some(image) if is_ecr(&image) => format!("ECR `{}`", image.repository),
            Some(image) => format!("`{}`", image.name()),
            None => format!("`{}`", self.image),
        }
    }

    /// Whether the image comes from ECR.
    pub(super) fn is_ecr(&self) -> bool {
        self.image().is_some_and(|image| is_ecr(&image))
    }

    fn spec(&self) -> Option<&PodSpec> {
        self.pod.as_ref()?.spec.as_ref()
    }

    /// The specification of the container that failed.
    pub(super) fn spec_of_container(&self) -> Option<&Container> {
        let name = self.cause.container.as_deref()?;
        let spec = self.spec()?;
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        all.into_iter().find(|container| container.name == name)
    }

    /// The Secrets that the kubelet logs in with.
    pub(super) fn pull_secrets(&self) -> Vec<&str> {
        let secrets = self.spec().into_iter().flat_map(|s| s.image_pull_secrets.iter().flatten());
        secrets.map(|secret| secret.name.as_str()).collect()
    }

    /// What the pod asks of a node, of one resource: the sum as it is written, if one container
    /// asks.
    pub(super) fn request(&self, resource: &str) -> Option<String> {
        let containers = self.spec()?.containers.iter();
        let mut asked =
            containers.filter_map(|c| c.resources.as_ref()?.requests.as_ref()?.get(resource));
        let first = asked.next()?;
        asked.next().is_none().then(|| first.0.clone())
    }

    /// Whether the image has nothing for the node, where both are known.
    pub(super) fn is_other_platform(&self) -> bool {
        let Some(node) = &self.node_platform else { return false };
        !self.image_platforms.is_empty() && !self.image_platforms.iter().any(|p| p.runs_on(node))
    }

    /// "linux/amd64, linux/arm64".
    pub(super) fn platforms(&self) -> String {
        let all: Vec<_> = self.image_platforms.iter().map(ToString::to_string).collect();
        all.join(", ")
    }
}

fn is_ecr(image: &ImageRef) -> bool {
    image.registry.as_deref().is_some_and(|host| host.contains(".dkr.ecr"))
}
