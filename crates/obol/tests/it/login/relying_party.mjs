// An application on openid-client: each function is one scenario, run by its name.

import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { Person } from './person.mjs';

const issuer = new URL(process.env.ISSUER);
const callback = 'https://app.example/callback';
const everything = 'openid profile email groups offline_access';
const secret = 'a secret with %, & and +';
const ana = { login: 'ana@example.com', password: process.env.PASSWORD };

async function discovered(id, how, metadata) {
  const config = await client.discovery(issuer, id, metadata, how);
  // Signatures are checked against our JWKS, not only trusted for having come over TLS.
  client.enableNonRepudiationChecks(config);
  return config;
}

const webApp = () => discovered('web-app', client.ClientSecretBasic(secret));

// A request on its way: where the person is sent, and what the answer is checked against.
async function ask(config, { scope = everything, state = client.randomState(), ...more } = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedNonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    nonce: expectedNonce,
    ...(state && { state }),
    ...more,
  });
  return { url: url.href, checks: { pkceCodeVerifier, expectedNonce, ...(state && { expectedState: state }) } };
}

async function signIn(config, options) {
  const { url, checks } = await ask(config, options);
  const person = new Person();
  let page = await person.follow(await person.go(url), 'Email');
  page = await person.submit(page, ana);
  assert.match(page.text, /Allow access/);
  page = await person.submit(page, { approval: 'approve' });
  return { answer: new URL(page.url), checks };
}

async function tokens(config, options) {
  const { answer, checks } = await signIn(config, options);
  return client.authorizationCodeGrant(config, answer, checks);
}

const header = token => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));

const refused = (attempt, error) => assert.rejects(attempt, thrown => {
  assert.equal(thrown.error, error, thrown.stack);
  return true;
});

