//! Who slipway is to AWS, and the credentials that follow from it.

use secrecy::SecretString;

use crate::names::RoleArn;

/// Where credentials come from.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Keys from the inputs.
    Keys {
        /// The access key id: never printed.
        id: String,
        /// The secret access key.
        secret: SecretString,
        /// The session token, where the keys are temporary.
        session: Option<SecretString>,
    },
    /// GitHub's OIDC token, exchanged for a role.
    Oidc {
        /// The role that trusts GitHub.
        role: RoleArn,
        /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
        request_url: String,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
        request_token: SecretString,
        /// `sts.amazonaws.com`, unless the trust policy says otherwise.
        audience: String,
    },
    /// Another identity, which then assumes a role by `sts:AssumeRole`.
    Chain {
        /// Who asks.
        base: Box<Identity>,
        /// The role it becomes.
        role: RoleArn,
    },
}
