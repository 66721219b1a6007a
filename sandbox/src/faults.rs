//! Failures as layers: each waits for a request by what it asks, strikes a number of times, and is
//! then gone. The emulators below know nothing of them.

use std::sync::Mutex;
use std::time::Duration;

use crate::world::hold;

/// One way to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This answer instead of the service's; nothing is applied.
    Status {
        /// The HTTP status.
        code: u16,
        /// Headers, for example `Retry-After`.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The service's answer, but later.
    Delay(Duration),
    /// The connection ends after this many bytes of the request's body; what came before stays
    /// with a blob upload, everything else is not applied.
    CutRequest {
        /// Bytes that are read.
        after: u64,
    },
    /// The request is applied; the connection ends after this many bytes of the answer's body.
    CutAnswer {
        /// Bytes that are sent.
        after: u64,
    },
    /// The request is applied, and answered with the service's status but this body.
    WrongBody(String),
    /// The request is applied, and the connection ends without an answer: a lost PATCH.
    DropAnswer,
    /// Nothing is applied and nothing is ever answered; the connection stays open.
    Stall,
    /// The request is applied; its answer goes silent after this many bytes of the body, with the
    /// connection open: a watch that hangs.
    StallAnswer {
        /// Bytes that are sent.
        after: u64,
    },
}

impl Fault {
    /// A plain status with an empty body.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new(), body: String::new() }
    }

    /// ECR's throttling over its JSON API.
    #[must_use]
    pub fn throttled() -> Self {
        Self::Status {
            code: 400,
            headers: vec![("Content-Type".into(), "application/x-amz-json-1.1".into())],
            body: r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#.into(),
        }
    }
}

/// A fault and the requests it waits for.
struct Layer {
    on: String,
    skip: u32,
    times: u32,
    fault: Fault,
}

/// The layers, the first that matches strikes.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Layer>>);

impl Faults {
    /// Adds a layer that lets `skip` matching requests pass and then strikes `times` times.
    pub(crate) fn add(&self, on: String, skip: u32, times: u32, fault: Fault) {
        hold(&self.0).push(Layer { on, skip, times, fault });
    }

    /// Takes every layer away.
    pub(crate) fn clear(&self) {
        hold(&self.0).clear();
    }

    /// What strikes this request: `line` is `METHOD /path?query`.
    pub(crate) fn strike(&self, line: &str, action: Option<&str>) -> Option<Fault> {
        let mut layers = hold(&self.0);
        for layer in layers.iter_mut() {
            let named = action.is_some_and(|a| a.contains(&layer.on));
            if layer.times == 0 || !(named || line.contains(&layer.on)) {
                continue;
            }
            if layer.skip > 0 {
                layer.skip -= 1;
                continue;
            }
            layer.times -= 1;
            return Some(layer.fault.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_skips_strikes_and_is_gone() {
        let faults = Faults::default();
        faults.add("ecr:Batch".into(), 1, 2, Fault::DropAnswer);
        let ask = || faults.strike("POST /", Some("ecr:BatchGetImage"));
        assert_eq!(
            [ask(), ask(), ask(), ask()],
            [None, Some(Fault::DropAnswer), Some(Fault::DropAnswer), None]
        );
    }

    #[test]
    fn a_layer_matches_the_request_line_too() {
        let faults = Faults::default();
        faults.add("PATCH /v2/demo/web/blobs".into(), 0, 9, Fault::Stall);
        assert_eq!(faults.strike("PUT /v2/demo/web/blobs/uploads/1", None), None);
        assert_eq!(faults.strike("PATCH /v2/demo/web/blobs/uploads/1", None), Some(Fault::Stall));
    }
}
