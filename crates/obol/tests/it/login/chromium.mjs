// A person at Chromium: each function is one scenario, run by its name.

import assert from 'node:assert/strict';
import http from 'node:http';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import * as client from 'openid-client';

const issuer = new URL(process.env.ISSUER);
const password = process.env.PASSWORD;

// The application: one page for whatever comes back, one that posts a form to us from elsewhere.
const posted = [];
const application = http.createServer((request, response) => {
  response.setHeader('content-type', 'text/html');
  if (request.method === 'POST') request.on('data', data => posted.push(String(data)));
  const target = new URL(request.url, 'http://127.0.0.1').searchParams.get('target');
  const form = `<form method=post action="${target}"><input name=login><input name=password><button>Go</button></form>`;
  response.end(`<!doctype html><title>App</title><link rel=icon href="data:,">${target ? form : '<h1>Arrived</h1>'}`);
});
await new Promise(done => application.listen(0, '127.0.0.1', done));
const home = `http://127.0.0.1:${application.address().port}`;
const callback = `${home}/callback`;

const config = await client.discovery(issuer, 'native', undefined, client.None());
client.enableNonRepudiationChecks(config);

const flags = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM, headless: true, chromiumSandbox: false, args: flags,
});

async function ask({ state = client.randomState(), ...more } = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedNonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: 'openid profile email groups offline_access',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    nonce: expectedNonce,
    state,
    ...more,
  });
  return { url: url.href, checks: { pkceCodeVerifier, expectedNonce, expectedState: state } };
}

const newContext = options => browser.newContext({ ignoreHTTPSErrors: true, ...options });

// A tab whose complaints are kept: what the console calls an error, refused loads, exceptions.
async function newTab(context) {
  const tab = await context.newPage();
  tab.complaints = [];
  tab.on('console', message => {
    if (['error', 'warning'].includes(message.type())) tab.complaints.push(message.text());
  });
  tab.on('pageerror', error => tab.complaints.push(String(error)));
  tab.on('requestfailed', request => tab.complaints.push(`${request.url()}: ${request.failure().errorText}`));
  return tab;
}

async function signIn(tab, secret = password) {
  await tab.getByLabel('Email Address').fill('ana@example.com');
  await tab.getByLabel('Password').fill(secret);
  await tab.getByRole('button', { name: 'Sign in' }).click();
}

async function allow(tab) {
  await tab.getByRole('button', { name: 'Allow', exact: true }).click();
  await tab.waitForURL(`${callback}**`);
  return new URL(tab.url());
}

const heading = tab => tab.getByRole('heading', { level: 1 }).textContent();

async function toForm(tab, url) {
  await tab.goto(url);
  await tab.getByRole('link', { name: 'Email' }).click();
  await tab.getByLabel('Email Address').waitFor();
}

async function toConsent(tab, url) {
  await toForm(tab, url);
  await signIn(tab);
  await tab.getByRole('button', { name: 'Allow', exact: true }).waitFor();
}

