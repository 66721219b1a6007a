//! Sorts others' words into kinds: what a kubelet says about a pull or a start, what admission says
//! about a pod. The judge asks whether a kind can heal, the diagnosis what to do about it. The
//! strings are those of the kubelet, containerd, runc, ECR and the API server, verbatim.

/// Why an image was not pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pull {
    /// The reference is malformed.
    Name,
    /// `imagePullPolicy: Never`, and the node has no such image.
    Never,
    /// The index has nothing for the node's platform.
    Platform,
    /// No such repository, tag or digest.
    Missing,
    /// The token of a pull secret has expired.
    Expired,
    /// The registry wants a login and got none it knows.
    Login,
    /// The registry knows the node and refuses.
    Refused,
    /// The repository's encryption key refuses.
    Key,
    /// The registry did not answer.
    Reach,
    /// The node does not trust the registry's certificate.
    Trust,
    /// The registry asks to slow down.
    Rate,
    /// The node's disk is full.
    Disk,
    /// A policy wants a signature.
    Signature,
    /// None of these.
    Other,
}

/// The words of each kind, most specific first: an ECR message may hold several of them.
const PULLS: [(Pull, &[&str]); 11] = [
    (Pull::Platform, &["no match for platform", "no matching manifest for"]),
    (Pull::Signature, &["SignatureValidationFailed", "signature validation failed"]),
    (Pull::Key, &["kms:Decrypt", "KMSAccessDenied", "KMS key"]),
    (Pull::Expired, &["authorization token has expired"]),
    (Pull::Rate, &["toomanyrequests", "429 Too Many Requests", "Rate exceeded", "rate limit"]),
    (Pull::Refused, &["403 Forbidden", "status: 403", "status code 403", "AccessDenied"]),
    (
        Pull::Login,
        &[
            "no basic auth credentials",
            "401 Unauthorized",
            "failed to fetch anonymous token",
            "authorization failed",
            "unauthorized:",
        ],
    ),
    (Pull::Trust, &["x509:"]),
    (
        Pull::Reach,
        &[
            "i/o timeout",
            "TLS handshake timeout",
            "no such host",
            "connection refused",
            "connection reset",
            "context deadline exceeded",
            "network is unreachable",
            "dial tcp",
        ],
    ),
    (Pull::Disk, &["no space left on device"]),
    (Pull::Missing, &["not found", "manifest unknown", "name unknown", "does not exist"]),
];

/// The kind of a pull error.
pub(super) fn pull(reason: &str, message: &str) -> Pull {
    match reason {
        "InvalidImageName" => return Pull::Name,
        "ErrImageNeverPull" => return Pull::Never,
        "SignatureValidationFailed" => return Pull::Signature,
        _ => {}
    }
    let known = PULLS.iter().find(|(_, words)| any(message, words));
    known.map_or(Pull::Other, |(kind, _)| *kind)
}

/// Why a program was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The kernel cannot execute it.
    Format,
    /// No such program, or no such interpreter or loader for it.
    Missing,
    /// It may not be executed.
    Denied,
    /// The image and the pod name no program.
    Nothing,
    /// A postStart hook failed.
    Hook,
    /// The node's runtime is in trouble, often for a moment.
    Other,
}

/// The kind of a start error.
pub(super) fn start(reason: &str, message: &str) -> Start {
    const KINDS: [(Start, &[&str]); 4] = [
        (Start::Format, &["exec format error"]),
        (Start::Nothing, &["no command specified"]),
        (Start::Denied, &["permission denied", "is a directory"]),
        (Start::Missing, &["executable file not found", "no such file or directory"]),
    ];
    if reason.contains("PostStartHook") {
        return Start::Hook;
    }
    // Only runc's words about the program count: a missing cgroup or socket is the node's trouble.
    let program = ["exec:", "exec /", "no command specified", "stat /", "exec format error"];
    if !any(message, &program) {
        return Start::Other;
    }
    KINDS.iter().find(|(_, words)| any(message, words)).map_or(Start::Other, |(kind, _)| *kind)
}

/// Why the kubelet could not put a container together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Config {
    /// A Secret or ConfigMap is not there, or lacks a key.
    Missing,
    /// It must not run as root and would, or that cannot be told.
    Root,
    /// The kubelet's own cache lags behind.
    Lag,
    /// None of these.
    Other,
}

/// The kind of a configuration error.
pub(super) fn config(message: &str) -> Config {
    const KINDS: [(Config, &[&str]); 3] = [
        (Config::Lag, &["failed to sync secret cache", "failed to sync configmap cache"]),
        (Config::Root, &["runAsNonRoot", "verify user is non-root"]),
        (Config::Missing, &["not found", "couldn't find key"]),
    ];
    KINDS.iter().find(|(_, words)| any(message, words)).map_or(Config::Other, |(kind, _)| *kind)
}

/// Why the API server did not take a new pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admit {
    /// The namespace's quota is used up.
    Quota,
    /// Pod Security refuses the pod.
    Security,
    /// A webhook or an admission policy refuses it.
    Denied,
    /// A webhook did not answer.
    Webhook,
    /// No such service account.
    Account,
    /// Something else refuses it by its specification: limits, an invalid field.
    Refused,
    /// None of these.
    Other,
}

/// The kind of a refused creation.
pub(super) fn admit(message: &str) -> Admit {
    const KINDS: [(Admit, &[&str]); 5] = [
        (Admit::Quota, &["exceeded quota"]),
        (Admit::Webhook, &["failed calling webhook"]),
        (Admit::Denied, &["denied the request", "denied request"]),
        (Admit::Security, &["violates PodSecurity"]),
        (Admit::Refused, &["is forbidden", "is invalid"]),
    ];
    let account = message.contains("error looking up service account")
        || (message.contains("serviceaccount") && message.contains("not found"));
    if account {
        return Admit::Account;
    }
    KINDS.iter().find(|(_, words)| any(message, words)).map_or(Admit::Other, |(kind, _)| *kind)
}

fn any(message: &str, words: &[&str]) -> bool {
    words.iter().any(|word| message.contains(word))
}
