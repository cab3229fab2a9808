//! `oauth2` (dex.md 2.2).

use config::Fields;
use wire::oauth::grant_type;

use crate::records::grant::Method;
use crate::response_type::ResponseType;

/// Flows that are switched on.
#[derive(Debug, Clone)]
pub struct OAuth2 {
    grant_types: Vec<String>,
    response_types: Vec<ResponseType>,
    /// `skipApprovalScreen`
    pub skip_approval: bool,
    /// `passwordConnector`: whose passwords the `password` grant takes; without it there is none.
    pub password_connector: Option<String>,
    /// `alwaysShowLoginScreen`
    pub always_show_login: bool,
    /// PKCE.
    pub pkce: Pkce,
    /// `dexCompatibleErrors`: Dex's codes where it departs from the specifications, for callers written against it.
    pub dex_errors: bool,
}

/// `oauth2.pkce`
#[derive(Debug, Clone)]
pub struct Pkce {
    /// Demanded of every client, not only of public ones.
    pub of_all: bool,
    /// Demanded of public clients unless `enforce: false` is written (DESIGN section 6).
    pub of_public: bool,
    /// The methods that are accepted: `S256`, and `plain` only if it is listed.
    pub methods: Vec<Method>,
}

impl OAuth2 {
    /// Whether a grant type is switched on.
    pub fn grants(&self, kind: &str) -> bool {
        self.grant_types.iter().any(|known| known == kind)
    }

    /// The grant types that are switched on and served, sorted. `implicit` has no place at the token endpoint.
    pub fn served(&self) -> Vec<String> {
        let implicit = self.answered().any(ResponseType::in_front).then_some(grant_type::IMPLICIT);
        let mut served: Vec<_> = crate::grants::TABLE
            .iter()
            .map(|grant| grant.kind())
            .filter(|kind| self.grants(kind))
            .chain(implicit)
            .map(str::to_owned)
            .collect();
        served.sort();
        served
    }

    /// The response types that are configured and whose grant types are switched on.
    pub fn answered(&self) -> impl Iterator<Item = ResponseType> {
        self.response_types.iter().copied().filter(|asked| asked.grant_types().all(|kind| self.grants(kind)))
    }

    /// Whether a response type is among them.
    pub fn answers(&self, asked: ResponseType) -> bool {
        self.answered().any(|known| known == asked)
    }

    /// That `passwordConnector` names one of the configured connectors.
    pub fn check_connectors(&self, ids: &[&str], root: &mut Fields<'_>) {
        let named = self.password_connector.as_deref();
        if let Some(absent) = named.filter(|named| !ids.contains(named)) {
            let instead = format!("name a connector in passwordConnector; {absent:?} is none");
            root.unfit("oauth2", instead);
        }
    }

    pub(super) fn read(root: &mut Fields<'_>) -> Self {
        let mut fields = root.group("oauth2");
        let mut oauth2 = Self {
            grant_types: listed(&mut fields, "grantTypes")
                .unwrap_or_else(|| DEFAULT_GRANTS.map(str::to_owned).to_vec()),
            response_types: response_types(&mut fields),
            skip_approval: fields.or_default("skipApprovalScreen"),
            password_connector: fields.optional("passwordConnector").filter(|id: &String| !id.is_empty()),
            always_show_login: fields.or_default("alwaysShowLoginScreen"),
            pkce: pkce(fields.group("pkce")),
            dex_errors: fields.or_default("dexCompatibleErrors"),
        };
        if oauth2.password_connector.is_none() {
            oauth2.grant_types.retain(|kind| kind != grant_type::PASSWORD);
        }
        fields.finish();
        oauth2
    }
}

/// A list, in which Dex takes no elements for no list.
fn listed(fields: &mut Fields<'_>, key: &str) -> Option<Vec<String>> {
    fields.optional(key).filter(|list: &Vec<String>| !list.is_empty())
}

fn response_types(fields: &mut Fields<'_>) -> Vec<ResponseType> {
    let types: Vec<String> = listed(fields, "responseTypes").unwrap_or_else(|| vec![String::from("code")]);
    for unknown in types.iter().filter(|kind| !RESPONSE_TYPES.contains(&kind.as_str())) {
        fields.unfit(
            "responseTypes",
            format!("{unknown:?} is no response type; known are {}", RESPONSE_TYPES.join(", ")),
        );
    }
    ResponseType::allowed_by(&types)
}

fn pkce(mut fields: Fields<'_>) -> Pkce {
    let enforce: Option<bool> = fields.optional("enforce");
    let names: Vec<String> =
        listed(&mut fields, "codeChallengeMethodsSupported").unwrap_or_else(|| vec![String::from("S256")]);
    let mut methods = Vec::new();
    for name in &names {
        match name.as_str() {
            "S256" => methods.push(Method::S256),
            "plain" => methods.push(Method::Plain),
            other => fields.unfit(
                "codeChallengeMethodsSupported",
                format!("{other:?} is no method; write S256 or plain"),
            ),
        }
    }
    fields.finish();
    Pkce { of_all: enforce == Some(true), of_public: enforce != Some(false), methods }
}

const DEFAULT_GRANTS: [&str; 6] = [
    grant_type::AUTHORIZATION_CODE,
    grant_type::IMPLICIT,
    grant_type::PASSWORD,
    grant_type::REFRESH_TOKEN,
    grant_type::DEVICE_CODE,
    grant_type::TOKEN_EXCHANGE,
];

const RESPONSE_TYPES: [&str; 7] =
    ["code", "token", "id_token", "code token", "code id_token", "id_token token", "code id_token token"];
