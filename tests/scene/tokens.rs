//! What a job's token is worth to STS, on both grounds.

use super::{Ground, Scene};

/// The tokens that GitHub gives the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// They end as they are given.
    Ended,
    /// They are signed with a key that GitHub does not publish.
    Unpublished,
}

/// The settings of the provider, as the testbed has them.
const PROVIDER: &str = ".oidc_providers[\"token.actions.githubusercontent.com\"]";

impl Scene {
    /// Runs as a job of `acme/shop` on `main` that is given such tokens.
    pub fn by_job_with(self, token: Token) -> Self {
        let mut scene = self.by_job("main");
        match &mut scene.ground {
            Ground::Sandbox(stage) => stage.sandbox.world(|world| match token {
                Token::Ended => world.oidc.life = std::time::Duration::ZERO,
                Token::Unpublished => world.oidc.published = false,
            }),
            Ground::Real(real) => {
                let claim = match token {
                    Token::Ended => "ttl=0",
                    Token::Unpublished => "key=unpublished",
                };
                real.become_one(&["github", "repository=acme/shop", claim, "--"]);
            }
        }
        scene
    }

    /// Runs in a workflow whose job may not ask for a token, with a role and no keys.
    pub fn by_job_without_tokens(mut self) -> Self {
        match &mut self.ground {
            Ground::Sandbox(stage) => {
                for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                    stage.export(key, "");
                }
                stage.export("GITHUB_ACTIONS", "true");
            }
            Ground::Real(real) => {
                real.become_one(&["nobody"]);
                real.runner.variable("GITHUB_ACTIONS", "true");
            }
        }
        self.input("role-to-assume", "arn:aws:iam::123456789012:role/ship")
    }

    /// The account's provider for GitHub takes this audience only.
    pub fn provider_takes(self, audience: &str) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => {
                stage.sandbox.world(|world| world.oidc.audiences = vec![audience.into()]);
            }
            Ground::Real(real) => real.lab(&format!("{PROVIDER} = [\"{audience}\"]")),
        }
        self
    }

    /// The account has no provider for GitHub.
    pub fn without_provider(self) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => stage.sandbox.world(|world| world.oidc.provider = false),
            Ground::Real(real) => real.lab(&format!("del({PROVIDER})")),
        }
        self
    }
}
