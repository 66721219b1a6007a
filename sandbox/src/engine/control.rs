//! BuildKit's own service: builds, what they say, and what it can run.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as api;
use bollard_buildkit_proto::moby::buildkit::v1::control_server::{self, ControlServer};
use bollard_buildkit_proto::moby::buildkit::v1::types::{BuildkitVersion, WorkerRecord};
use bollard_buildkit_proto::pb::Platform;
use futures_util::stream::BoxStream;
use hyper::body::Incoming;
use tonic::codegen::Service as _;
use tonic::{Code, Request, Response, Status, Streaming};

use super::session::Session;
use super::solve::{Asked, Work, part};
use super::{Build, Ended, Guard, State, Version};
use crate::world::hold;

/// How long an engine waits for a session that was announced.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service over one connection.
#[derive(Clone)]
pub(super) struct Control {
    engine: Arc<State>,
}

type Stream<T> = BoxStream<'static, Result<T, Status>>;

fn unplayed(what: &str) -> Status {
    Status::unimplemented(format!("this sandbox's engine does not play {what}"))
}

impl Control {
    pub(super) fn new(engine: Arc<State>) -> Self {
        Self { engine }
    }

    /// Answers one call, whichever service it is for.
    pub(super) async fn answer(
        self,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<tonic::body::Body>, Infallible> {
        let path = request.uri().path().to_owned();
        hold(&self.engine.asked).push(format!("grpc {path}"));
        if path.starts_with("/moby.buildkit.v1.Control/") {
            return ControlServer::new(self).call(request).await;
        }
        let service = path.split('/').nth(1).unwrap_or_default();
        Ok(Status::unimplemented(format!("unknown service {service}")).into_http())
    }

    async fn session(&self, id: &str) -> Result<Session, Status> {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(session) = hold(&self.engine.sessions).get(id) {
                return Ok(session.clone());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let said = format!("no active session for {id}: context deadline exceeded");
        Err(Status::new(Code::Unknown, said))
    }
}

/// What is noted of a build that was asked for.
fn record(asked: &api::SolveRequest) -> Build {
    let sorted = |all: &std::collections::HashMap<String, String>| -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let platforms = asked.frontend_attrs.get("platform").into_iter().flat_map(|all| all.split(','));
    Build {
        builder: "buildkit".into(),
        args: part(&asked.frontend_attrs, "build-arg:"),
        labels: part(&asked.frontend_attrs, "label:"),
        platforms: platforms.filter(|one| !one.is_empty()).map(str::to_owned).collect(),
        attributes: sorted(&asked.frontend_attrs),
        entitlements: asked.entitlements.clone(),
        ..Build::default()
    }
}

/// What is asked for and not played.
fn plays(asked: &api::SolveRequest) -> Result<(), Status> {
    let frontend = &asked.frontend;
    if frontend != "dockerfile.v0" || !asked.frontend_inputs.is_empty() {
        return Err(unplayed(&format!("the frontend `{frontend}`")));
    }
    if asked.definition.as_ref().is_some_and(|one| !one.def.is_empty()) {
        return Err(unplayed("a build by its operations"));
    }
    if asked.source_policy.is_some() || asked.exporters.len() > 1 {
        return Err(unplayed("a source policy, or several exporters"));
    }
    let Some(cache) = &asked.cache else { return Ok(()) };
    let foreign = |one: &&api::CacheOptionsEntry| one.r#type != "inline";
    match cache.exports.iter().find(foreign).or(cache.imports.first()) {
        Some(one) => Err(unplayed(&format!("a cache of the kind `{}`", one.r#type))),
        None => Ok(()),
    }
}

#[tonic::async_trait]
impl control_server::Control for Control {
    type PruneStream = Stream<api::UsageRecord>;
    type StatusStream = Stream<api::StatusResponse>;
    type SessionStream = Stream<api::BytesMessage>;
    type ListenBuildHistoryStream = Stream<api::BuildHistoryEvent>;

    async fn solve(
        &self,
        request: Request<api::SolveRequest>,
    ) -> Result<Response<api::SolveResponse>, Status> {
        let asked = request.into_inner();
        let progress = self.engine.progress(&asked.r#ref);
        let number = self.engine.begun(record(&asked));
        let mut guard = Guard::new(&self.engine, number, Arc::clone(&progress));
        let built = async {
            plays(&asked)?;
            let session = self.session(&asked.session).await?;
            let exporter = match asked.exporters.first() {
                Some(exporter) => (exporter.r#type.clone(), exporter.attrs.clone()),
                None => (asked.exporter_deprecated, asked.exporter_attrs_deprecated),
            };
            let asked = Asked { attributes: asked.frontend_attrs, exporter, number };
            Work::new(&self.engine, session, progress, asked).done().await
        };
        let built = built.await;
        guard.ended = match &built {
            Ok(_) => Ended::Built,
            Err(status) => Ended::Failed(status.message().to_owned()),
        };
        built.map(|exporter_response| Response::new(api::SolveResponse { exporter_response }))
    }

    async fn status(
        &self,
        request: Request<api::StatusRequest>,
    ) -> Result<Response<Self::StatusStream>, Status> {
        let progress = self.engine.progress(&request.into_inner().r#ref);
        Ok(Response::new(progress.heard()))
    }

    async fn list_workers(
        &self,
        _: Request<api::ListWorkersRequest>,
    ) -> Result<Response<api::ListWorkersResponse>, Status> {
        let kind = self.engine.kind;
        let platform = |text: &&str| {
            let mut parts = text.split('/').map(str::to_owned);
            Platform {
                os: parts.next().unwrap_or_default(),
                architecture: parts.next().unwrap_or_default(),
                variant: parts.next().unwrap_or_default(),
                ..Platform::default()
            }
        };
        // A processor runs older ones' programs, too; only 28 tells its levels.
        let also: &[&str] = match (kind.native, kind.version) {
            ("linux/amd64", Version::V28) => {
                &["linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4", "linux/386"]
            }
            ("linux/amd64", Version::V20) => &["linux/386"],
            _ => &[],
        };
        let all = [&kind.native].into_iter().chain(also).chain(kind.emulated);
        let platforms = all.map(platform).collect();
        let buildkit_version = (kind.version == Version::V28).then(version);
        let record = WorkerRecord {
            id: "sandbox".into(),
            platforms,
            buildkit_version,
            ..Default::default()
        };
        Ok(Response::new(api::ListWorkersResponse { record: vec![record] }))
    }

    async fn info(
        &self,
        _: Request<api::InfoRequest>,
    ) -> Result<Response<api::InfoResponse>, Status> {
        if self.engine.kind.version == Version::V20 {
            let said = "unknown method Info for service moby.buildkit.v1.Control";
            return Err(Status::unimplemented(said));
        }
        Ok(Response::new(api::InfoResponse { buildkit_version: Some(version()) }))
    }

    async fn disk_usage(
        &self,
        _: Request<api::DiskUsageRequest>,
    ) -> Result<Response<api::DiskUsageResponse>, Status> {
        Err(unplayed("DiskUsage"))
    }

    async fn prune(
        &self,
        _: Request<api::PruneRequest>,
    ) -> Result<Response<Self::PruneStream>, Status> {
        Err(unplayed("Prune"))
    }

    async fn session(
        &self,
        _: Request<Streaming<api::BytesMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Err(unplayed("a session over /grpc"))
    }

    async fn listen_build_history(
        &self,
        _: Request<api::BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        Err(unplayed("the history of builds"))
    }

    async fn update_build_history(
        &self,
        _: Request<api::UpdateBuildHistoryRequest>,
    ) -> Result<Response<api::UpdateBuildHistoryResponse>, Status> {
        Err(unplayed("the history of builds"))
    }
}

fn version() -> BuildkitVersion {
    let package = "github.com/moby/buildkit".to_owned();
    BuildkitVersion { package, version: "v0.0.0+unknown".into(), revision: String::new() }
}
