//! STS: who we are.

use std::fmt;

use serde::Serialize;

use super::{Aws, unwritten};
use crate::error::Failure;
use crate::names::{Account, RoleArn};

/// How the identity was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// GitHub's OIDC token.
    Oidc,
    /// A long-lived access key.
    AccessKey,
    /// Temporary keys, with a session token.
    SessionKeys,
    /// One of the others, and then `sts:AssumeRole`.
    Role(Box<How>),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oidc => f.write_str("OIDC"),
            Self::AccessKey => f.write_str("access key"),
            Self::SessionKeys => f.write_str("temporary keys"),
            Self::Role(base) => write!(f, "{base} and AssumeRole"),
        }
    }
}

/// Who AWS says we are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The account.
    pub account: Account,
    /// The whole ARN, as GetCallerIdentity gave it.
    pub arn: String,
    /// As people read it: "role `ship`", "user `eks-manager`".
    pub who: String,
    /// The ARN that an access entry takes: for an assumed role the role's own, with its path where
    /// it is known.
    pub principal: String,
    /// The role, where it is one.
    pub role: Option<RoleArn>,
    /// How it came to be.
    pub how: How,
}

impl Aws {
    /// Asks who we are.
    ///
    /// # Errors
    /// Whatever is wrong with the identity: it is the first thing to ask.
    pub async fn caller(&self) -> Result<Caller, Failure> {
        Err(unwritten())
    }
}
