// A person at Chromium, sent by the command line.

import assert from 'node:assert/strict';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM, headless: true, chromiumSandbox: false,
  args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync'],
});
const tab = await (await browser.newContext()).newPage();
const complaints = [];
tab.on('console', message => {
  if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
});
await tab.goto(process.env.ADDRESS);
await tab.getByLabel('Email Address').fill('ana@example.com');
await tab.getByLabel('Password').fill(process.env.PASSWORD);
await tab.getByRole('button', { name: 'Sign in' }).click();
await tab.getByRole('button', { name: 'Allow', exact: true }).click();
await tab.waitForURL(/^http:\/\/localhost:/);
assert.equal(await tab.getByRole('heading', { level: 1 }).textContent(), 'Signed in');
assert.match(await tab.locator('p').textContent(), /You are signed in as ana.*close this tab/);
for (const scheme of ['light', 'dark']) {
  await tab.emulateMedia({ colorScheme: scheme });
  for (const [name, width, height] of [['phone', 360, 640], ['desk', 1280, 800]]) {
    await tab.setViewportSize({ width, height });
    const fits = await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth
      && document.documentElement.scrollHeight <= innerHeight);
    assert.ok(fits, `${name} scrolls`);
    await tab.screenshot({ path: `${process.env.PICTURES}/landing-${name}-${scheme}.png` });
  }
}
assert.deepEqual(complaints, []);
// The page's own policy forbids scripts, also this one, unless the tool steps around it.
const session = await tab.context().newCDPSession(tab);
await session.send('Page.setBypassCSP', { enabled: true });
const { result } = await session.send('Runtime.evaluate', {
  expression: `${axe.source}; axe.run().then(r => JSON.stringify(r.violations.map(v => v.id)))`, awaitPromise: true,
});
assert.equal(result.value, '[]');
await browser.close();
console.log('passed');
