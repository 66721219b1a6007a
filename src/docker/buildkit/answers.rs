//! What a builder may ask us besides files: logins, secrets, and whether we are still there.
//!
//! Values leave here in answers and in nothing else. What was asked for in vain is kept by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::Health;
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::Secrets;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use futures_util::stream::Empty;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Request, Response, Status};

use super::super::Login;

/// Names that a builder asked for.
type Names = Arc<Mutex<BTreeSet<String>>>;

/// Gives secrets and logins to a builder that asks for them.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    secrets: Arc<BTreeMap<String, SecretString>>,
    logins: Arc<Vec<Login>>,
    missing: Names,
}

fn locked(names: &Names) -> MutexGuard<'_, BTreeSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Docker Hub has several names, and engines ask with the one that they connect to.
pub(super) fn host(name: &str) -> String {
    let name = name.strip_prefix("https://").or(name.strip_prefix("http://")).unwrap_or(name);
    let name = name.split('/').next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            "docker.io".into()
        }
        _ => name,
    }
}

impl Answers {
    pub(super) fn new(secrets: BTreeMap<String, SecretString>, logins: Vec<Login>) -> Self {
        Self { secrets: Arc::new(secrets), logins: Arc::new(logins), missing: Names::default() }
    }

    /// The secrets that steps asked for and that there are none of.
    pub(super) fn missing(&self) -> Vec<String> {
        locked(&self.missing).iter().cloned().collect()
    }
}

#[tonic::async_trait]
impl Secrets for Answers {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let Some(secret) = self.secrets.get(&id) else {
            let status = Status::not_found(format!("secret {id} not found"));
            locked(&self.missing).insert(id);
            return Err(status);
        };
        let data = secret.expose_secret().as_bytes().to_vec();
        Ok(Response::new(GetSecretResponse { data }))
    }
}

#[tonic::async_trait]
impl Auth for Answers {
    /// Without a login the engine goes on as nobody.
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let asked = host(&request.into_inner().host);
        let login = self.logins.iter().find(|login| host(&login.host) == asked);
        Ok(Response::new(login.map_or_else(CredentialsResponse::default, |login| {
            CredentialsResponse {
                username: login.user.clone(),
                secret: login.password.expose_secret().to_owned(),
            }
        })))
    }

    /// An engine that hears this gets its tokens by itself, with the credentials.
    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("credentials are given instead"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("credentials are given instead"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("credentials are given instead"))
    }
}

#[tonic::async_trait]
impl Health for Answers {
    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("one service at a time"))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("it is checked, not watched"))
    }
}
