//! RFC 8693: a token from elsewhere in, a token of ours out.
//!
//! The unverified token is only a routing hint: it may choose which trust entry is asked, and the entry decides with
//! its own keys. Whatever is asked for (`audience`, `resource`, `scope`, an actor) is honoured or refused.

pub mod explain;

use std::sync::Arc;

use ambient::BoxFuture;
use token::UnverifiedJwt;
use wire::form::Form;
use wire::oauth::{ErrorCode, TokenType, grant_type};

use super::{Demands, Grant};
use crate::clients::Client;
use crate::connector::{Opened, Presented, VouchError, VouchSubject, Vouched};
use crate::error::{Error, Fault, Refusal};
use crate::issue::{Products, Proof};
use crate::policy::{self, Question, Targets};
use crate::reserved::WITHHELD;
use crate::scope::Scopes;
use crate::{Cx, Living, introspection, own, revocation};

/// See the module.
pub(super) struct TokenExchange;

/// The request, read.
struct Ask<'a> {
    subject: Presented<'a>,
    connector: Option<&'a str>,
    requested: TokenType,
    targets: Targets,
    scopes: Scopes,
}

impl Grant for TokenExchange {
    fn kind(&self) -> &'static str {
        grant_type::TOKEN_EXCHANGE
    }

    fn demands(&self) -> Demands {
        Demands::AnyClient
    }

    fn prove<'a>(
        &'a self,
        cx: &'a mut Cx<'_>,
        form: &'a Form<'_>,
        client: &'a Arc<Client>,
    ) -> BoxFuture<'a, Result<Proof, Error>> {
        Box::pin(async move {
            let ask = Ask::read(form)?;
            let living = Arc::clone(&cx.living);
            let (connector, seam) = route(&living, client, &ask)?;
            cx.decision.connector = Some(Arc::clone(&connector.id));
            let unverified_kind =
                ask.subject.unverified.as_ref().and_then(|jwt| jwt.kind().map(str::to_owned));
            let vouched = vouch(cx, seam, ask.subject).await?;
            // The header is part of what was verified.
            let access = unverified_kind.as_deref() == Some("at+jwt");
            let question = Question {
                client,
                clients: &living.settings.clients,
                connector,
                vouched: &vouched,
                targets: &ask.targets,
                scopes: &ask.scopes,
                issuer: &living.settings.issuer.text,
                now: cx.now,
            };
            check_living(&living, &question)?;
            check_kind(&living, connector, access, ask.requested)?;
            if own::is_own(connector) {
                introspection::policy(cx, &vouched.claims).map_err(not_accepted)?;
                revocation::check(cx, &vouched.claims, not_accepted("")).await?;
            }
            let granted = judge(cx, &question)?;
            Ok(proof(&question, granted, ask.requested))
        })
    }
}

impl<'a> Ask<'a> {
    fn read(form: &'a Form<'_>) -> Result<Self, Refusal> {
        let raw = form.get("subject_token").ok_or_else(|| Refusal::request("subject_token is missing"))?;
        let kind = form
            .get("subject_token_type")
            .ok_or_else(|| Refusal::request("subject_token_type is missing"))?;
        let kind = token_type(kind, "this subject_token_type is not supported")?;
        let requested = form.get("requested_token_type").map_or(Ok(TokenType::AccessToken), |uri| {
            token_type(uri, "this requested_token_type is not supported")
        })?;
        if form.mentions("actor_token") || form.mentions("actor_token_type") {
            return Err(Refusal::request("actor tokens are not supported"));
        }
        Ok(Self {
            subject: Presented { kind, raw, unverified: UnverifiedJwt::parse(raw).ok() },
            connector: form.get("connector_id"),
            requested,
            targets: Targets::read(form)?,
            scopes: Scopes::parse(form.get("scope").unwrap_or_default())?,
        })
    }
}

fn token_type(uri: &str, told: &'static str) -> Result<TokenType, Refusal> {
    TokenType::from_uri(uri).ok_or_else(|| Refusal::request(told).as_dex(ErrorCode::RequestNotSupported, 400))
}

/// Who could vouch: the connector that is named, or the only one that could own the token.
fn route<'l>(
    living: &'l Living,
    client: &Client,
    ask: &Ask<'_>,
) -> Result<(&'l Opened, &'l dyn VouchSubject), Refusal> {
    let usable = |opened: &&'l Opened| own::is_own(opened) || may_exchange(opened, client);
    let seam = |opened: &'l Opened| opened.connector.subject().map(|seam| (opened, seam));
    if let Some(id) = ask.connector {
        let named =
            living.connector(id).ok_or_else(|| Refusal::request("connector_id names no connector"))?;
        if !usable(&named) {
            let refusal = Refusal::request("the client may not use this connector")
                .because("allowedConnectors or the connector's grantTypes");
            return Err(refusal.as_dex(ErrorCode::InvalidGrant, 400));
        }
        return seam(named).ok_or_else(|| Refusal::request("this connector does not vouch for tokens"));
    }
    let unroutable = || {
        Refusal::request("no connector takes this subject token; name one by connector_id if it is not a JWT")
    };
    let unverified = ask.subject.unverified.as_ref().ok_or_else(unroutable)?;
    let mut owners =
        living.connectors.iter().filter(usable).filter_map(seam).filter(|(_, seam)| seam.may_own(unverified));
    match (owners.next(), owners.next()) {
        (Some(owner), None) => Ok(owner),
        (None, _) => Err(not_accepted("no connector of this client trusts the token's issuer")),
        (Some(_), Some(_)) => Err(Refusal::request(
            "several connectors could take this subject token; name one by connector_id",
        )),
    }
}

