//! The OCI registry with ECR's manners.

/// Upload sessions that are open.
#[derive(Default)]
pub(crate) struct Uploads {}
