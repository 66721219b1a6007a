//! The words that the table of inputs is ordered by: sub-commands, and the rows of the help.

/// The sub-commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// Build or take the image, push, roll out, watch, roll back on failure.
    Ship,
    /// The same, up to the first write.
    Plan,
    /// Put an earlier commit back.
    Rollback,
    /// What serves.
    Status,
    /// What was shipped.
    History,
    /// Join a commit's platforms.
    Index,
    /// The page of a code.
    Explain,
    /// The whole line on the built-in sandbox.
    Demo,
    /// The demo's world, kept running.
    Sandbox,
    /// Shell completions.
    Completions,
}

impl Command {
    /// Every command, in the order of the help.
    pub const ALL: &[Self] = &[
        Self::Ship,
        Self::Plan,
        Self::Rollback,
        Self::Status,
        Self::History,
        Self::Index,
        Self::Explain,
        Self::Demo,
        Self::Sandbox,
        Self::Completions,
    ];

    /// As it is typed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ship => "ship",
            Self::Plan => "plan",
            Self::Rollback => "rollback",
            Self::Status => "status",
            Self::History => "history",
            Self::Index => "index",
            Self::Explain => "explain",
            Self::Demo => "demo",
            Self::Sandbox => "sandbox",
            Self::Completions => "completions",
        }
    }

    /// What it does, for the help.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Ship => "build or take the image, push, roll out, watch, roll back on failure",
            Self::Plan => "the same, up to the first write",
            Self::Rollback => "put an earlier commit back",
            Self::Status => "what serves, what a rollback would restore",
            Self::History => "what was shipped, how it ended, what ECR still has",
            Self::Index => "join a commit's platforms",
            Self::Explain => "the page of a code: slipway explain SW-PULL-403",
            Self::Demo => "the whole line: no account, cluster or Docker",
            Self::Sandbox => "the demo, kept running",
            Self::Completions => "completions bash, zsh or fish",
        }
    }

    /// Whether it talks to AWS and a cluster, and so takes inputs.
    #[must_use]
    pub fn takes_inputs(self) -> bool {
        matches!(
            self,
            Self::Ship | Self::Plan | Self::Rollback | Self::Status | Self::History | Self::Index
        )
    }

    /// Finds a command by its word.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.word() == word)
    }
}

/// The rows of the help that inputs stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Whose credentials.
    Who,
    /// What image.
    Image,
    /// How it is built.
    Build,
    /// Which workload.
    Where,
    /// How long, and what then.
    Watch,
    /// The run itself.
    Run,
}

impl Group {
    /// Every group, in the order of the help.
    pub const ALL: &[Self] =
        &[Self::Who, Self::Image, Self::Build, Self::Where, Self::Watch, Self::Run];

    /// The word that heads its row.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Who => "who",
            Self::Image => "image",
            Self::Build => "build",
            Self::Where => "where",
            Self::Watch => "watch",
            Self::Run => "run",
        }
    }
}
