//! The discovery document of the living configuration (dex.md 1.5; RFC 8414 section 2).

use wire::discovery::Metadata;
use wire::oauth::grant_type;

use crate::Provider;
use crate::issue::{GRANT, OWN_CLAIMS, POLICY};
use crate::login::Mode;
use crate::records::grant::Method;
use crate::response_type::ResponseType;
use crate::scope;

impl Provider {
    /// The document. Only what is served is named.
    pub fn metadata(&self) -> Metadata {
        let living = self.living();
        let settings = &living.settings;
        let hybrid = settings.oauth2.answered().any(|asked| asked.code && asked.id_token);
        let emitted = |claim: &&str| !UNUSED.contains(claim) && (hybrid || *claim != "c_hash");
        let at = |path| settings.issuer.endpoint(path);
        Metadata {
            issuer: settings.issuer.text.to_string(),
            authorization_endpoint: at("/auth"),
            token_endpoint: at("/token"),
            jwks_uri: at("/keys"),
            userinfo_endpoint: at("/userinfo"),
            introspection_endpoint: at("/token/introspect"),
            revocation_endpoint: at("/token/revoke"),
            device_authorization_endpoint: settings
                .oauth2
                .grants(grant_type::DEVICE_CODE)
                .then(|| at("/device/code")),
            grant_types_supported: settings.oauth2.served(),
            response_types_supported: settings.oauth2.answered().map(ResponseType::name).collect(),
            response_modes_supported: Mode::NAMES.to_vec(),
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
            revocation_endpoint_auth_methods_supported: vec![
                "client_secret_basic",
                "client_secret_post",
                "none",
            ],
            introspection_endpoint_auth_methods_supported: vec!["client_secret_basic", "client_secret_post"],
            claims_supported: OWN_CLAIMS.into_iter().filter(emitted).collect(),
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
const UNUSED: [&str; 10] = ["nbf", "sid", "act", "may_act", "cnf", "events", "acr", "amr", POLICY, GRANT];
