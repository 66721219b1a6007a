//! The one shape of everything that goes wrong: a code, what, why, what runs now, what to do next.
//!
//! Rooms raise a [`Failure`] where the knowledge is; the stage boundary turns it into a [`Told`] by
//! adding the outcome's first words and what runs now. Codes name causes, exits name outcomes.

mod visible;

use serde::Serialize;

pub use visible::visible;

/// How a run ended, and thereby its exit code: the public table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The new image serves.
    Shipped,
    /// It already served.
    Unchanged,
    /// A newer commit took over.
    Superseded,
    /// The inputs cannot be used.
    BadInput,
    /// Refused before the first write.
    Refused,
    /// Build or push failed; the cluster is untouched.
    NotDeployed,
    /// It failed and the last healthy image is back.
    RolledBack,
    /// Cancelled; the rollout was left to go on.
    Cancelled,
    /// Somebody else changed the image under us.
    Displaced,
    /// It failed and was not put back.
    NotRestored,
    /// What runs could not be read.
    Unknown,
    /// slipway is wrong.
    Bug,
}

impl Ending {
    /// The process's exit code.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::Shipped | Self::Unchanged | Self::Superseded => 0,
            Self::BadInput => 2,
            Self::Refused => 3,
            Self::NotDeployed => 4,
            Self::RolledBack => 5,
            Self::Displaced | Self::NotRestored | Self::Unknown => 6,
            Self::Cancelled => 7,
            Self::Bug => 70,
        }
    }

    /// The word of the `outcome` output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::BadInput => "bad-input",
            Self::Refused => "refused",
            Self::NotDeployed => "not-deployed",
            Self::RolledBack => "rolled-back",
            Self::Cancelled => "cancelled",
            Self::Displaced => "displaced",
            Self::NotRestored => "not-restored",
            Self::Unknown => "unknown",
            Self::Bug => "bug",
        }
    }
}