const scenarios = {
  async a_person_signs_in_with_a_password() {
    const config = await webApp();
    const got = await tokens(config);
    const claims = got.claims();
    assert.equal(claims.aud, 'web-app');
    assert.equal(claims.email, 'ana@example.com');
    assert.equal(claims.email_verified, true);
    assert.equal(claims.preferred_username, 'ana-b');
    assert.deepEqual(claims.groups, ['admins', 'developers']);
    assert.equal(header(got.id_token).alg, 'RS256');
    const known = await client.fetchUserInfo(config, got.access_token, claims.sub);
    for (const claim of ['email', 'name', 'preferred_username', 'groups']) {
      assert.deepEqual(known[claim], claims[claim], claim);
    }
    await assert.rejects(client.fetchUserInfo(config, got.id_token, claims.sub), 'an ID token opens nothing');
    const bare = await tokens(config, { scope: 'openid' });
    assert.equal(bare.refresh_token, undefined);
    assert.equal(bare.claims().email, undefined);
  },

  async a_person_signs_in_through_an_upstream() {
    const config = await webApp();
    const { url, checks } = await ask(config);
    const person = new Person();
    let page = await person.follow(await person.go(url), 'Everybody');
    page = await person.submit(page, { approval: 'approve' });
    const got = await client.authorizationCodeGrant(config, new URL(page.url), checks);
    assert.deepEqual(got.claims().groups, ['authors']);
    const again = await client.refreshTokenGrant(config, got.refresh_token);
    assert.equal(again.claims().sub, got.claims().sub);
  },

  async a_public_client_signs_in_with_pkce_alone() {
    const config = await discovered('native', client.None());
    const got = await tokens(config);
    assert.equal(got.claims().aud, 'native');
    const again = await client.refreshTokenGrant(config, got.refresh_token);
    await client.fetchUserInfo(config, again.access_token, got.claims().sub);
    const { url } = await ask(config, { code_challenge: '', code_challenge_method: '' });
    const page = await new Person().go(url.replace(/&code_challenge(_method)?=[^&]*/g, '') + '&connector_id=local');
    assert.equal(new URL(page.url).searchParams.get('error'), 'invalid_request');
  },

  async an_es256_client_gets_es256() {
    const how = client.ClientSecretPost('other-secret');
    const config = await discovered('web-app-es256', how, { id_token_signed_response_alg: 'ES256' });
    const got = await tokens(config);
    assert.equal(header(got.id_token).alg, 'ES256');
    const again = await client.refreshTokenGrant(config, got.refresh_token);
    assert.equal(header(again.id_token).alg, 'ES256');
    await client.fetchUserInfo(config, again.access_token, got.claims().sub);
  },

  async no_state_comes_back_where_none_was_sent() {
    const config = await webApp();
    const { answer, checks } = await signIn(config, { state: '' });
    assert.equal(answer.searchParams.get('state'), null);
    await client.authorizationCodeGrant(config, answer, checks);
    const { url } = await ask(config, { state: '', prompt: 'none' });
    const refusal = await new Person().go(`${url}&connector_id=local`);
    assert.equal(new URL(refusal.url).searchParams.get('error'), 'login_required');
    assert.equal(new URL(refusal.url).searchParams.get('state'), null);
  },

  async hybrid_and_implicit_answers_are_bound_to_each_other() {
    const config = await webApp();
    client.useCodeIdTokenResponseType(config);
    const { url, checks } = await ask(config, { response_type: 'code id_token' });
    const person = new Person();
    let page = await person.follow(await person.go(url), 'Email');
    page = await person.submit(await person.submit(page, ana), { approval: 'approve' });
    // It checks `c_hash`, `nonce` and `iss`, then what the code opens.
    const got = await client.authorizationCodeGrant(config, new URL(page.url), checks);
    assert.equal(got.claims().email, 'ana@example.com');

    const implicit = await webApp();
    client.useIdTokenResponseType(implicit);
    const asked = await ask(implicit, { response_type: 'id_token', code_challenge: '', code_challenge_method: '' });
    const bare = asked.url.replace(/&code_challenge(_method)?=[^&]*/g, '');
    const other = new Person();
    page = await other.follow(await other.go(bare), 'Email');
    page = await other.submit(await other.submit(page, ana), { approval: 'approve' });
    const { expectedNonce, expectedState } = asked.checks;
    const claims = await client.implicitAuthentication(implicit, new URL(page.url), expectedNonce, { expectedState });
    assert.equal(claims.email, 'ana@example.com');
  },

  async a_token_is_taken_back() {
    const config = await webApp();
    const got = await tokens(config);
    const { sub } = got.claims();
    await client.fetchUserInfo(config, got.access_token, sub);
    await client.tokenRevocation(config, got.access_token);
    await assert.rejects(client.fetchUserInfo(config, got.access_token, sub));
    const again = await client.refreshTokenGrant(config, got.refresh_token);
    await client.tokenRevocation(config, again.refresh_token, { token_type_hint: 'refresh_token' });
    await assert.rejects(client.fetchUserInfo(config, again.access_token, sub));
    await refused(client.refreshTokenGrant(config, again.refresh_token), 'invalid_grant');
  },

  async a_password_is_a_grant_where_it_is_configured() {
    const config = await webApp();
    const person = { username: ana.login, password: ana.password, scope: everything };
    const got = await client.genericGrantRequest(config, 'password', person);
    assert.equal(got.claims().email, 'ana@example.com');
    await client.refreshTokenGrant(config, got.refresh_token);
    const wrong = client.genericGrantRequest(config, 'password', { ...person, password: 'canary' });
    await refused(wrong, 'invalid_grant');
  },

  async a_wrong_password_shows_the_form_again() {
    const person = new Person();
    const { url } = await ask(await webApp());
    const form = await person.follow(await person.go(url), 'Email');
    for (const wrong of [{ ...ana, password: 'canary' }, { ...ana, login: 'nobody@example.com' }, {}]) {
      const again = await person.submit(form, wrong);
      assert.equal(again.status, 401);
      assert.match(again.text, /not right/);
    }
    assert.match((await person.submit(form, ana)).text, /Allow access/);
  },

  async a_refused_consent_is_access_denied() {
    const config = await webApp();
    const { url, checks } = await ask(config);
    const person = new Person();
    const form = await person.follow(await person.go(url), 'Email');
    const consent = await person.submit(form, ana);
    const { url: answer } = await person.submit(consent, { approval: 'reject' });
    await refused(client.authorizationCodeGrant(config, new URL(answer), checks), 'access_denied');
    const late = await person.submit(consent, { approval: 'approve' });
    assert.equal(late.status, 400, 'a refusal is final');
  },

  async a_refresh_token_is_good_once() {
    const config = await webApp();
    const first = await tokens(config);
    const second = await client.refreshTokenGrant(config, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    const third = await client.refreshTokenGrant(config, second.refresh_token);
    await client.fetchUserInfo(config, third.access_token, first.claims().sub);
    await refused(client.refreshTokenGrant(config, first.refresh_token), 'invalid_grant');
    await refused(client.refreshTokenGrant(config, third.refresh_token), 'invalid_grant');
  },

  async attack_21_a_replayed_code_ends_its_grant() {
    const config = await webApp();
    const { answer, checks } = await signIn(config);
    const got = await client.authorizationCodeGrant(config, answer, checks);
    await refused(client.authorizationCodeGrant(config, answer, checks), 'invalid_grant');
    await refused(client.refreshTokenGrant(config, got.refresh_token), 'invalid_grant');
  },

  async attack_21_a_wrong_verifier_gets_nothing() {
    const config = await webApp();
    const { answer, checks } = await signIn(config);
    const other = { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() };
    await refused(client.authorizationCodeGrant(config, answer, other), 'invalid_grant');
  },

  // The attempt is renewed where somebody signs in: pages from before are over, the consent stands.
  async attack_21_pages_from_before_the_sign_in_are_over() {
    const config = await webApp();
    const { url, checks } = await ask(config);
    const person = new Person();
    const form = await person.follow(await person.go(url), 'Email');
    const asked = await person.submit(form, ana);
    assert.match(asked.text, /ana@example.com/);
    const over = await person.submit(form, { ...ana, login: 'ben@example.com' });
    assert.equal(over.status, 400);
    assert.doesNotMatch(over.text, /ben@example.com/);
    const { url: answer } = await person.submit(asked, { approval: 'approve' });
    const got = await client.authorizationCodeGrant(config, new URL(answer), checks);
    assert.equal(got.claims().email, 'ana@example.com');
  },
};

await scenarios[process.argv[2]]();
console.log('passed');