async fn vouch(cx: &mut Cx<'_>, seam: &dyn VouchSubject, subject: Presented<'_>) -> Result<Vouched, Error> {
    let vouched = seam.vouch(subject, cx.now).await.map_err(|error| match error {
        VouchError::Rejected(why) => Error::Refusal(not_accepted(why)),
        VouchError::Unsupported(_) => Error::Refusal(not_accepted(error.to_string())),
        VouchError::Unavailable(why) => Error::Fault(Fault::Upstream(why)),
    })?;
    cx.decision.issuer = vouched.claims.issuer().map(str::to_owned);
    cx.decision.upstream_subject = vouched.claims.subject().map(str::to_owned);
    cx.decision.upstream_token_id = vouched.claims.id().map(str::to_owned);
    if vouched.bound {
        return Err(
            not_accepted("the token is bound to a key (cnf), and no proof of it can be given here").into()
        );
    }
    Ok(vouched)
}

/// A token of ours names a client and a connector: if they are gone, so is its use. Handing it in is no way around what
/// keeps the client from the connector (`allowedConnectors`, the connector's `grantTypes`).
fn check_living(living: &Living, question: &Question<'_>) -> Result<(), Refusal> {
    if !own::is_own(question.connector) {
        return Ok(());
    }
    let claims = &question.vouched.claims;
    let issued_to =
        claims.str("client_id").or_else(|| claims.str("azp")).or_else(|| claims.audience().next());
    if issued_to.is_none_or(|client| living.settings.clients.find(client).is_none()) {
        return Err(not_accepted("the client that the token was issued to is gone"));
    }
    let Some(origin) = claims.subject().and_then(own::origin) else { return Ok(()) };
    match living.connector(&origin.second) {
        None => Err(not_accepted("the connector that vouched for the token is gone")),
        Some(opened) if !opened.connector.knows(&origin.first) => {
            Err(not_accepted("the user that the token is about is gone"))
        }
        Some(opened) if may_exchange(opened, question.client) => Ok(()),
        Some(_) => Err(not_accepted("the client may not use the connector that vouched for the token")),
    }
}

/// An ID token says who signed in, to its client; an access token opens UserInfo to whoever holds it. Without a written
/// policy the one does not become the other (Dex weakness P1).
fn check_kind(
    living: &Living,
    connector: &Opened,
    access: bool,
    requested: TokenType,
) -> Result<(), Refusal> {
    let implicit = living.settings.exchange.is_none();
    if implicit && own::is_own(connector) && requested == TokenType::AccessToken && !access {
        return Err(Refusal::request("an ID token of this issuer is not exchanged for an access token"));
    }
    Ok(())
}

fn may_exchange(opened: &Opened, client: &Client) -> bool {
    client.may_use(&opened.id) && opened.allows(grant_type::TOKEN_EXCHANGE)
}

fn judge(cx: &mut Cx<'_>, question: &Question<'_>) -> Result<policy::Granted, Refusal> {
    let decided = policy::decide(&cx.living.settings, question);
    cx.decision.shadows = decided.shadows;
    match decided.outcome {
        Ok(granted) => {
            cx.decision.policy = Some(Arc::clone(&granted.policy));
            cx.decision.reason = match (granted.unrestricted, granted.withheld) {
                (false, false) => None,
                (true, false) => Some(UNRESTRICTED.into()),
                (false, true) => Some(WITHHELD.into()),
                (true, true) => Some(format!("{UNRESTRICTED}; {WITHHELD}").into()),
            };
            Ok(granted)
        }
        Err(denied) => {
            cx.decision.policy = denied.policy;
            Err(denied.refusal)
        }
    }
}

fn proof(question: &Question<'_>, granted: policy::Granted, requested: TokenType) -> Proof {
    // A token of ours never lives longer by being exchanged, whatever a policy says.
    let own = if own::is_own(question.connector) { question.vouched.expires } else { None };
    let question_policy = granted.written.then(|| Arc::clone(&granted.policy));
    Proof {
        subject: granted.subject,
        profile: granted.profile,
        federated: federated(question),
        free: granted.free,
        scopes: granted.scopes,
        audience: granted.audience,
        client: Arc::clone(&question.client.id),
        nonce: None,
        auth_time: None,
        lifetime: granted.lifetime,
        not_after: [granted.not_after, own].into_iter().flatten().min(),
        alg: granted.alg,
        products: Products::Exchanged(requested),
        spend: None,
        policy: question_policy,
        once: granted.once,
        grant: None,
    }
}

/// Who vouched, and for whom there. A token of ours says who did when it was made.
fn federated(question: &Question<'_>) -> Option<(Arc<str>, String)> {
    let user = &question.vouched.identity.user_id;
    if own::is_own(question.connector) {
        own::origin(user).map(|pair| (Arc::from(pair.second), pair.first))
    } else {
        Some((Arc::clone(&question.connector.id), user.clone()))
    }
}

/// RFC 8693 section 2.2.2: invalid for any reason is `invalid_request`. Dex says `access_denied`.
fn not_accepted(reason: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::request("the subject token is not accepted").because(reason).as_dex(ErrorCode::AccessDenied, 401)
}

/// Nobody checked whom the subject token was meant for.
const UNRESTRICTED: &str = "unrestricted";
