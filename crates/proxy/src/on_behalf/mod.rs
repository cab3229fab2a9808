//! A caller that asks to be somebody else (`kubectl --as`), where the operator lets callers ask: the API server says for each
//! name whether the caller may, and who it really is travels along in extra fields.
//!
//! The headers are read under their exact names. Another spelling, a name that is none of the four, or a field that the proxy
//! itself writes is refused: what is not understood is not checked. What is granted goes on whole or not at all: without a field
//! that was asked for the API server would judge somebody else, and without those that say who it was nobody would know.

mod asked;

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use cluster::{Access, NoReview, Reviews, Subject};

pub(crate) use asked::Asked;
use asked::{AUTHENTICATION, Question};

use crate::identity::KubeUser;
use crate::impersonate::Rights;
use crate::refusal::Refusal;
use crate::rights::OwnRights;

/// Asks whether callers may impersonate.
pub struct OnBehalf {
    reviews: Reviews,
    own: OwnRights,
    within: Duration,
    clock: Arc<dyn Clock>,
}

impl OnBehalf {
    /// All questions of one request are answered `within` this time, or it is refused.
    pub fn new(reviews: Reviews, within: Duration, clock: Arc<dyn Clock>) -> Self {
        let own = OwnRights::new(reviews.clone(), Arc::clone(&clock));
        Self { reviews, own, within, clock }
    }

    /// As whom the request of `caller` goes on, with `rights` that are known to be the proxy's.
    pub(crate) async fn user(
        &self,
        caller: &KubeUser,
        asked: Asked,
        rights: &Rights,
    ) -> Result<KubeUser, Refusal> {
        let Asked { mut user, questions } = asked;
        user.extra.extend(original(caller));
        let checked = async {
            self.check(caller, &questions).await?;
            self.check_own(&user, rights).await
        };
        tokio::select! {
            checked = checked => checked.map(|()| user),
            () = self.clock.sleep(self.within) => Err(Refusal::Unreviewed("no answer in time".into())),
        }
    }

    /// Whether the caller may be all that it asks to be.
    async fn check(&self, caller: &KubeUser, questions: &[Question]) -> Result<(), Refusal> {
        let KubeUser { name, uid, mut groups, extra } = caller.clone();
        groups.push("system:authenticated".to_owned());
        let subject = Subject { name, uid, groups, extra };
        for question in questions {
            let Question { group, resource, subresource, namespace, name } = question;
            let access = Access { verb: "impersonate", group, resource, subresource, namespace, name };
            // An empty name in a review asks for all names.
            let named = !name.is_empty();
            if !(named && self.reviews.may(&subject, access).await.map_err(|error| unreviewed(&error))?) {
                return Err(Refusal::MayNotImpersonate(format!(
                    "{} is not allowed to impersonate {}",
                    subject.name,
                    question.told()
                )));
            }
        }
        Ok(())
    }

    /// Whether the proxy may say all of it.
    async fn check_own(&self, user: &KubeUser, rights: &Rights) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        if !user.uid.is_empty()
            && !rights.uid
            && !self.own.may("uids", "").await.map_err(|error| unreviewed(&error))?
        {
            missing.push(format!("uids.{AUTHENTICATION}"));
        }
        for (key, _) in &user.extra {
            if !rights.may_say(key)
                && !self.own.may("userextras", key).await.map_err(|error| unreviewed(&error))?
            {
                missing.push(format!("userextras.{AUTHENTICATION}/{key}"));
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(Refusal::ProxyMayNot(missing.join(", "))) }
    }
}

fn unreviewed(error: &NoReview) -> Refusal {
    Refusal::Unreviewed(error.to_string())
}

/// Who the caller really is, in the fields of kube-oidc-proxy's forks.
fn original(caller: &KubeUser) -> Vec<(String, Vec<String>)> {
    let extra: serde_json::Map<_, _> =
        caller.extra.iter().map(|(key, values)| (key.clone(), serde_json::json!(values))).collect();
    let [user, groups, uid, extras] = ORIGINAL.map(str::to_owned);
    let mut fields = vec![(user, vec![caller.name.clone()])];
    if !caller.groups.is_empty() {
        fields.push((groups, caller.groups.clone()));
    }
    if !caller.uid.is_empty() {
        fields.push((uid, vec![caller.uid.clone()]));
    }
    if !extra.is_empty() {
        fields.push((extras, vec![serde_json::Value::Object(extra).to_string()]));
    }
    fields
}

/// The fields that say who a caller really is.
pub(crate) const ORIGINAL: [&str; 4] = [
    "originaluser.jetstack.io-user",
    "originaluser.jetstack.io-groups",
    "originaluser.jetstack.io-uid",
    "originaluser.jetstack.io-extra",
];

const ORIGINAL_DOMAIN: &str = "originaluser.jetstack.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_the_caller_is_travels_along() {
        let caller = KubeUser {
            name: "jane".into(),
            uid: "7".into(),
            groups: vec!["g".into()],
            extra: vec![("k".into(), vec!["v".into()])],
        };
        let fields = original(&caller);
        assert_eq!(fields.len(), 4);
        assert_eq!(fields.last().unwrap().1, [r#"{"k":["v"]}"#]);
        assert_eq!(original(&KubeUser { name: "jane".into(), ..KubeUser::default() }).len(), 1);
    }
}
