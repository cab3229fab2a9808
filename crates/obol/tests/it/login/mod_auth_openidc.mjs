// Somebody who visits a page that Apache guards. A browser: Apache sends nobody else away to sign in.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM, headless: true, chromiumSandbox: false, args: ['--disable-gpu', '--disable-quic'],
});
try {
  const tab = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  const site = process.env.SITE;
  await tab.goto(`${site}/index.html`);
  await tab.getByRole('link', { name: 'Email' }).click();
  await tab.getByLabel('Email Address').fill('ana@example.com');
  await tab.getByLabel('Password').fill(process.env.PASSWORD);
  await tab.getByRole('button', { name: 'Sign in' }).click();
  await tab.getByRole('button', { name: 'Allow', exact: true }).click();
  await tab.getByRole('heading', { name: 'Only for those who are known' }).waitFor();
  assert.equal(tab.url(), `${site}/index.html`);
  // Her groups came along: one page is hers, another is not.
  assert.equal((await tab.goto(`${site}/admins.html`)).status(), 200);
  assert.equal((await tab.goto(`${site}/others.html`)).status(), 401);
} finally {
  await browser.close();
}
console.log('passed');
