//! A provider that others wrote: the npm package `oidc-provider`, over TLS, signed in to by a scripted browser.

use ambient::{Clock as _, SystemClock};
use http::header::{AUTHORIZATION, HeaderValue};
use outbound::{Client, Dial, Options, Request, Trust};
use provider::connector::{Flow, Hints, Identity, Opened, Presented, SubjectAudience, UpstreamError};
use serde_json::{Value, json};
use testkit::peers::{Process, node};
use testkit::{FakeClock, TestCa};
use token::UnverifiedJwt;
use url::Url;
use wire::form::Form;
use wire::oauth::TokenType;

use super::client;
use crate::{OUR_ISSUER, context, open};

/// The provider while it runs.
struct Peer {
    folder: tempfile::TempDir,
    ca: TestCa,
    issuer: String,
    _process: Process,
}

impl Peer {
    async fn start() -> Self {
        let (folder, ca) = (tempfile::tempdir().unwrap(), TestCa::new());
        let leaf = ca.leaf(&[]);
        for (name, text) in [("ca.pem", ca.pem()), ("cert.pem", &leaf.cert_pem), ("key.pem", &leaf.key_pem)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut command = node(folder.path(), "provider", PROVIDER).unwrap();
        let mut process = Process::start("provider", &mut command, folder.path()).unwrap();
        let log = folder.path().join("provider.log");
        let announced = || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            log.lines().find_map(|line| line.strip_prefix("issuer=")).map(str::to_owned)
        };
        process.ready(async || announced().is_some()).await.unwrap();
        let issuer = announced().unwrap();
        Self { folder, ca, issuer, _process: process }
    }

    fn opened(&self, clock: &FakeClock) -> Opened {
        let config = json!({
            "issuer": self.issuer,
            "rootCAs": [self.ca.pem()],
            "redirectURI": format!("{OUR_ISSUER}/callback"),
            "scopes": ["profile", "email", "offline_access"],
            "getUserInfo": true,
        });
        open("oidc", &client(&config), clock)
    }

    /// Signs in as `ana` where the browser is sent, and says with which query it came back.
    fn browse(&self, to: &Url) -> String {
        let mut command = node(self.folder.path(), "browser", BROWSER).unwrap();
        command.arg(to.as_str()).env("NODE_EXTRA_CA_CERTS", self.folder.path().join("ca.pem"));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let query = said.trim().strip_prefix("https://obol.example/dex/callback?");
        query.unwrap_or_else(|| panic!("{said}\n{errors}")).to_owned()
    }

    /// Redeems a code as any client would, and gives what the token endpoint answered.
    async fn redeem(&self, clock: &FakeClock, code: &str, verifier: &str) -> Value {
        let trust = Trust::only(Some(self.ca.pem().into()));
        let dial = Dial::new(context(clock).clock);
        let client = Client::new(&dial, Options { trust, ..Options::default() }).unwrap();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "authorization_code"),
                ("code", code),
                ("code_verifier", verifier),
                ("redirect_uri", "https://obol.example/dex/callback"),
            ])
            .finish();
        let url = Url::parse(&format!("{}/token", self.issuer)).unwrap();
        let basic = HeaderValue::from_static("Basic b2JvbDpzJTI2Y3JldA==");
        let answer = client.send(Request::form(&url, form).header(AUTHORIZATION, basic)).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }
}

