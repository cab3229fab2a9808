//! Connectors whose upstream is asked with somebody's token: the three ways of the seam once for all of them. A kind says what it
//! asks for and whom a token is of.

use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use provider::connector::{
    Connector, Departure, Flow, Hints, Identity, RedirectFlow, Refresh, SignedIn, SubjectAudiences,
    UpstreamError,
};
use url::Url;
use wire::form::Form;

use super::{Callback, CodeFlow, Tokens};
use crate::Built;

/// What is its own of a kind.
pub(crate) trait Upstream: Send + Sync + 'static {
    /// Whether it is asked again at refresh.
    const REFRESHES: bool = true;

    /// What it calls a hint at who signs in, if it takes one.
    const HINT: Option<&'static str> = None;

    /// Our client there.
    fn flow(&self) -> &CodeFlow;

    /// What is asked for.
    fn question(&self, scopes: Hints) -> Question<'_>;

    /// Whom a token is of, and whether they may come in. Asked at every login and refresh.
    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        scopes: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>>;

    /// Tokens that are good, for those that were kept.
    fn current(&self, kept: Tokens) -> BoxFuture<'_, Result<Tokens, UpstreamError>> {
        Box::pin(self.flow().current(kept))
    }
}

/// What an authorization endpoint is asked besides what all are.
#[derive(Default)]
pub(crate) struct Question<'a> {
    pub(crate) scopes: Vec<&'a str>,
    pub(crate) more: Vec<(&'a str, &'a str)>,
}

/// A connector of one of these kinds.
pub(crate) struct ByCode<U>(U);

impl<U: Upstream> ByCode<U> {
    /// What a kind makes of its keys. None of these upstreams says whom a token was meant for, so none is vouched for.
    pub(crate) fn built(upstream: U) -> Built {
        let audiences = SubjectAudiences::AnyOf(Arc::from([]));
        Built { connector: Arc::new(Self(upstream)), audiences }
    }

    async fn signed_in(&self, tokens: &Tokens, scopes: Hints) -> Result<SignedIn, UpstreamError> {
        let identity = self.0.identify(tokens, scopes).await?;
        let kept = if scopes.offline && U::REFRESHES { tokens.kept()? } else { Secret::default() };
        Ok(SignedIn { identity, kept })
    }
}

impl<U: Upstream> Connector for ByCode<U> {
    fn flow(&self) -> Flow<'_> {
        Flow::Redirect(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        if U::REFRESHES { Some(self) } else { None }
    }
}

impl<U: Upstream> RedirectFlow for ByCode<U> {
    fn depart<'a>(
        &'a self,
        scopes: Hints,
        callback: &'a Url,
        state: &'a str,
    ) -> BoxFuture<'a, Result<Departure, UpstreamError>> {
        Box::pin(async move {
            let Question { scopes, more } = self.0.question(scopes);
            self.0.flow().depart(&scopes, &more, callback, state).await
        })
    }

    fn hint_parameter(&self) -> Option<&'static str> {
        U::HINT
    }

    fn has_own_callback(&self) -> bool {
        self.0.flow().callback == Callback::Own
    }

    fn arrive<'a>(
        &'a self,
        scopes: Hints,
        callback: &'a Url,
        kept: &'a [u8],
        query: &'a Form<'a>,
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            let tokens = self.0.flow().redeem(callback, kept, query).await?;
            self.signed_in(&tokens, scopes).await
        })
    }
}

impl<U: Upstream> Refresh for ByCode<U> {
    fn refresh<'a>(
        &'a self,
        scopes: Hints,
        known: &'a Identity,
        kept: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            let tokens = self.0.current(Tokens::of_kept(kept)?).await?;
            self.signed_in(&tokens, Hints { offline: true, ..scopes }).await?.about(known)
        })
    }
}
