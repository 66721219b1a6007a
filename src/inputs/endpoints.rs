//! Where the services are, if not where they always are: endpoints are data, overrides are printed,
//! and plaintext leaves this machine never.

use super::raw::Environment;
use crate::error::{Code, Failure, quoted};

/// Endpoints that the environment overrides.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// STS.
    pub sts: Option<String>,
    /// ECR.
    pub ecr: Option<String>,
    /// EKS.
    pub eks: Option<String>,
    /// GitHub's API.
    pub github: Option<String>,
    /// Every override with its variable, to be printed.
    pub overrides: Vec<(String, String)>,
}

/// Reads the AWS SDKs' own variables and GitHub's; refuses plaintext off loopback.
pub fn read(environment: &Environment) -> (Endpoints, Option<Failure>) {
    let mut found = Endpoints::default();
    let ignored = environment
        .get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let mut aws = |service: &str| {
        let variables = [format!("AWS_ENDPOINT_URL_{service}"), "AWS_ENDPOINT_URL".to_owned()];
        let (variable, url) = variables
            .iter()
            .find_map(|v| Some((v, environment.get(v).filter(|u| !u.is_empty())?)))?;
        if ignored {
            return None;
        }
        let seen = (variable.clone(), url.clone());
        if !found.overrides.contains(&seen) {
            found.overrides.push(seen);
        }
        Some(url.clone())
    };
    (found.sts, found.ecr, found.eks) = (aws("STS"), aws("ECR"), aws("EKS"));
    if let Some(url) = environment.get("GITHUB_API_URL").filter(|u| !u.is_empty()) {
        found.github = Some(url.clone());
        if url != "https://api.github.com" {
            found.overrides.push(("GITHUB_API_URL".into(), url.clone()));
        }
    }
    let refused = found.overrides.iter().find_map(|(variable, url)| usable(variable, url).err());
    (found, refused)
}

fn usable(variable: &str, url: &str) -> Result<(), Failure> {
    let parsed: reqwest::Url = url.parse().map_err(|_| {
        Failure::new(Code::InputEndpoint, format!("{variable} is no address"))
            .why(format!("it is {}", quoted(url)))
            .next(format!("unset {variable}, or write it as https://HOST"))
    })?;
    // Overrides are printed, and a login in one would be too.
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Failure::new(Code::InputEndpoint, format!("{variable} carries a login"))
            .why("endpoints are printed; what they need to know comes in headers")
            .next(format!("write {variable} as https://HOST")));
    }
    crate::http::refuse_plaintext(&parsed)
        .map_err(|failure| failure.why(format!("{variable} says so")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_with_a_login_is_refused_without_its_password() {
        let url = "https://me:hunter22@proxy.example.com".to_owned();
        let (_, refused) = read(&[("AWS_ENDPOINT_URL_ECR".to_owned(), url)].into());
        let refused = refused.unwrap();
        assert_eq!(refused.what, "AWS_ENDPOINT_URL_ECR carries a login");
        assert!(!format!("{refused:?}").contains("hunter22"));
    }
}
