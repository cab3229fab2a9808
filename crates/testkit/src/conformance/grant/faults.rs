//! What goes wrong underneath: no capacity, a store that fails, callers that go away, many at once.

use std::sync::Arc;

use ambient::BoxFuture;
use provider::error::{Error, Fault as Ours};
use provider::grants::Grant;
use token::{SignError, Signer};

use super::{Stage, ask_as_app, check_told, grants, sample};
use crate::conformance::store::dropped_after;
use crate::stage::{app, signers};
use crate::{Fault, Verb};

/// The caller is told to come again, so what it came with must still be good then.
pub(super) async fn no_capacity_spends_nothing(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let form = sample(&stage, grant, "app").await.form;
    let before = grants(&stage);
    let busy = signers().await.into_iter().map(|signer| Arc::new(Busy(signer)) as Arc<dyn Signer>);
    stage.provider.ring().install_signers(busy.collect(), &[]);
    let outcome = ask_as_app(&stage, &form).await;
    assert!(matches!(outcome, Err(Error::Fault(Ours::Busy { .. }))), "{outcome:?}");
    assert_eq!(grants(&stage), before);
    stage.provider.ring().install_signers(signers().await, &[]);
    ask_as_app(&stage, &form).await.unwrap();
}

/// Each call of the store in turn fails, loses its answer or is delivered twice.
pub(super) async fn a_faulty_store_spends_nothing_twice(grant: &dyn Grant) {
    for verb in [Verb::Get, Verb::Create, Verb::Replace, Verb::Remove] {
        for at in 0..3 {
            for fault in [Fault::FailBefore, Fault::LoseAnswer, Fault::Twice] {
                let stage = Stage::with_every_grant().await;
                let good = sample(&stage, grant, "app").await;
                for _ in 0..at {
                    stage.store.plan(verb, Fault::Yield);
                }
                stage.store.plan(verb, fault);
                let mut granted = 0;
                for _ in 0..3 {
                    match ask_as_app(&stage, &good.form).await {
                        Ok(_) => granted += 1,
                        Err(Error::Refusal(_) | Error::Fault(Ours::Store(_))) => {}
                        Err(Error::Fault(fault)) => panic!("{verb:?} {at}: {fault}"),
                    }
                }
                assert!(granted >= 1, "{verb:?} {at}: a fault that passes leaves the request good");
                assert!(granted == 1 || !good.single_use, "{verb:?} {at}: granted {granted} times");
            }
        }
    }
}

pub(super) async fn a_dead_store_is_our_fault(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let good = sample(&stage, grant, "app").await;
    stage.store.set_down(true);
    match ask_as_app(&stage, &good.form).await {
        Err(Error::Fault(Ours::Store(_))) => assert!(good.stored),
        Ok(_) => assert!(!good.stored, "it needs no store"),
        other => panic!("{other:?}"),
    }
    stage.store.set_down(false);
    ask_as_app(&stage, &good.form).await.unwrap();
}

/// The request is dropped at each of its awaits. What it came with is then either untouched, and good for one answer, or
/// spent, and good for none.
pub(super) async fn giving_up_leaves_before_or_after(grant: &dyn Grant) {
    let (mut befores, mut afters) = (0, 0);
    for polls in 1.. {
        let stage = Stage::with_every_grant().await;
        let good = sample(&stage, grant, "app").await;
        let before = grants(&stage);
        for verb in [Verb::Get, Verb::Replace] {
            stage.store.plan(verb, Fault::Yield);
            stage.store.plan(verb, Fault::Yield);
        }
        let given_up = dropped_after(polls, stage.token(Some(&app()), &good.form)).await;
        stage.tasks.ended().await;
        match given_up {
            Some(outcome) => {
                check_told(&stage, &good.form, &outcome);
                outcome.unwrap();
                assert!(!good.single_use || befores > 0 && afters > 0, "{befores} {afters}");
                return;
            }
            None => assert_eq!(stage.decisions().len(), 1, "a request that was begun is told of"),
        }
        let untouched = grants(&stage) == before;
        *(if untouched { &mut befores } else { &mut afters }) += 1;
        let again = ask_as_app(&stage, &good.form).await;
        assert_eq!(again.is_ok(), untouched || !good.single_use, "after {polls} polls: {again:?}");
        let once_more = ask_as_app(&stage, &good.form).await;
        assert_eq!(once_more.is_ok(), !good.single_use, "after {polls} polls");
    }
}

pub(super) async fn of_many_at_once_one_is_granted(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let good = sample(&stage, grant, "app").await;
    let header = app();
    for _ in 0..12 {
        stage.store.plan(Verb::Get, Fault::Yield);
        stage.store.plan(Verb::Replace, Fault::Yield);
    }
    let ask = || stage.token(Some(&header), &good.form);
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    let granted = [a, b, c, d].iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(granted, if good.single_use { 1 } else { 4 });
    assert_eq!(stage.decisions().len(), 4);
}

struct Busy(Arc<dyn Signer>);

impl Signer for Busy {
    fn alg(&self) -> token::Alg {
        self.0.alg()
    }

    fn public_jwk(&self) -> &wire::jose::Jwk {
        self.0.public_jwk()
    }

    fn sign<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async { Err(SignError::Busy) })
    }
}
