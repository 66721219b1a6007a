//! The log endpoint of pods, with the refusals of API server and kubelet.
//! It must not invent output: there is what the recording's containers wrote, or nothing.

use serde_json::Value;

use super::State;
use super::json::{list, text};
use super::kinds;
use super::route::Query;
use super::status::Refused;
use super::store::Key;

/// Answers a log request; nothing means `204`, as for a pod that is on no node.
pub(super) fn answer(
    state: &State,
    namespace: &str,
    name: &str,
    query: &Query,
) -> Result<Option<String>, Refused> {
    let pod = state.store.get(&Key::new("Pod", namespace, name));
    let Some(pod) = pod else {
        return Err(
            kinds::by_kind("Pod").map_or_else(Refused::no_path, |k| Refused::not_found(k, name))
        );
    };
    let container = chosen(pod, name, query.get("container"))?;
    if text(pod, "/spec/nodeName").is_empty() {
        return Ok(None);
    }
    let previous = matches!(query.get("previous"), "true" | "1");
    readable(pod, name, &container, previous)?;
    let kept = |previous| {
        let pod = (namespace.to_owned(), name.to_owned());
        state.logs.get(&(pod, container.clone(), previous))
    };
    let log = kept(previous).or_else(|| kept(!previous)).cloned().unwrap_or_default();
    Ok(Some(cut(&log, query)))
}

fn chosen(pod: &Value, name: &str, asked: &str) -> Result<String, Refused> {
    let names = |pointer: &str| -> Vec<&str> {
        list(pod, pointer).iter().map(|c| text(c, "/name")).collect()
    };
    let (apps, inits) = (names("/spec/containers"), names("/spec/initContainers"));
    if asked.is_empty() {
        if let ([only], []) = (apps.as_slice(), inits.as_slice()) {
            return Ok((*only).to_owned());
        }
        let mut why = format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            apps.join(" ")
        );
        if !inits.is_empty() {
            why.push_str(&format!(" or one of the init containers: [{}]", inits.join(" ")));
        }
        return Err(Refused::bad_request(why));
    }
    if apps.contains(&asked) || inits.contains(&asked) {
        return Ok(asked.to_owned());
    }
    Err(Refused::bad_request(format!("container {asked} is not valid for pod {name}")))
}

/// The kubelet's rules for which run of a container can be read.
fn readable(pod: &Value, name: &str, container: &str, previous: bool) -> Result<(), Refused> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let status = statuses
        .iter()
        .flat_map(|pointer| list(pod, pointer))
        .find(|status| text(status, "/name") == container);
    let refuse = |why: String| Err(Refused::bad_request(why));
    let subject = format!("container \"{container}\" in pod \"{name}\"");
    let Some(status) = status else { return refuse(format!("{subject} is not available")) };
    let last = !text(status, "/lastState/terminated/containerID").is_empty();
    if previous {
        return if last {
            Ok(())
        } else {
            refuse(format!("previous terminated {subject} not found"))
        };
    }
    if status.pointer("/state/running").is_some() || last {
        return Ok(());
    }
    if status.pointer("/state/terminated").is_some() {
        return if text(status, "/state/terminated/containerID").is_empty() {
            refuse(format!("{subject} is terminated"))
        } else {
            Ok(())
        };
    }
    let why = match text(status, "/state/waiting/reason") {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    refuse(format!("{subject} is waiting to start: {why}"))
}

fn cut(log: &str, query: &Query) -> String {
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let tail = query.get("tailLines").parse().unwrap_or(lines.len()).min(lines.len());
    let mut cut = lines[lines.len() - tail..].concat();
    if let Ok(limit) = query.get("limitBytes").parse::<usize>()
        && limit < cut.len()
    {
        let end = (0..=limit).rev().find(|at| cut.is_char_boundary(*at)).unwrap_or(0);
        cut.truncate(end);
    }
    cut
}
