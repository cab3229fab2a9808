//! The discovery document of the living configuration (dex.md 1.5; RFC 8414 section 2).

use wire::discovery::Metadata;

use crate::Provider;
use crate::issue::{OWN_CLAIMS, POLICY};
use crate::records::grant::Method;
use crate::scope;

impl Provider {
    /// The document. Only what is served is named.
    pub fn metadata(&self) -> Metadata {
        let living = self.living();
        let settings = &living.settings;
        let at = |path| settings.issuer.endpoint(path);
        Metadata {
            issuer: settings.issuer.text.to_string(),
            authorization_endpoint: at("/auth"),
            token_endpoint: at("/token"),
            jwks_uri: at("/keys"),
            userinfo_endpoint: at("/userinfo"),
            introspection_endpoint: at("/token/introspect"),
            grant_types_supported: settings.oauth2.served(),
            response_types_supported: settings.oauth2.response_types.clone(),
            response_modes_supported: vec!["query"],
            subject_types_supported: vec!["public"],
            id_token_signing_alg_values_supported: self.ring().algs().iter().map(|alg| alg.name()).collect(),
            code_challenge_methods_supported: settings
                .oauth2
                .pkce
                .methods
                .iter()
                .map(|method| method_name(*method))
                .collect(),
            scopes_supported: vec![
                scope::OPENID,
                scope::EMAIL,
                scope::GROUPS,
                scope::PROFILE,
                scope::OFFLINE,
            ],
            token_endpoint_auth_methods_supported: vec!["client_secret_basic", "client_secret_post", "none"],
            introspection_endpoint_auth_methods_supported: vec!["client_secret_basic", "client_secret_post"],
            claims_supported: OWN_CLAIMS.into_iter().filter(|claim| !UNUSED.contains(claim)).collect(),
            authorization_response_iss_parameter_supported: true,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
        }
    }
}

fn method_name(method: Method) -> String {
    match method {
        Method::S256 => "S256".into(),
        Method::Plain => "plain".into(),
    }
}

/// Reserved, and not emitted by anything that is served; or of no use to who reads it.
const UNUSED: [&str; 10] = ["nbf", "sid", "c_hash", "act", "may_act", "cnf", "events", "acr", "amr", POLICY];
