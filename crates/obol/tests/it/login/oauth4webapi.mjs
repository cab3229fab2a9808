// An application on oauth4webapi: each function is one scenario, run by its name.

import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { Person } from './person.mjs';

const issuer = new URL(process.env.ISSUER);
const callback = 'https://app.example/callback';
const ana = { login: 'ana@example.com', password: process.env.PASSWORD };
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
const client = { client_id: 'web-app' };
const auth = oauth.ClientSecretPost('a secret with %, & and +');

async function signIn(scope = 'openid email offline_access') {
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id, redirect_uri: callback, response_type: 'code', scope, state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    max_age: '3600',
  });
  const person = new Person();
  let page = await person.follow(await person.go(url.href), 'Email');
  page = await person.submit(await person.submit(page, ana), { approval: 'approve' });
  const answer = oauth.validateAuthResponse(as, client, new URL(page.url), state);
  return { answer, verifier, nonce };
}

async function redeem({ answer, verifier, nonce }) {
  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, answer, callback, verifier);
  const expected = { expectedNonce: nonce, maxAge: 3600, requireIdToken: true };
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, expected);
  await oauth.validateApplicationLevelSignature(as, response);
  return tokens;
}

async function userInfo(tokens, sub) {
  const response = await oauth.userInfoRequest(as, client, tokens.access_token);
  return oauth.processUserInfoResponse(as, client, sub, response);
}

const scenarios = {
  async a_code_flow_is_good_to_the_letter() {
    const signedIn = await signIn();
    const tokens = await redeem(signedIn);
    const { sub, email } = oauth.getValidatedIdTokenClaims(tokens);
    assert.equal((await userInfo(tokens, sub)).email, email);
    const refreshed = await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token);
    await oauth.processRefreshTokenResponse(as, client, refreshed);
    await assert.rejects(redeem(signedIn), { error: 'invalid_grant', status: 400 });
  },

  async a_device_flow_is_good_to_the_letter() {
    const asked = await oauth.deviceAuthorizationRequest(as, client, auth, { scope: 'openid email' });
    const codes = await oauth.processDeviceAuthorizationResponse(as, client, asked);
    const poll = async () => {
      const response = await oauth.deviceCodeGrantRequest(as, client, auth, codes.device_code);
      return oauth.processDeviceCodeResponse(as, client, response);
    };
    await assert.rejects(poll(), { error: 'authorization_pending', status: 400 });
    await assert.rejects(poll(), { error: 'slow_down', status: 400 });
    const person = new Person();
    let page = await person.submit(await person.go(codes.verification_uri), { user_code: codes.user_code });
    page = await person.submit(await person.follow(page, 'Email'), ana);
    assert.ok(page.text.includes(codes.user_code));
    page = await person.submit(page, { approval: 'approve' });
    assert.match(page.text, /Your device is connected/);
    const tokens = await poll();
    assert.equal((await userInfo(tokens, oauth.getValidatedIdTokenClaims(tokens).sub)).email, ana.login);
  },

  async revocation_and_introspection_are_good_to_the_letter() {
    const tokens = await redeem(await signIn());
    const look = async () => {
      const response = await oauth.introspectionRequest(as, client, auth, tokens.access_token);
      return oauth.processIntrospectionResponse(as, client, response);
    };
    const seen = await look();
    assert.equal(seen.active, true);
    assert.equal(seen.client_id, client.client_id);
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, tokens.refresh_token));
    assert.deepEqual(await look(), { active: false });
  },
};

await scenarios[process.argv[2]]();
console.log('passed');
