//! Attack list 14 with the real process: an issuer that is down at the start is its own trouble.

use serde_json::json;
use testkit::issuer::Issuer;
use testkit::peers::until;
use testkit::serve::Line;

use super::{Answer, Plan, Serving};

/// Two clusters, of which either may be away.
struct World {
    up: Issuer,
    down: Issuer,
    serving: Serving,
}

impl World {
    async fn start() -> Self {
        let (up, down) = (Issuer::start().await, Issuer::start().await);
        down.set_line(Line::Refusing).await;
        let plan = Plan::new();
        let mut connectors = String::new();
        for (id, issuer) in [("up", &up), ("down", &down)] {
            let ca = plan.file(&format!("{id}.pem"), issuer.ca_pem());
            connectors += &format!(
                "- {{type: jwt, id: {id}, name: {id}, config: {{issuer: '{}', rootCAs: ['{}']}}}}\n",
                issuer.issuer(),
                ca.display()
            );
        }
        let policy = |id: &str| {
            format!(
                "  - {{name: of-{id}, subject: {{connector: {id}, match: 'true'}}, clients: [robot], audiences: [robot], \
                 issue: {{subject: '\"{id}:\" + claims.sub'}}}}\n"
            )
        };
        let config = plan
            .usual(&format!("tokenExchange:\n  policies:\n{}{}", policy("up"), policy("down")))
            .replace(
                "connectors: [{type: mockCallback, id: mock, name: Mock}]\n",
                &format!("connectors:\n{connectors}"),
            )
            .replace(
                "[client_credentials]",
                "[client_credentials, 'urn:ietf:params:oauth:grant-type:token-exchange']",
            );
        let serving = plan.serve(&config).await;
        Self { up, down, serving }
    }

    fn exchange(&self, issuer: &Issuer) -> Answer {
        let subject = issuer.mint(json!({"sub": "s", "aud": self.serving.plan.issuer}));
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=robot&client_secret=canary-secret\
             &subject_token={subject}&subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience=robot"
        );
        self.serving.wire.post("/token", &form).expect("an answer")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_a_process_starts_with_one_issuer_down_and_recovers() {
    let world = World::start().await;
    for _ in 0..3 {
        let refused = world.exchange(&world.down);
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.json()["error"], "temporarily_unavailable");
        assert_eq!(world.exchange(&world.up).status, 200, "{}", world.serving.process.log());
        world.serving.still_serves();
    }
    world.down.set_line(Line::Up).await;
    let recovered = until("the issuer that came up is believed", async || {
        assert_eq!(world.exchange(&world.up).status, 200);
        let answer = world.exchange(&world.down);
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    recovered.await.unwrap();
    // And the other way round: keys that are known outlive their issuer's outage.
    world.up.set_line(Line::Hanging).await;
    assert_eq!(world.exchange(&world.up).status, 200);
    assert_eq!(world.exchange(&world.down).status, 200);
}
