//! Who may do what: a table of denials, enforced on every request and told by the access reviews.
//! It must not grant less or more than the reviews say: both read the same table.

use serde_json::{Value, json};

use super::Caller;
use super::json::text;
use super::kinds::{Kind, RESOURCES};
use super::status::Refused;

const VERBS: [&str; 8] =
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// The denials; what is not denied is allowed.
#[derive(Default)]
pub(super) struct Rules {
    denied: Vec<(String, String)>,
}

impl Rules {
    /// Adds a denial; `*` stands for every verb or every resource.
    pub(super) fn deny(&mut self, verb: &str, resource: &str) {
        self.denied.push((verb.to_owned(), resource.to_owned()));
    }

    fn allow(&self, verb: &str, resource: &str) -> bool {
        !self.denied.iter().any(|(v, r)| (v == "*" || v == verb) && (r == "*" || r == resource))
    }

    /// Refuses what is denied, in the API server's words.
    pub(super) fn check(&self, caller: &Caller, verb: &str, asked: &Asked) -> Result<(), Refused> {
        let resource = asked.resource();
        if self.allow(verb, &resource) {
            return Ok(());
        }
        let (user, group) = (&caller.name, asked.kind.group);
        let scope = if asked.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", asked.namespace)
        };
        let why = format!(
            "User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {scope}"
        );
        Err(Refused::forbidden(asked.kind, asked.name, &why))
    }

    /// Answers a `SelfSubjectAccessReview`.
    pub(super) fn access(&self, mut review: Value) -> Value {
        let of = |field: &str| text(&review, &format!("/spec/resourceAttributes/{field}"));
        let (resource, sub) = (of("resource"), of("subresource"));
        let resource =
            if sub.is_empty() { resource.to_owned() } else { format!("{resource}/{sub}") };
        let allowed = self.allow(of("verb"), &resource);
        review["kind"] = "SelfSubjectAccessReview".into();
        review["apiVersion"] = "authorization.k8s.io/v1".into();
        review["status"] = json!({ "allowed": allowed });
        review
    }

    /// Answers a `SelfSubjectRulesReview`.
    pub(super) fn rules(&self, mut review: Value) -> Value {
        let logs = ("".to_owned(), "pods/log".to_owned());
        let all = RESOURCES.iter().map(|r| (r.group.to_owned(), r.plural.to_owned()));
        let rules: Vec<Value> = all
            .chain([logs])
            .filter_map(|(group, resource)| {
                let verbs: Vec<_> =
                    VERBS.into_iter().filter(|verb| self.allow(verb, &resource)).collect();
                (!verbs.is_empty()).then(
                    || json!({ "verbs": verbs, "apiGroups": [group], "resources": [resource] }),
                )
            })
            .collect();
        review["kind"] = "SelfSubjectRulesReview".into();
        review["apiVersion"] = "authorization.k8s.io/v1".into();
        review["status"] =
            json!({ "resourceRules": rules, "nonResourceRules": [], "incomplete": false });
        review
    }
}

/// What a request is about.
pub(super) struct Asked<'a> {
    pub(super) kind: Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) subresource: &'a str,
}

impl Asked<'_> {
    fn resource(&self) -> String {
        if self.subresource.is_empty() {
            self.kind.plural.to_owned()
        } else {
            format!("{}/{}", self.kind.plural, self.subresource)
        }
    }
}