/// Declares the codes once: the variant, the text users search for, and the whole list.
macro_rules! codes {
    ($($variant:ident = $text:literal,)*) => {
        /// A cause, as users read and search it: `SW-SUBJECT-FACT`, never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each has a page under docs/codes, checked by a test")]
        pub enum Code { $($variant,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The page that `slipway explain` prints.
            #[must_use]
            pub fn page(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../docs/codes/", $text, ".md")),)* }
            }
        }
    };
}

codes! {
    InputInvalid = "SW-INPUT-INVALID",
    InputMissing = "SW-INPUT-MISSING",
    InputEndpoint = "SW-INPUT-ENDPOINT",
    OidcToken = "SW-OIDC-TOKEN",
    OidcTrust = "SW-OIDC-TRUST",
    OidcProvider = "SW-OIDC-PROVIDER",
    AwsKey = "SW-AWS-KEY",
    AwsExpired = "SW-AWS-EXPIRED",
    AwsClock = "SW-AWS-CLOCK",
    AwsAccount = "SW-AWS-ACCOUNT",
    AwsRole = "SW-AWS-ROLE",
    AwsReach = "SW-AWS-REACH",
    AwsAnswer = "SW-AWS-ANSWER",
    EcrMissing = "SW-ECR-MISSING",
    Ecr403 = "SW-ECR-403",
    Ecr429 = "SW-ECR-429",
    EcrUpload = "SW-ECR-UPLOAD",
    EcrReach = "SW-ECR-REACH",
    EksMissing = "SW-EKS-MISSING",
    EksDenied = "SW-EKS-DENIED",
    Eks401 = "SW-EKS-401",
    Eks403 = "SW-EKS-403",
    EksReach = "SW-EKS-REACH",
    EksAnswer = "SW-EKS-ANSWER",
    BuildEngine = "SW-BUILD-ENGINE",
    BuildFeature = "SW-BUILD-FEATURE",
    BuildContext = "SW-BUILD-CONTEXT",
    BuildFile = "SW-BUILD-FILE",
    BuildStep = "SW-BUILD-STEP",
    BuildBase = "SW-BUILD-BASE",
    BuildPlatform = "SW-BUILD-PLATFORM",
    BuildSecret = "SW-BUILD-SECRET",
    ImageMissing = "SW-IMAGE-MISSING",
    ImageInvalid = "SW-IMAGE-INVALID",
    ImageConflict = "SW-IMAGE-CONFLICT",
    ImageRecipe = "SW-IMAGE-RECIPE",
    ImageWithdrawn = "SW-IMAGE-WITHDRAWN",
    ImageGone = "SW-IMAGE-GONE",
    PlatformMissing = "SW-PLATFORM-MISSING",
    PlatformUnknown = "SW-PLATFORM-UNKNOWN",
    PlatformEmulation = "SW-PLATFORM-EMULATION",
    CommitMissing = "SW-COMMIT-MISSING",
    CommitMismatch = "SW-COMMIT-MISMATCH",
    CommitBehind = "SW-COMMIT-BEHIND",
    CommitDiverged = "SW-COMMIT-DIVERGED",
    CommitUnknown = "SW-COMMIT-UNKNOWN",
    WorkloadKind = "SW-WORKLOAD-KIND",
    WorkloadMissing = "SW-WORKLOAD-MISSING",
    WorkloadContainer = "SW-WORKLOAD-CONTAINER",
    WorkloadPaused = "SW-WORKLOAD-PAUSED",
    WorkloadOwned = "SW-WORKLOAD-OWNED",
    WorkloadScaled = "SW-WORKLOAD-SCALED",
    WorkloadUnhealthy = "SW-WORKLOAD-UNHEALTHY",
    WorkloadChanged = "SW-WORKLOAD-CHANGED",
    WorkloadGone = "SW-WORKLOAD-GONE",
    WorkloadInvalid = "SW-WORKLOAD-INVALID",
    PullMissing = "SW-PULL-MISSING",
    PullPlatform = "SW-PULL-PLATFORM",
    Pull403 = "SW-PULL-403",
    PullLogin = "SW-PULL-LOGIN",
    PullReach = "SW-PULL-REACH",
    PullName = "SW-PULL-NAME",
    PullDigest = "SW-PULL-DIGEST",
    PullOther = "SW-PULL-OTHER",
    StartPlatform = "SW-START-PLATFORM",
    StartFormat = "SW-START-FORMAT",
    StartCommand = "SW-START-COMMAND",
    StartDenied = "SW-START-DENIED",
    StartConfig = "SW-START-CONFIG",
    StartRoot = "SW-START-ROOT",
    StartHook = "SW-START-HOOK",
    StartOther = "SW-START-OTHER",
    CrashExit = "SW-CRASH-EXIT",
    CrashDone = "SW-CRASH-DONE",
    CrashMemory = "SW-CRASH-MEMORY",
    CrashSignal = "SW-CRASH-SIGNAL",
    ProbeReady = "SW-PROBE-READY",
    ProbeStartup = "SW-PROBE-STARTUP",
    ProbeLive = "SW-PROBE-LIVE",
    ProbeGate = "SW-PROBE-GATE",
    SchedRoom = "SW-SCHED-ROOM",
    SchedTaint = "SW-SCHED-TAINT",
    SchedLabels = "SW-SCHED-LABELS",
    SchedOther = "SW-SCHED-OTHER",
    AdmitQuota = "SW-ADMIT-QUOTA",
    AdmitPolicy = "SW-ADMIT-POLICY",
    AdmitWebhook = "SW-ADMIT-WEBHOOK",
    AdmitAccount = "SW-ADMIT-ACCOUNT",
    AdmitOther = "SW-ADMIT-OTHER",
    MountMissing = "SW-MOUNT-MISSING",
    MountOther = "SW-MOUNT-OTHER",
    NodeNetwork = "SW-NODE-NETWORK",
    NodeLost = "SW-NODE-LOST",
    RestoreGone = "SW-RESTORE-GONE",
    RestoreNone = "SW-RESTORE-NONE",
    RestoreFailed = "SW-RESTORE-FAILED",
    RunSuperseded = "SW-RUN-SUPERSEDED",
    RunDisplaced = "SW-RUN-DISPLACED",
    RunCancelled = "SW-RUN-CANCELLED",
    RunDeadline = "SW-RUN-DEADLINE",
    RunUnknown = "SW-RUN-UNKNOWN",
    RunOutput = "SW-RUN-OUTPUT",
    RunBug = "SW-RUN-BUG",
}

impl Code {
    /// Finds a code by what somebody typed, in any case.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl Code {
    /// Whether the cause lies in the image or in what it was told to do, so that shipping it again
    /// unchanged would fail again. What lies around it (a role, a Secret, room) can be mended there.
    #[must_use]
    pub fn blames_the_image(self) -> bool {
        matches!(
            self,
            Self::StartPlatform
                | Self::StartFormat
                | Self::StartCommand
                | Self::StartDenied
                | Self::StartHook
                | Self::PullPlatform
                | Self::CrashExit
                | Self::CrashDone
                | Self::CrashMemory
                | Self::CrashSignal
                | Self::ProbeReady
                | Self::ProbeStartup
                | Self::ProbeLive
        )
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Why something cannot go on: said where it is known, without what runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The cause.
    pub code: Code,
    /// The sentence after the outcome's first words, for example "image `web:dev` cannot run on these nodes".
    pub what: String,
    /// What was read, and who said it: one line each.
    pub why: Vec<String>,
    /// One command or edit, in as many lines as it takes.
    pub next: Vec<String>,
}

impl Failure {
    /// A failure with nothing but its sentence; `why` and `next` add the lines.
    #[must_use]
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: Vec::new(), next: Vec::new() }
    }

    /// Adds a line of what was read.
    #[must_use]
    pub fn why(mut self, line: impl Into<String>) -> Self {
        self.why.push(line.into());
        self
    }

    /// Adds a line of what to do.
    #[must_use]
    pub fn next(mut self, line: impl Into<String>) -> Self {
        self.next.push(line.into());
        self
    }
}

