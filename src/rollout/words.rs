//! What events have said about our objects. Events are lossy by design (aggregated, limited,
//! expired): they explain what objects show and are no ground of a verdict, but for what no object
//! shows, and then only as long as the kubelet itself goes on saying it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

/// The newest form of one event.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// The uid of the object it is about.
    pub(super) about: String,
    pub(super) reason: String,
    pub(super) message: String,
    /// The container, where the event names one.
    pub(super) container: Option<String>,
    pub(super) at: Option<Timestamp>,
    /// When it was said first, in the same words.
    pub(super) first: Option<Timestamp>,
    pub(super) warning: bool,
}

/// Normal events that explain something; the others only say that things go on.
const TELLING: [&str; 6] =
    ["Killing", "TriggeredScaleUp", "NotTriggerScaleUp", "Nominated", "Pulling", "Pulled"];

/// What an event says, if it may matter to a workload of that name.
pub(super) fn read(event: &Event, workload: &str) -> Option<Said> {
    let warning = event.type_.as_deref() == Some("Warning");
    let reason = event.reason.clone().unwrap_or_default();
    let object = &event.involved_object;
    // Names of pods are cut to fit: a long workload's name may not be in them whole.
    let stem = workload.get(..40).unwrap_or(workload);
    let near = object.name.as_deref().is_some_and(|name| name.starts_with(stem));
    if !near || !(warning || TELLING.contains(&reason.as_str())) {
        return None;
    }
    let container = object.field_path.as_deref().and_then(|path| {
        let (_, name) = path.split_once('{')?;
        name.strip_suffix('}').map(Into::into)
    });
    Some(Said {
        about: object.uid.clone()?,
        reason,
        message: event.message.clone().unwrap_or_default(),
        container,
        at: time(event),
        first: event.first_timestamp.as_ref().map(|time| time.0).or_else(|| time(event)),
        warning,
    })
}

/// When it was said last. Old and new style events keep that in different places.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|s| s.last_observed_time.as_ref());
    series
        .or(event.event_time.as_ref())
        .map(|time| time.0)
        .max(event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

impl Said {
    /// Whether it is about that container, or about no container in particular.
    pub(super) fn concerns(&self, container: &str) -> bool {
        self.container.as_deref().is_none_or(|name| name == container)
    }
}

/// The pull error in a waiting container's message: whole in `ErrImagePull`, after the colon in the
/// back-off of newer kubelets, not at all in that of older ones.
pub(super) fn pull_error<'a>(reason: &str, message: &'a str) -> Option<&'a str> {
    match reason {
        "ImagePullBackOff" => message.split_once(": ErrImagePull: ").map(|(_, error)| error),
        "ErrImagePull"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(message),
        _ => None,
    }
}

/// The pull error in the message of a `Failed` event.
pub(super) fn pull_event(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("Failed to pull image \"")?;
    rest.split_once("\": ").map(|(_, error)| error)
}
