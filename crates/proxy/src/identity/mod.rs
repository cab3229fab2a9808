//! From the claims of a verified token to a Kubernetes user: the rules of the API server's authenticator, for its
//! `--oidc-*` flags and for its AuthenticationConfiguration alike.
//!
//! What passes here passes there, with the same identity. What is refused here and not there stands in
//! docs/authentication.md.

mod claim;
mod expression;

use token::{ProxyCaller, Verified};
use wire::claims::Claims;

pub use claim::Named;
pub use expression::Rule;
pub(crate) use expression::{claims_env, user_env};

use crate::refusal::Refusal;

/// Which claims make a user, and which tokens may.
#[derive(Debug)]
pub struct Mapping {
    /// The user name.
    pub username: Named,
    /// The groups; `None`: no groups.
    pub groups: Option<Named>,
    /// The UID; `None`: no UID.
    pub uid: Option<Named>,
    /// Extra fields and the expressions of their values.
    pub extra: Vec<(String, expr::Program)>,
    /// Claims that must be there with exactly this string.
    pub required: Vec<(String, String)>,
    /// What must hold of the claims.
    pub claim_rules: Vec<Rule>,
    /// What must hold of the user.
    pub user_rules: Vec<Rule>,
}

/// How a username prefix flag is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefixes {
    /// As it stands: empty means none (kube-oidc-proxy).
    #[default]
    Literal,
    /// Empty means `<issuer>#` unless the claim is `email`, and `-` means none (kube-apiserver).
    ApiServer,
}

/// A Kubernetes user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KubeUser {
    /// `Impersonate-User`. Never empty where it is written.
    pub name: String,
    /// `Impersonate-Uid`, if it is not empty.
    pub uid: String,
    /// `Impersonate-Group`, one each.
    pub groups: Vec<String>,
    /// `Impersonate-Extra-<key>`, one each value.
    pub extra: Vec<(String, Vec<String>)>,
}

impl Prefixes {
    /// The literal prefix that the flag's text means.
    pub fn read(self, text: &str, issuer: &str, username_claim: &str) -> String {
        match (self, text) {
            (Self::ApiServer, "-") => String::new(),
            (Self::ApiServer, "") if username_claim != "email" => format!("{issuer}#"),
            (_, literal) => literal.to_owned(),
        }
    }
}

impl Mapping {
    /// The flags' mapping: a name and groups from one claim each.
    pub fn of_claims(username: Named, groups: Option<Named>) -> Self {
        Self {
            username,
            groups,
            uid: None,
            extra: Vec::new(),
            required: Vec::new(),
            claim_rules: Vec::new(),
            user_rules: Vec::new(),
        }
    }

    /// The user that the token names, if the rules let it pass.
    pub(crate) fn user(&self, token: &Verified<ProxyCaller>) -> Result<KubeUser, Refusal> {
        self.user_of(token.claims())
    }

    /// The order is the API server's; since all of it must hold, it only decides which fault is told.
    fn user_of(&self, claims: &Claims) -> Result<KubeUser, Refusal> {
        claim::check_as_go_oidc(claims)?;
        self.check_numbers(claims)?;
        let read = self.has_expressions().then(|| expression::as_go_reads(claims.object()));
        let read = read.as_ref();
        let mut user = KubeUser { name: self.username.name(claims, read)?, ..KubeUser::default() };
        if let Some(groups) = &self.groups {
            user.groups = groups.groups(claims, read)?;
        }
        if let Some(uid) = &self.uid {
            user.uid = uid.uid(claims, read)?;
        }
        user.extra = self.extra(claims, read)?;
        claim::check_required(&self.required, claims)?;
        expression::check_claims(&self.claim_rules, read)?;
        expression::check_user(&self.user_rules, &user)?;
        Ok(user)
    }