/// What an optional right, or an optional request, did not show. It never fails a run: the report
/// says what it decided without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// What was not seen: "nodes".
    pub what: String,
    /// Why: "may not list".
    pub because: String,
}

impl Unseen {
    /// Names what was not seen, and why.
    #[must_use]
    pub fn new(what: impl Into<String>, because: impl Into<String>) -> Self {
        Self { what: what.into(), because: because.into() }
    }
}

impl std::fmt::Display for Unseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not seen: {} ({})", self.what, self.because)
    }
}

/// How loud something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The run did not do what was asked.
    Error,
    /// Somebody should change something.
    Warning,
    /// Worth knowing.
    Notice,
}

/// What a user reads: a failure with the outcome's first words and what runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// How loud.
    pub severity: Severity,
    /// The cause.
    pub code: Code,
    /// The whole first line after `error[CODE]: `.
    pub what: String,
    /// What was read.
    pub why: Vec<String>,
    /// What runs, read after the last write.
    pub now: Option<String>,
    /// What to do.
    pub next: Vec<String>,
}

/// Others' words: in double quotes, on one line, without control characters, cut with `...`.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text, 200))
}

/// Others' words without the quotes, at most `most` characters.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    let seen: String = visible(text).collect();
    let line = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let kept: String = line.chars().take(most.saturating_sub(3)).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_words_are_one_line_that_can_be_read() {
        for (text, line) in [
            ("  two\n\tlines \u{2028}and \u{85} more", "two lines and more"),
            ("\u{1b}[91mtwo", "two"),
            (
                "\u{1b}[1;31merror\u{1b}[0m: \u{1b}]8;;http://x\u{1b}\\a link\u{1b}]8;;\u{7}",
                "error: a link",
            ),
            ("left\u{202e}right\u{0}", "leftright"),
        ] {
            assert_eq!(one_line(text, 40), line, "{text:?}");
        }
        assert_eq!(one_line("0123456789", 9), "012345...");
        assert_eq!(quoted("a\u{7}b"), "\"ab\"");
    }
}
