//! One request of AWS, and once more where AWS says that our session has ended before its time.
//!
//! Sends what it is given and decides nothing else: retries of throttling and outages are the SDK's.

use std::error::Error;
use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::Aws;
use super::credentials::Provider;
use super::fault::Fault;

impl Aws {
    /// Asks as the identity of this run.
    pub(super) async fn ask<T, E, F>(
        &self,
        action: &'static str,
        send: impl Fn() -> F,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        ask(&self.0.provider, action, send).await
    }
}

/// Asks with the credentials of this provider; a session that is refused is renewed, and the
/// request sent again, once.
pub(super) async fn ask<T, E, F>(
    provider: &Provider,
    action: &'static str,
    send: impl Fn() -> F,
) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + Error + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let seen = provider.renewals();
    let fault = match send().await {
        Ok(answer) => {
            provider.accept();
            return Ok(answer);
        }
        Err(error) => Fault::read(action, &error),
    };
    if !fault.is_ended() || !provider.distrust(seen).await {
        return Err(fault);
    }
    send().await.map_err(|error| Fault::read(action, &error))
}