// Nobody is kept out: what axe-core finds is an error, in every state of every page.
async function examine(tab, name) {
  await tab.evaluate(axe.source);
  const { violations } = await tab.evaluate(() => globalThis.axe.run());
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(node => node.html).join(' ')}`);
  assert.deepEqual(told, [], name);
}

// A device's codes, for the client of this file.
const device = () => client.initiateDeviceAuthorization(config, { scope: 'openid email offline_access' });
const poll = ({ device_code }) =>
  client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:device_code', { device_code });

// Nothing is wider than the window, and what is there to be read or pressed is inside it.
async function photograph(tab, name) {
  await tab.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true });
  const [inner, outer] = await tab.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(inner <= outer, `${name} is ${inner} wide in ${outer}`);
  await examine(tab, name);
  const tall = await tab.evaluate(() => document.documentElement.scrollHeight <= innerHeight);
  assert.ok(tall, `${name} scrolls where it need not`);
}

const scenarios = {
  // Chromium checks form-action on the redirects after a form, too: ours must not name it.
  async a_person_walks_through_every_page() {
    const tab = await newTab(await newContext());
    const { url, checks } = await ask();
    await tab.goto(url);
    assert.equal(await heading(tab), 'Choose how to sign in');
    await tab.getByRole('link', { name: 'Email' }).click();
    assert.equal(await heading(tab), 'Sign in');
    assert.equal(await tab.evaluate(() => document.activeElement.id), 'login');
    assert.deepEqual(tab.complaints, []);
    await signIn(tab, 'wrong');
    await tab.getByRole('alert').waitFor();
    assert.equal(await tab.getByLabel('Email Address').inputValue(), 'ana@example.com');
    assert.equal(await tab.getByLabel('Password').inputValue(), '');
    assert.equal(await tab.evaluate(() => document.activeElement.id), 'password');
    const unauthorized = tab.complaints.splice(0);
    assert.ok(unauthorized.every(text => text.includes('401')), unauthorized.join('\n'));
    await signIn(tab);
    await tab.getByText('Command Line').waitFor();
    assert.equal(await heading(tab), 'Allow access?');
    const arrived = await allow(tab);
    assert.equal(arrived.searchParams.get('iss'), issuer.href);
    const got = await client.authorizationCodeGrant(config, arrived, checks);
    assert.equal(got.claims().email, 'ana@example.com');
    assert.deepEqual(tab.complaints, []);
    const left = (await tab.context().cookies(issuer.href)).map(({ name }) => name);
    assert.deepEqual(left, ['obol_known'], 'the attempt left no cookie');
  },

  async two_tabs_do_not_disturb_each_other() {
    const context = await newContext();
    const [left, right] = [await newTab(context), await newTab(context)];
    const [first, second] = [await ask(), await ask()];
    await toForm(left, first.url);
    await toConsent(right, second.url);
    await signIn(left);
    for (const [tab, { checks }] of [[right, second], [left, first]]) {
      await client.authorizationCodeGrant(config, await allow(tab), checks);
      assert.deepEqual(tab.complaints, []);
    }
  },

  async going_back_after_consent_says_so() {
    const tab = await newTab(await newContext());
    await toConsent(tab, (await ask()).url);
    await allow(tab);
    const back = await tab.goBack();
    assert.equal(back.status(), 400);
    assert.match(await tab.getByRole('alert').textContent(), /already finished.*begin again at the application/);
    assert.equal(await tab.getByRole('button').count(), 0);
  },

  async attack_21_another_browsers_state_leads_nowhere() {
    const [mine, theirs] = [await newTab(await newContext()), await newTab(await newContext())];
    await toForm(mine, (await ask()).url);
    const form = mine.url();
    await signIn(mine);
    await mine.getByRole('button', { name: 'Allow', exact: true }).waitFor();
    const id = new URL(mine.url()).searchParams.get('req');
    for (const url of [form, mine.url(), `${issuer.href}/callback?state=${id}`]) {
      const answer = await theirs.goto(url);
      assert.equal(answer.status(), 400, url);
      assert.match(await theirs.getByRole('alert').textContent(), /another browser/);
    }
    await allow(mine);
  },

  async attack_21_another_sites_form_is_refused() {
    const tab = await newTab(await newContext());
    await toForm(tab, (await ask()).url);
    await tab.goto(`${home}/?target=${encodeURIComponent(tab.url())}`);
    await tab.locator('input[name=login]').fill('ana@example.com');
    await tab.locator('input[name=password]').fill(password);
    const [answer] = await Promise.all([tab.waitForNavigation(), tab.getByRole('button').click()]);
    assert.equal(answer.status(), 403);
    assert.match(await tab.getByRole('alert').textContent(), /another site/);
  },

  async a_device_is_connected_by_its_person() {
    const tab = await newTab(await newContext());
    const codes = await device();
    await assert.rejects(poll(codes), { error: 'authorization_pending' });
    await tab.goto(codes.verification_uri);
    await tab.getByLabel('Code').fill('BBBB-BBBB');
    await tab.getByRole('button', { name: 'Continue' }).click();
    await tab.getByRole('alert').waitFor();
    tab.complaints.splice(0);
    await tab.getByLabel('Code').fill(codes.user_code.toLowerCase().replace('-', ''));
    await tab.getByRole('button', { name: 'Continue' }).click();
    await tab.getByRole('link', { name: 'Email' }).click();
    await signIn(tab);
    await tab.getByText(codes.user_code).waitFor();
    await tab.getByRole('button', { name: 'Allow', exact: true }).click();
    await tab.getByRole('heading', { name: 'Your device is connected' }).waitFor();
    const got = await poll(codes);
    assert.equal(got.claims().email, 'ana@example.com');
    await assert.rejects(poll(codes), { error: 'invalid_grant' });
    await client.refreshTokenGrant(config, got.refresh_token);
    assert.deepEqual(tab.complaints, []);

    const refused = await device();
    await tab.goto(refused.verification_uri_complete);
    assert.equal(await tab.getByLabel('Code').inputValue(), refused.user_code);
    await tab.getByRole('button', { name: 'Continue' }).click();
    await tab.getByRole('link', { name: 'Everybody' }).click();
    await tab.getByRole('button', { name: 'Do not allow' }).click();
    await tab.getByRole('alert').waitFor();
    await assert.rejects(poll(refused), { error: 'access_denied' });
  },

  async a_form_post_sends_itself_and_has_a_button() {
    for (const javaScriptEnabled of [true, false]) {
      const tab = await newTab(await newContext({ javaScriptEnabled }));
      const { url, checks } = await ask({ response_mode: 'form_post' });
      await toConsent(tab, url);
      await tab.getByRole('button', { name: 'Allow', exact: true }).click();
      if (!javaScriptEnabled) await tab.getByRole('button', { name: 'Continue' }).click();
      await tab.waitForURL(`${callback}**`);
      assert.equal(tab.url(), callback, 'nothing stands in the URL');
      const answer = new URL(`${callback}?${posted.pop()}`);
      await client.authorizationCodeGrant(config, answer, checks);
      assert.deepEqual(tab.complaints, []);
    }
  },

  async a_code_is_carried_over_by_hand() {
    const tab = await newTab(await newContext());
    const { url, checks } = await ask({ redirect_uri: 'urn:ietf:wg:oauth:2.0:oob' });
    await toConsent(tab, url);
    await tab.getByRole('button', { name: 'Allow', exact: true }).click();
    const code = await tab.locator('code').textContent();
    const got = await client.genericGrantRequest(config, 'authorization_code', {
      code, redirect_uri: 'urn:ietf:wg:oauth:2.0:oob', code_verifier: checks.pkceCodeVerifier,
    });
    assert.ok(got.id_token);
    assert.deepEqual(tab.complaints, []);
  },

  async a_person_signs_in_by_keyboard_alone() {
    const tab = await newTab(await newContext());
    const { url, checks } = await ask();
    const press = async (...keys) => { for (const key of keys) await tab.keyboard.press(key); };
    await tab.goto(url);
    await press('Tab');
    assert.equal(await tab.evaluate(() => document.activeElement.textContent.trim()), 'Email');
    await press('Enter');
    await tab.getByLabel('Password').waitFor();
    await tab.keyboard.type('ana@example.com');
    await press('Tab');
    await tab.keyboard.type(password);
    await press('Enter');
    await tab.getByRole('button', { name: 'Allow', exact: true }).waitFor();
    await press('Tab');
    assert.equal(await tab.evaluate(() => document.activeElement.value), 'approve');
    await press('Enter');
    await tab.waitForURL(`${callback}**`);
    await client.authorizationCodeGrant(config, new URL(tab.url()), checks);
  },

  async the_pages_look_right_on_phones_and_desks() {
    for (const [size, width, height] of [['phone', 390, 844], ['desk', 1280, 800]]) {
      for (const [colorScheme, locale] of [['light', 'en'], ['dark', 'de']]) {
        const context = await newContext({ viewport: { width, height }, colorScheme, locale });
        const tab = await newTab(context);
        const take = page => photograph(tab, `${page}-${size}-${colorScheme}`);
        const button = at => tab.getByRole('button').nth(at);
        await tab.goto((await ask()).url);
        await take('choose');
        await tab.getByRole('link', { name: 'Email' }).click();
        await take('password');
        await tab.locator('#login').fill('ana@example.com');
        await tab.locator('#password').fill('wrong');
        await button(0).click();
        await tab.getByRole('alert').waitFor();
        await take('wrong');
        await tab.locator('#password').fill(password);
        await button(0).click();
        await tab.locator('.asks').waitFor();
        await take('consent');
        await button(0).click();
        await tab.waitForURL(`${callback}**`);
        await tab.goBack();
        await take('error');
        await tab.goto(issuer.href);
        await take('home');
        const codes = await device();
        await tab.goto(codes.verification_uri);
        await tab.locator('#user_code').fill('BBBB-BBBB');
        await button(0).click();
        await tab.getByRole('alert').waitFor();
        await take('device-wrong');
        await tab.goto(codes.verification_uri_complete);
        await take('device');
        await button(0).click();
        await tab.getByRole('link', { name: 'Everybody' }).click();
        await tab.locator('.asks').waitFor();
        await take('device-consent');
        await button(0).click();
        await tab.waitForURL(`${issuer.href}/approval`);
        await take('device-done');
        await tab.goto((await ask({ redirect_uri: 'urn:ietf:wg:oauth:2.0:oob', scope: 'openid' })).url);
        await tab.getByRole('link', { name: 'Everybody' }).click();
        await button(0).click();
        await tab.locator('code').waitFor();
        await take('by-hand');
        const quiet = await newTab(await newContext({ viewport: { width, height }, colorScheme, locale, javaScriptEnabled: false }));
        await quiet.goto((await ask({ response_mode: 'form_post', scope: 'openid' })).url);
        await quiet.getByRole('link', { name: 'Everybody' }).click();
        await quiet.getByRole('button').nth(0).click();
        await quiet.locator('#submit').waitFor();
        await quiet.screenshot({ path: `${process.env.PICTURES}/form-post-${size}-${colorScheme}.png`, fullPage: true });
        await context.close();
      }
    }
  },
};

try {
  await scenarios[process.argv[2]]();
} finally {
  await browser.close();
  application.close();
}
console.log('passed');
