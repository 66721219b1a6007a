//! What we may do in a namespace, asked of the cluster before anything is written.
//!
//! An answer is a fact; what follows from it is said by [`Cluster::lacking`] alone.

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};

use crate::error::{Code, Failure, Unseen};
use crate::names::Namespace;

use super::Cluster;
use super::rights::Right;
use super::wire::Ask;
use super::wrong::{Wrong, grant};

impl Cluster {
    /// Asks by access reviews, all at once, which of these rights we have.
    pub async fn may(
        &self,
        namespace: &Namespace,
        rights: &[Right],
    ) -> Result<Vec<(Right, bool)>, Unseen> {
        let asked = rights.iter().map(|right| self.review(namespace, *right));
        let answers: Result<Vec<_>, _> = join_all(asked).await.into_iter().collect();
        answers.map_err(|wrong| wrong.unseen("rights", "review them"))
    }

    async fn review(&self, namespace: &Namespace, right: Right) -> Result<(Right, bool), Wrong> {
        let attributes = ResourceAttributes {
            verb: Some(right.verb.into()),
            group: Some(right.group.into()),
            resource: Some(right.resource.into()),
            subresource: (!right.subresource.is_empty()).then(|| right.subresource.into()),
            namespace: right.namespaced.then(|| namespace.to_string()),
            ..Default::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..Default::default()
        };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let body = serde_json::to_vec(&review)
            .map_err(|_| Wrong::Garbled("the review has no JSON".into()))?;
        let mut ask = Ask::new(body);
        *ask.method_mut() = http::Method::POST;
        *ask.uri_mut() =
            http::Uri::from_static("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        ask.headers_mut()
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let answer: SelfSubjectAccessReview = self.wire.read(&ask).await?;
        Ok((right, answer.status.is_some_and(|s| s.allowed)))
    }

    /// The failure that the missing rights among these make, if a needed one is missing.
    #[must_use]
    pub fn lacking(&self, namespace: &Namespace, rights: &[(Right, bool)]) -> Option<Failure> {
        let missing: Vec<Right> =
            rights.iter().filter(|(r, may)| r.needed && !may).map(|(r, _)| *r).collect();
        let first = missing.first()?;
        let access = &self.wire.access;
        let verbs = |resource: &str, wanted: bool| {
            let of_it = rights.iter().filter(|(r, may)| r.name() == resource && *may == wanted);
            of_it.map(|(r, _)| r.verb).collect::<Vec<_>>().join(", ")
        };
        let resource = first.name();
        let what = format!(
            "{} may not {} {resource} in `{namespace}`",
            access.who,
            verbs(&resource, false)
        );
        let groups =
            if access.groups.is_empty() { "not known".into() } else { access.groups.join(", ") };
        let mut names: Vec<String> = Vec::new();
        for name in missing.iter().map(Right::name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let reviewed = names.iter().map(|name| {
            let (no, yes) = (verbs(name, false), verbs(name, true));
            let of = if names.len() > 1 { format!("{name} ") } else { String::new() };
            let yes = if yes.is_empty() { String::new() } else { format!("; {yes} yes") };
            format!("{of}{no} no{yes}")
        });
        let why =
            format!("access review: {}; groups: {groups}", reviewed.collect::<Vec<_>>().join("; "));
        let failure = Failure::new(Code::Eks403, what).why(why);
        Some(
            grant(access, Some(namespace.as_str()), &missing)
                .into_iter()
                .fold(failure, Failure::next),
        )
    }
}
