//! What happens to the services and to who asks them, while a run goes on.

use std::time::Duration;

use serde_json::{Value, json};
use slipway_sandbox::Fault;

use super::{Ground, Scene};

/// What strikes a call of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// It is answered only when no cluster remembers the tokens that it has seen: an API server asks about
    /// a token again after 10 seconds, the sandbox at once.
    Late,
    /// There were too many.
    Throttled,
    /// The service fails.
    Broken,
}

/// An error as a service writes it.
struct Said {
    code: &'static str,
    message: &'static str,
    status: u16,
}

impl Strike {
    /// What the service of this action says; nothing where it is only late.
    fn said(self, action: &str) -> Option<Said> {
        let is_sts = action.starts_with("sts:");
        let of = |code, message, status| Some(Said { code, message, status });
        match self {
            Self::Late => None,
            Self::Throttled if is_sts => of("Throttling", "Rate exceeded", 400),
            Self::Throttled if is_of_registry(action) => {
                of("TOOMANYREQUESTS", "Rate exceeded", 429)
            }
            Self::Throttled if action.starts_with("eks:") => {
                of("ThrottlingException", "Rate exceeded", 429)
            }
            Self::Throttled => of("ThrottlingException", "Rate exceeded", 400),
            Self::Broken if action.starts_with("eks:") => {
                of("ServiceUnavailableException", "Service Unavailable", 503)
            }
            Self::Broken if is_sts => of("ServiceUnavailable", "Service Unavailable", 503),
            Self::Broken => of("ServerException", "Server Error", 500),
        }
    }
}

/// Whether ECR is asked for this by the protocol of registries.
fn is_of_registry(action: &str) -> bool {
    in_sandbox(action) != action
}

/// What the sandbox calls an action.
fn in_sandbox(action: &str) -> &str {
    match action {
        "ecr:BatchGetImage" => "registry HEAD manifest",
        "ecr:BatchCheckLayerAvailability" => "registry HEAD blob",
        "ecr:InitiateLayerUpload" => "registry POST upload",
        "ecr:PutImage" => "registry PUT manifest",
        other => other,
    }
}

/// The answer of a service to this action.
fn answer(action: &str, said: &Said) -> Fault {
    let Said { code, message, status } = *said;
    let (header, body) = if action.starts_with("sts:") {
        let error = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        (("content-type", "text/xml"), error)
    } else if is_of_registry(action) {
        let errors = json!({ "errors": [{ "code": code, "message": message }] });
        (("content-type", "application/json"), errors.to_string())
    } else {
        let error = json!({ "__type": code, "message": message }).to_string();
        (("x-amzn-errortype", code), error)
    };
    let headers = vec![(header.0.to_owned(), header.1.to_owned())];
    Fault::Status { code: status, headers, body }
}

impl Scene {
    /// The next calls of this action, so many, are struck.
    pub fn strikes(&self, action: &str, times: u32, strike: Strike) {
        let said = strike.said(action);
        match &self.ground {
            Ground::Sandbox(stage) => {
                let fault = match &said {
                    None => Fault::Delay(Duration::from_secs(1)),
                    Some(said) => answer(action, said),
                };
                stage.sandbox.fault(in_sandbox(action), times, fault);
            }
            Ground::Real(real) => {
                let mut fault = json!({ "action": action, "count": times });
                match said {
                    None => fault["delay"] = 12.into(),
                    Some(said) => {
                        fault["code"] = said.code.into();
                        fault["message"] = said.message.into();
                        fault["status"] = said.status.into();
                    }
                }
                real.lab(&format!(".faults += [{fault}]"));
            }
        }
    }

    /// Every session that STS has given so far is over before its time.
    pub fn ends_sessions(&self) {
        match &self.ground {
            Ground::Sandbox(stage) => stage.sandbox.expire_sessions(),
            Ground::Real(real) => real.lab(".sessions.ended_before = now"),
        }
    }

    /// Every password of the registry that ECR has given so far is over before its time.
    pub fn ends_passwords(&self) {
        match &self.ground {
            Ground::Sandbox(stage) => stage.sandbox.expire_passwords(),
            Ground::Real(real) => real.lab(".registry.ended_before = now"),
        }
    }

    /// The access key of the story's user is deactivated: STS answers as to one that is not there.
    pub fn deactivates_key(&self) {
        match &self.ground {
            Ground::Sandbox(stage) => {
                stage.sandbox.world(|world| world.users.retain(|user| user.name != "ship"));
            }
            Ground::Real(real) => real.lab(".users.ship.key = \"AKIATESTBEDGONE00000\""),
        }
    }

    /// The next token is not taken by the cluster: STS fails when the cluster's verifier asks it.
    pub fn refuses_next_token(&self) {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {},
                    "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401 });
                let headers = vec![("content-type".into(), "application/json".into())];
                let refused = Fault::Status { code: 401, headers, body: body.to_string() };
                stage.sandbox.fault("/api", 1, refused);
            }
            Ground::Real(_) => self.strikes("sts:GetCallerIdentity", 1, Strike::Broken),
        }
    }

    /// How often the cluster did not take a token.
    pub fn refused_tokens(&self) -> usize {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let log = stage.sandbox.log();
                log.iter().filter(|r| r.status == 401 && r.path.starts_with("/api")).count()
            }
            Ground::Real(real) => {
                let of = |call: &Value| {
                    call["action"] == "sts:GetCallerIdentity" && call["status"] != 200
                };
                real.calls().iter().filter(|call| of(call)).count()
            }
        }
    }

    /// How often AWS has answered this.
    pub fn answered(&self, action: &str) -> usize {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let name = in_sandbox(action);
                let log = stage.sandbox.log();
                let of = |r: &&slipway_sandbox::Request| {
                    r.status != 0 && r.action.as_deref() == Some(name)
                };
                log.iter().filter(of).count()
            }
            Ground::Real(real) => {
                real.calls().iter().filter(|call| call["action"] == action).count()
            }
        }
    }

    /// Waits until AWS has answered this so often.
    pub async fn until_answered(&self, times: usize, action: &str) {
        for _ in 0..400 {
            if self.answered(action) >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{action} was never answered {times} times");
    }
}
