//! What a builder is given when it asks, and what it is not.

use bollard_buildkit_proto::health::HealthCheckRequest;
use bollard_buildkit_proto::health::health_client::HealthClient;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use bollard_buildkit_proto::moby::filesync::v1::{CredentialsRequest, GetTokenAuthorityRequest};
use bollard_buildkit_proto::moby::upload::v1::BytesMessage;
use bollard_buildkit_proto::moby::upload::v1::upload_client::UploadClient;
use tempfile::TempDir;
use tonic::Code;

use super::{Pipe, login, order, origin};

#[tokio::test]
async fn a_secret_is_given_by_its_id_and_a_missing_one_is_remembered() {
    let folder = TempDir::new().unwrap();
    let mut order = order();
    order.secrets.insert("token".into(), "abc\n".into());
    let pipe = Pipe::open(folder.path(), &order).await;
    let mut client = SecretsClient::with_origin(pipe.channel.clone(), origin());
    let ask = |id: &str| GetSecretRequest { id: id.into(), ..GetSecretRequest::default() };
    let given = client.get_secret(ask("token")).await.unwrap().into_inner();
    assert_eq!(given.data, b"abc\n");
    let status = client.get_secret(ask("other")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(pipe.services.answers.missing(), ["other"]);
    let shown = format!("{:?}", pipe.services.answers);
    assert!(!shown.contains("abc"), "{shown}");
}

#[tokio::test]
async fn a_login_is_given_to_its_host_alone() {
    let folder = TempDir::new().unwrap();
    let mut order = order();
    order.logins = vec![login("docker.io"), login("Registry.example.com:5000")];
    let pipe = Pipe::open(folder.path(), &order).await;
    let mut client = AuthClient::with_origin(pipe.channel.clone(), origin());
    for (host, user) in [
        ("registry-1.docker.io", "me"),
        ("https://index.docker.io/v1/", "me"),
        ("registry.example.com:5000", "me"),
        ("registry.example.com", ""),
        ("ghcr.io", ""),
    ] {
        let request = CredentialsRequest { host: host.into() };
        let given = client.credentials(request).await.unwrap().into_inner();
        assert_eq!(given.username, user, "{host}");
        assert_eq!(given.secret.is_empty(), user.is_empty(), "{host}");
    }
    // Then the engine asks for credentials.
    let status = client.get_token_authority(GetTokenAuthorityRequest::default()).await;
    assert_eq!(status.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn it_says_that_it_is_there_and_what_it_does_not_serve() {
    let folder = TempDir::new().unwrap();
    let pipe = Pipe::open(folder.path(), &order()).await;
    let mut health = HealthClient::with_origin(pipe.channel.clone(), origin());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status, 1);
    let mut upload = UploadClient::with_origin(pipe.channel.clone(), origin());
    let nothing = futures_util::stream::empty::<BytesMessage>();
    assert_eq!(upload.pull(nothing).await.unwrap_err().code(), Code::Unimplemented);
}