    fn extra(
        &self,
        claims: &Claims,
        read: Option<&wire::json::Object>,
    ) -> Result<Vec<(String, Vec<String>)>, Refusal> {
        let mut extra = Vec::new();
        if let Some(id) = claims.id() {
            extra.push((CREDENTIAL_ID.to_owned(), vec![format!("JTI={id}")]));
        }
        for (key, program) in &self.extra {
            let values = expression::strings(program, read, "extra")?;
            if !values.is_empty() {
                extra.push((key.clone(), values));
            }
        }
        Ok(extra)
    }

    /// What the API server would round, an expression may not look at.
    fn check_numbers(&self, claims: &Claims) -> Result<(), Refusal> {
        let mut rounded = expression::rounded(claims.object());
        match rounded.find(|claim| self.expressions().any(|program| expression::reads(program, claim))) {
            None => Ok(()),
            Some(claim) => Err(Refusal::Claims(format!(
                "the claim {claim:?} holds a number that the API server would round: its issuer must write it as a string"
            ))),
        }
    }

    fn has_expressions(&self) -> bool {
        self.expressions().next().is_some()
    }

    /// All that look at claims.
    fn expressions(&self) -> impl Iterator<Item = &expr::Program> {
        let named = [Some(&self.username), self.groups.as_ref(), self.uid.as_ref()];
        let named = named.into_iter().flatten().filter_map(Named::expression);
        let rules = self.claim_rules.iter().map(|rule| &rule.program);
        named.chain(self.extra.iter().map(|(_, program)| program)).chain(rules)
    }
}

/// The extra field that joins the API server's audit log with the issuer's.
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_flags_are_literal_unless_the_api_servers_rules_are_asked_for() {
        let issuer = "https://issuer.example";
        for (text, claim, literal, apiserver) in [
            ("", "sub", "", "https://issuer.example#"),
            ("", "email", "", ""),
            ("-", "sub", "-", ""),
            ("oidc:", "sub", "oidc:", "oidc:"),
        ] {
            assert_eq!(Prefixes::Literal.read(text, issuer, claim), literal);
            assert_eq!(Prefixes::ApiServer.read(text, issuer, claim), apiserver);
        }
    }

    #[test]
    fn attack_15_two_numbers_are_not_rounded_to_one_name() {
        let of = |source: &str| {
            let program = expr::Program::compile(source, &claims_env(), expr::Want::Any).unwrap();
            Mapping::of_claims(Named::Expression(Box::new(program)), None)
        };
        let name = |mapping: &Mapping, claims: &str| {
            let user = mapping.user_of(&Claims::parse(claims.as_bytes()).unwrap());
            user.map(|user| user.name).map_err(|refusal| refusal.code())
        };
        let by_number = of("string(claims.id)");
        assert!(name(&by_number, r#"{"id":9007199254740992}"#).is_ok());
        for id in [
            "9007199254740993",
            "-9007199254740993",
            "9223372036854775807",
            "99999999999999999999",
            "[[9007199254740993]]",
        ] {
            let claims = format!(r#"{{"id":{id},"sub":"a"}}"#);
            assert_eq!(name(&by_number, &claims), Err("claims"), "{id}");
            assert_eq!(name(&of(r#"string(claims["id"])"#), &claims), Err("claims"), "{id}");
            assert_eq!(name(&of("claims.sub"), &claims).as_deref(), Ok("a"), "nobody looks at {id}");
            assert_eq!(name(&Mapping::of_claims(Named::claim("sub", ""), None), &claims).as_deref(), Ok("a"));
        }
        let all = of(r#"claims[claims.sub]"#);
        assert_eq!(name(&all, r#"{"id":9007199254740993,"sub":"id"}"#), Err("claims"));
    }

    #[test]
    fn a_token_id_becomes_a_credential_id() {
        let mapping = Mapping::of_claims(Named::claim("sub", ""), None);
        let user = |claims: &str| mapping.user_of(&Claims::parse(claims.as_bytes()).unwrap()).unwrap().extra;
        assert_eq!(
            user(r#"{"sub":"a","jti":"7"}"#),
            [("authentication.kubernetes.io/credential-id".into(), vec!["JTI=7".into()])]
        );
        assert!(user(r#"{"sub":"a"}"#).is_empty());
    }
}
