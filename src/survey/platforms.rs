//! What the pods' image has to be built for: evidence in the order of its weight, never a default.
//!
//! Pure. Pod constraints, then live nodes, node groups, the live image, the input.

use serde::Serialize;

use crate::cluster::{Landing, platforms};
use crate::error::{Code, Failure, Unseen};
use crate::names::Platform;

/// Everything that may tell.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What the pod itself asks for.
    pub constrained: Option<Vec<Platform>>,
    /// The nodes it can land on; absent where nodes cannot be read.
    pub nodes: Option<Vec<Landing>>,
    /// Its pods run on Fargate.
    pub fargate: bool,
    /// The node groups it can land on; absent where they cannot be read.
    pub groups: Option<Vec<Landing>>,
    /// What the image that serves now is built for.
    pub live: Vec<Platform>,
    /// The `platform` input.
    pub input: Vec<Platform>,
}

/// The platforms that are needed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Every one of them.
    pub platforms: Vec<Platform>,
    /// "both nodes its pods can land on".
    pub because: String,
    /// The nodes, where nodes told it.
    #[serde(skip)]
    pub nodes: Vec<Landing>,
}

/// Weighs the evidence.
///
/// # Errors
/// Nothing tells: `SW-PLATFORM-UNKNOWN`, which says what was looked at and what to set.
pub fn needs(evidence: &Evidence, unseen: &[Unseen]) -> Result<Needs, Box<Failure>> {
    let needs = |platforms: Vec<Platform>, because: &str| Needs {
        platforms,
        because: because.into(),
        nodes: Vec::new(),
    };
    let nodes = evidence.nodes.as_deref().unwrap_or_default();
    // A constraint to one architecture decides; one that leaves several open is narrowed by the nodes.
    if let Some([only]) = evidence.constrained.as_deref() {
        let nodes = nodes.to_vec();
        return Ok(Needs { nodes, ..needs(vec![only.clone()], "its pods ask for it") });
    }
    if !nodes.is_empty() {
        return Ok(Needs {
            platforms: platforms(nodes),
            because: which(nodes.len(), "node"),
            nodes: nodes.to_vec(),
        });
    }
    if evidence.fargate {
        return Ok(needs(vec![Platform::new("linux", "amd64", None)], "its pods run on Fargate"));
    }
    if let Some(groups) = evidence.groups.as_deref().filter(|groups| !groups.is_empty()) {
        return Ok(needs(platforms(groups), &which(groups.len(), "node group")));
    }
    if let Some(several) = &evidence.constrained {
        return Ok(needs(several.clone(), "its pods ask for one of them"));
    }
    match (&evidence.live[..], &evidence.input[..]) {
        ([], []) => Err(Box::new(unknown(evidence, unseen))),
        ([], input) => Ok(needs(input.to_vec(), "the `platform` input says so")),
        // An image for several platforms does not tell which one its pods use.
        ([only], _) => Ok(needs(vec![only.clone()], "the image that serves is")),
        (several, []) => Ok(needs(several.to_vec(), "the image that serves is")),
        (_, input) => Ok(needs(input.to_vec(), "the `platform` input says so")),
    }
}

fn which(count: usize, what: &str) -> String {
    match count {
        1 => format!("the one {what} its pods can land on"),
        2 => format!("both {what}s its pods can land on"),
        n => format!("all {n} {what}s its pods can land on"),
    }
}

fn unknown(evidence: &Evidence, unseen: &[Unseen]) -> Failure {
    let mut failure =
        Failure::new(Code::PlatformUnknown, "nothing tells what platform the image has to be for");
    let looked = |seen: &Option<Vec<Landing>>, what: &str| match seen {
        Some(_) => format!("no {what} its pods can land on"),
        None => {
            let because = unseen
                .iter()
                .find(|u| u.what.starts_with(what))
                .map_or("not asked", |u| &u.because);
            format!("{what}s not seen ({because})")
        }
    };
    failure = failure.why(format!(
        "no architecture in the pod's nodeSelector or affinity; {}; {}; the live image is not in this ECR",
        looked(&evidence.nodes, "node"),
        looked(&evidence.groups, "node group")
    ));
    failure.next("give `platform: linux/amd64` or `linux/arm64`, or let the role list nodes")
}

