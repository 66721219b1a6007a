//! The caller's session: it serves, and the engine asks it for files, secrets and logins, over the
//! connection that the caller itself made.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::health::HealthCheckRequest;
use bollard_buildkit_proto::health::health_client::HealthClient;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use bollard_buildkit_proto::moby::filesync::v1::CredentialsRequest;
use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use bollard_buildkit_proto::moby::filesync::v1::file_sync_client::FileSyncClient;
use bytes::Bytes;
use futures_util::stream;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tonic::codegen::Service;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Request, Status};

use super::tree::{Entry, Files};
use super::wrong::Wrong;

/// Go's bits of a file that is neither a file nor a folder: links, devices, pipes, sockets.
const LINK: u32 = 1 << 27;
const FOLDER: u32 = 1 << 31;
const STRANGE: u32 = 1 << 26 | 1 << 25 | 1 << 24;

/// A caller that can be asked.
#[derive(Clone)]
pub(crate) struct Session {
    send: SendRequest<tonic::body::Body>,
    /// What the caller says that it serves.
    methods: Vec<String>,
}

impl Service<http::Request<tonic::body::Body>> for Session {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.send.send_request(request))
    }
}

fn origin() -> http::Uri {
    http::Uri::from_static("http://localhost")
}

fn broken(status: &Status) -> Wrong {
    let code = match status.code() {
        Code::Cancelled => "Canceled".to_owned(),
        other => format!("{other:?}"),
    };
    Wrong::Session(format!("rpc error: code = {code} desc = {}", status.message()))
}

impl Session {
    /// Takes a connection that a caller gave away, and what has to run while it lives.
    pub(crate) async fn over(
        wire: Upgraded,
        methods: Vec<String>,
    ) -> Result<(Self, impl Future<Output = ()>), hyper::Error> {
        let (send, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), wire).await?;
        Ok((Self { send, methods }, async { _ = connection.await }))
    }

    /// Asks whether it is well, as an engine does every few seconds.
    pub(crate) async fn is_well(&self) -> bool {
        let mut health = HealthClient::with_origin(self.clone(), origin());
        health.check(HealthCheckRequest::default()).await.is_ok()
    }

    fn serves(&self, method: &str) -> bool {
        self.methods.iter().any(|one| one == method)
    }

    /// A secret, if the caller has one of this name.
    pub(crate) async fn secret(&self, id: &str) -> Result<Option<Bytes>, Wrong> {
        if !self.serves("/moby.buildkit.secrets.v1.Secrets/GetSecret") {
            return Ok(None);
        }
        let mut secrets = SecretsClient::with_origin(self.clone(), origin());
        let asked = GetSecretRequest { id: id.into(), ..Default::default() };
        match secrets.get_secret(asked).await {
            Ok(found) => Ok(Some(found.into_inner().data.into())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(broken(&status)),
        }
    }

    /// User and password for a registry; empty where the caller has none.
    pub(crate) async fn login(&self, host: &str) -> Result<(String, String), Wrong> {
        if !self.serves("/moby.filesync.v1.Auth/Credentials") {
            return Ok(Default::default());
        }
        let mut auth = AuthClient::with_origin(self.clone(), origin());
        let asked = CredentialsRequest { host: host.into() };
        let found = auth.credentials(asked).await.map_err(|status| broken(&status))?.into_inner();
        Ok((found.username, found.secret))
    }

    /// The caller's files under a name, with the rules that the caller has to keep.
    pub(crate) async fn files(
        &self,
        name: &str,
        follow: &[String],
        exclude: &[String],
    ) -> Result<Files, Wrong> {
        let (say, heard) = mpsc::unbounded_channel::<Packet>();
        let outgoing = stream::unfold(heard, |mut heard| async {
            let packet = heard.recv().await?;
            Some((packet, heard))
        });
        let mut request = Request::new(outgoing);
        put(request.metadata_mut(), "dir-name", &[name.to_owned()])?;
        put(request.metadata_mut(), "followpaths", follow)?;
        put(request.metadata_mut(), "exclude-patterns", exclude)?;
        let mut client =
            FileSyncClient::with_origin(self.clone(), origin()).max_decoding_message_size(1 << 26);
        let mut incoming =
            client.diff_copy(request).await.map_err(|status| broken(&status))?.into_inner();
        let mut receiving = Receiving { say, stats: Vec::new(), data: BTreeMap::new(), open: 0 };
        let mut is_listed = false;
        while let Some(packet) = incoming.message().await.map_err(|status| broken(&status))? {
            match (packet.r#type(), packet.stat) {
                (PacketType::PacketStat, Some(stat)) => receiving.stat(stat)?,
                (PacketType::PacketStat, None) => is_listed = true,
                (PacketType::PacketData, _) => receiving.data(packet.id, &packet.data)?,
                (PacketType::PacketErr, _) => {
                    let said = String::from_utf8_lossy(&packet.data).into_owned();
                    return Err(Wrong::Session(format!("error from sender: {said}")));
                }
                (PacketType::PacketFin, _) => return Ok(receiving.files()),
                (PacketType::PacketReq, _) => {
                    return Err(Wrong::Session("a sender that asks for a file".into()));
                }
            }
            if is_listed && receiving.open == 0 {
                receiving.say(PacketType::PacketFin, 0);
                is_listed = false;
            }
        }
        Err(Wrong::Session("the sender ended before it was done".into()))
    }
}

