//! The API server's refusals, as `Status` objects in its own words.
//! It must not decide when to refuse; every constructor is one refusal of the real server.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::kinds::Kind;

/// A request refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

impl Refused {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, kind: Kind, name: &str) -> Self {
        let mut details = json!({});
        if !name.is_empty() {
            details["name"] = name.into();
        }
        if !kind.group.is_empty() {
            details["group"] = kind.group.into();
        }
        details["kind"] = kind.plural.into();
        self.details = Some(details);
        self
    }

    /// The `Status` object that is the body of the answer.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message,
        });
        // A webhook that says no gives no reason.
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status["code"] = self.code.as_u16().into();
        status
    }

    /// There is no such object.
    pub(super) fn not_found(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(kind, name)
    }

    /// The name is taken.
    pub(super) fn exists(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(kind, name)
    }

    /// The writer did not see the latest version.
    pub(super) fn conflict(kind: Kind, name: &str, why: &str) -> Self {
        let kind_name = kind.qualified();
        let message = format!("Operation cannot be fulfilled on {kind_name} \"{name}\": {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name)
    }

    /// The caller has no right to do this.
    pub(super) fn forbidden(kind: Kind, name: &str, why: &str) -> Self {
        let subject = if name.is_empty() {
            kind.qualified()
        } else {
            format!("{} \"{name}\"", kind.qualified())
        };
        let message = format!("{subject} is forbidden: {why}");
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(kind, name)
    }

    /// The object would be invalid; the field says where.
    pub(super) fn invalid(kind: Kind, name: &str, field: &str, reason: &str, why: &str) -> Self {
        let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
        let message = format!("{}{group} \"{name}\" is invalid: {field}: {why}", kind.kind);
        let mut refused = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        refused.details = Some(json!({
            "name": name, "group": kind.group, "kind": kind.kind,
            "causes": [{ "reason": reason, "message": why, "field": field }],
        }));
        refused
    }

    /// Something that the server has to ask does not answer.
    pub(super) fn internal(why: &str) -> Self {
        let message = format!("Internal error occurred: {why}");
        let mut refused = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message);
        refused.details = Some(json!({ "causes": [{ "message": why }] }));
        refused
    }

    /// A webhook says no, without a status of its own.
    pub(super) fn denied(why: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "", why)
    }

    /// An admission policy says no.
    pub(super) fn by_policy(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.qualified());
        let refused = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        let mut refused = refused.about(kind, name);
        if let Some(details) = &mut refused.details {
            details["causes"] = json!([{ "message": why }]);
        }
        refused
    }

    /// A JSON Patch that could not be applied, a failed `test` among the reasons: the server names none.
    pub(super) fn unapplicable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        let mut refused = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        refused.details = Some(json!({}));
        refused
    }

    /// A watch that asked for its initial events, which 1.33 refuses unless a feature gate is on.
    pub(super) fn initial_events() -> Self {
        let why = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: {why}");
        let mut refused = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        refused.details = Some(json!({
            "group": "meta.k8s.io", "kind": "ListOptions",
            "causes": [{ "reason": "FieldValueForbidden", "message": why, "field": "sendInitialEvents" }],
        }));
        refused
    }

    /// The request makes no sense.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// A body of a type that is not understood.
    pub(super) fn media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// The path is there, but not for this method.
    pub(super) fn method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let mut refused = Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
        refused.details = Some(json!({}));
        refused
    }

    /// There is nothing at the path.
    pub(super) fn no_path() -> Self {
        let message = "the server could not find the requested resource";
        let mut refused = Self::new(StatusCode::NOT_FOUND, "NotFound", message);
        refused.details = Some(json!({}));
        refused
    }

    /// A watch from a version whose changes are forgotten.
    pub(super) fn too_old(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// A list continued from a version that is forgotten.
    pub(super) fn continue_too_old() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. \
                       You can start a new list without the continue parameter, or use the continue token \
                       in this response to retrieve the remainder of the results. Continuing with the \
                       provided token results in an inconsistent list - objects that were created, modified, \
                       or deleted between the time the first chunk was returned and now may show up in the list.";
        Self::new(StatusCode::GONE, "Expired", message)
    }
}