/// Whether the image has a platform for every node its pods can land on.
///
/// # Errors
/// `SW-PLATFORM-MISSING`, naming image, nodes and fix.
pub fn covers(
    image: &str,
    has: &[Platform],
    needs: &Needs,
    fix: &[String],
) -> Result<(), Box<Failure>> {
    let missing: Vec<_> =
        needs.platforms.iter().filter(|need| !has.iter().any(|p| p.runs_on(need))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut failure =
        Failure::new(Code::PlatformMissing, format!("image {image} cannot run on these nodes"));
    failure = failure.why(format!("it is {}; {}", list(has), landing(needs)));
    failure.next = fix.to_vec();
    Err(Box::new(failure))
}

fn landing(needs: &Needs) -> String {
    let wanted = list(&needs.platforms);
    let mut names: Vec<_> = needs.nodes.iter().map(|n| n.node.as_str()).collect();
    let more = names.len().saturating_sub(4);
    names.truncate(4);
    if names.is_empty() {
        return format!("{wanted} is needed: {}", needs.because);
    }
    let shown = if needs.platforms.len() > 1 {
        let each = needs.nodes.iter().take(4).map(|n| format!("{} ({})", n.node, n.platform));
        return format!(
            "its pods can land on {}{}",
            each.collect::<Vec<_>>().join(", "),
            and_more(more)
        );
    } else {
        names.join(", ")
    };
    let all = match needs.nodes.len() {
        1 => "",
        2 => "both ",
        _ => "all ",
    };
    format!("its pods can land on {shown}{}, {all}{wanted}", and_more(more))
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// Platforms as they are read: `linux/amd64, linux/arm64`.
#[must_use]
pub fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "for no platform that it names".into();
    }
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(node: &str, platform: &str) -> Landing {
        Landing { node: node.into(), platform: platform.parse().unwrap() }
    }

    fn weighed(evidence: &Evidence) -> String {
        needs(evidence, &[]).map_or_else(
            |f| f.code.to_string(),
            |n| format!("{}: {}", list(&n.platforms), n.because),
        )
    }

    #[test]
    fn evidence_is_weighed_in_its_order_and_the_input_comes_last() {
        let arm = || "linux/arm64".parse::<Platform>().unwrap();
        let amd = || "linux/amd64".parse::<Platform>().unwrap();
        let mut evidence = Evidence::default();
        assert_eq!(weighed(&evidence), "SW-PLATFORM-UNKNOWN");
        evidence.input = vec![arm()];
        assert_eq!(weighed(&evidence), "linux/arm64: the `platform` input says so");
        evidence.live = vec![amd()];
        assert_eq!(weighed(&evidence), "linux/amd64: the image that serves is");
        evidence.groups = Some(vec![at("ng-1", "linux/arm64")]);
        assert_eq!(weighed(&evidence), "linux/arm64: the one node group its pods can land on");
        evidence.nodes =
            Some(vec![at("a", "linux/amd64"), at("b", "linux/arm64"), at("c", "linux/arm64")]);
        assert_eq!(
            weighed(&evidence),
            "linux/amd64, linux/arm64: all 3 nodes its pods can land on"
        );
        evidence.constrained = Some(vec![arm()]);
        assert_eq!(weighed(&evidence), "linux/arm64: its pods ask for it");
        let fargate = Evidence { fargate: true, ..Evidence::default() };
        assert_eq!(weighed(&fargate), "linux/amd64: its pods run on Fargate");
    }

    #[test]
    fn a_missing_platform_names_image_nodes_and_fix() {
        let evidence = Evidence {
            nodes: Some(vec![at("ip-10-0-1-12", "linux/amd64"), at("ip-10-0-2-7", "linux/amd64")]),
            ..Evidence::default()
        };
        let needs = needs(&evidence, &[]).unwrap();
        let has = ["linux/arm64".parse().unwrap()];
        let refused = covers("`web:dev`", &has, &needs, &["leave out `image`".into()]).unwrap_err();
        assert_eq!(refused.what, "image `web:dev` cannot run on these nodes");
        assert_eq!(
            refused.why,
            ["it is linux/arm64; its pods can land on ip-10-0-1-12, ip-10-0-2-7, both linux/amd64"]
        );
        assert!(covers("x", &["linux/amd64".parse().unwrap()], &needs, &[]).is_ok());
    }
}