fn put(metadata: &mut MetadataMap, key: &'static str, values: &[String]) -> Result<(), Wrong> {
    for value in values {
        let value: AsciiMetadataValue = value
            .parse()
            .map_err(|_| Wrong::Unplayed(format!("the name `{value}`, which is not ASCII")))?;
        metadata.append(key, value);
    }
    Ok(())
}

/// One exchange with a sender of files.
struct Receiving {
    say: mpsc::UnboundedSender<Packet>,
    stats: Vec<Stat>,
    data: BTreeMap<u32, Vec<u8>>,
    /// How many files have been asked for and have not come whole.
    open: usize,
}

impl Receiving {
    fn say(&self, kind: PacketType, id: u32) {
        // A sender that is gone is seen where it is heard.
        _ = self.say.send(Packet { r#type: kind as i32, id, ..Default::default() });
    }

    /// Engines refuse what is not in the order of a walk: a folder before what is in it.
    fn stat(&mut self, stat: Stat) -> Result<(), Wrong> {
        let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let is_clean = |part: &String| !part.is_empty() && part != "." && part != "..";
        if !parts(&stat.path).iter().all(is_clean) {
            return Err(Wrong::Session(format!("invalid path: {:?}", stat.path)));
        }
        if let Some(last) = self.stats.last().filter(|last| parts(&last.path) >= parts(&stat.path))
        {
            let said = format!("changes out of order: {:?} {:?}", stat.path, last.path);
            return Err(Wrong::Session(said));
        }
        let parent = stat.path.rsplit_once('/').map(|(parent, _)| parent);
        let is_there = |parent: &str| {
            self.stats.iter().any(|known| known.path == parent && known.mode & FOLDER != 0)
        };
        if let Some(parent) = parent.filter(|parent| !is_there(parent)) {
            let said = format!("invalid parent of {:?}: {parent:?} was not sent", stat.path);
            return Err(Wrong::Session(said));
        }
        if stat.mode & STRANGE != 0 {
            return Err(Wrong::Unplayed(format!("`{}`, which is no file", stat.path)));
        }
        let is_file = stat.mode & (LINK | FOLDER) == 0 && stat.linkname.is_empty();
        if is_file {
            let id = u32::try_from(self.stats.len()).unwrap_or(u32::MAX);
            self.open += 1;
            self.say(PacketType::PacketReq, id);
        }
        self.stats.push(stat);
        Ok(())
    }

    fn data(&mut self, id: u32, data: &[u8]) -> Result<(), Wrong> {
        let Some(stat) = self.stats.get(id as usize) else {
            return Err(Wrong::Session(format!("data of a file {id} that was not told")));
        };
        let had = self.data.entry(id).or_default();
        had.extend_from_slice(data);
        if data.is_empty() {
            self.open = self.open.saturating_sub(1);
            if i64::try_from(had.len()).ok() != Some(stat.size) {
                let (path, size, came) = (&stat.path, stat.size, had.len());
                return Err(Wrong::Session(format!("{path:?} has {size} bytes, {came} came")));
            }
        }
        Ok(())
    }

    fn files(mut self) -> Files {
        let mut files = Files::new();
        for (id, stat) in (0..).zip(self.stats) {
            let time = stat.mod_time / 1_000_000_000;
            let mode = stat.mode & 0o777;
            let entry = if stat.mode & FOLDER != 0 {
                Entry::Folder { mode, time }
            } else if stat.mode & LINK != 0 {
                Entry::Link { to: stat.linkname }
            } else if let Some(same) = files.get(&stat.linkname) {
                Entry::clone(same)
            } else {
                Entry::File { mode, time, bytes: self.data.remove(&id).unwrap_or_default().into() }
            };
            files.insert(stat.path, entry);
        }
        files
    }
}