#[tokio::test]
#[ignore = "peer: node oidc-provider"]
async fn a_person_signs_in_refreshes_and_exchanges() {
    let peer = Peer::start().await;
    let clock = FakeClock::at(SystemClock::default().now());
    let opened = peer.opened(&clock);
    let Flow::Redirect(flow) = opened.connector.flow() else { panic!("no redirect") };
    let callback = Url::parse(&format!("{OUR_ISSUER}/callback")).unwrap();
    let hints = Hints { offline: true, groups: false };

    let departure = flow.depart(hints, &callback, "the-state").await.unwrap();
    let query = peer.browse(&departure.to);
    let form = Form::parse(&query, &[]).unwrap();
    assert_eq!(form.get("state"), Some("the-state"));
    let ana = flow.arrive(hints, &callback, departure.keep.expose(), &form).await.unwrap();
    let want = Identity {
        user_id: "ana".into(),
        username: "Ana B".into(),
        email: "ana@example.com".into(),
        email_verified: true,
        ..Identity::default()
    };
    assert_eq!(ana.identity, want);
    let again = flow.arrive(hints, &callback, departure.keep.expose(), &form).await;
    assert!(matches!(again, Err(UpstreamError::Denied(_))), "a code is good once: {again:?}");

    let departure = flow.depart(hints, &callback, "second").await.unwrap();
    let query = peer.browse(&departure.to);
    let form = Form::parse(&query, &[]).unwrap();
    let second = flow.arrive(hints, &callback, departure.keep.expose(), &form).await.unwrap();
    let seam = opened.connector.refresh().unwrap();
    let refreshed = seam.refresh(hints, &want, second.kept.expose()).await.unwrap();
    assert_eq!(refreshed.identity, want);

    let departure = flow.depart(hints, &callback, "third").await.unwrap();
    let query = peer.browse(&departure.to);
    let attempt: Value = serde_json::from_slice(departure.keep.expose()).unwrap();
    let code = Form::parse(&query, &[]).unwrap().get("code").unwrap().to_owned();
    let tokens = peer.redeem(&clock, &code, attempt["verifier"].as_str().unwrap()).await;
    let seam = opened.connector.subject().unwrap();
    let raw = tokens["id_token"].as_str().unwrap();
    let unverified = UnverifiedJwt::parse(raw).unwrap();
    assert!(seam.may_own(&unverified));
    let token = Presented { kind: TokenType::IdToken, raw, unverified: Some(unverified) };
    let vouched = seam.vouch(token, clock.now()).await.unwrap();
    assert_eq!(vouched.audience, SubjectAudience::InToken(vec!["obol".into()]));
    assert_eq!(vouched.identity.user_id, "ana");
    let raw = tokens["access_token"].as_str().unwrap();
    let token = Presented { kind: TokenType::AccessToken, raw, unverified: None };
    let vouched = seam.vouch(token, clock.now()).await.unwrap();
    assert_eq!(vouched.audience, SubjectAudience::Introspected(vec!["obol".into()]));
    assert_eq!(vouched.identity, want);
    let token = Presented { kind: TokenType::AccessToken, raw: "unknown", unverified: None };
    assert!(seam.vouch(token, clock.now()).await.is_err());
}

/// Listens before it knows its issuer, since the port is the system's to choose.
const PROVIDER: &str = r#"
import https from 'node:https';
import fs from 'node:fs';
import Provider from 'oidc-provider';

const server = https.createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') });
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  const person = id => ({ sub: id, name: 'Ana B', email: 'ana@example.com', email_verified: true });
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'obol',
      client_secret: 's&cret',
      redirect_uris: ['https://obol.example/dex/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    }],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    cookies: { keys: ['for a test'] },
    features: { devInteractions: { enabled: true }, introspection: { enabled: true } },
    findAccount: (_, id) => ({ accountId: id, claims: async () => person(id) }),
    pkce: { required: () => true },
  });
  server.on('request', provider.callback());
  console.log(`issuer=${issuer}`);
});
"#;

/// Follows redirects with cookies, fills the two forms, and stops where the application would be.
const BROWSER: &str = r#"
const jar = new Map();

async function go(url, init = {}) {
  for (let hop = 0; hop < 20; hop += 1) {
    if (url.startsWith('https://obol.example/')) return { url };
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split(/=(.*)/s);
      if (value) jar.set(name, value); else jar.delete(name);
    }
    const to = answer.headers.get('location');
    if (!to) return { url, text: await answer.text() };
    url = new URL(to, url).href;
    init = {};
  }
  throw new Error('too many redirects');
}

async function submit(page, fields) {
  const action = /action="([^"]+)"/.exec(page.text ?? '');
  if (!action) throw new Error(`no form at ${page.url}: ${page.text}`);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return go(new URL(action[1], page.url).href, { method: 'POST', headers, body: new URLSearchParams(fields) });
}

let page = await go(process.argv[2]);
page = await submit(page, { prompt: 'login', login: 'ana', password: 'any' });
page = await submit(page, { prompt: 'consent' });
console.log(page.url);
"#;
