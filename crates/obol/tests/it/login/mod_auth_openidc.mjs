// Somebody who visits a page that Apache guards.

import assert from 'node:assert/strict';
import { Person } from './person.mjs';

const person = new Person();
const headers = { accept: 'text/html' };
let page = await person.go(`${process.env.SITE}/index.html`, { headers });
assert.match(page.url, /^https:.*\/dex\/auth/);
page = await person.follow(page, 'Email');
page = await person.submit(page, { login: 'ana@example.com', password: process.env.PASSWORD });
page = await person.submit(page, { approval: 'approve' });
assert.match(page.text, /Only for those who are known/);
assert.equal(page.url, `${process.env.SITE}/index.html`);
// Her groups came along: one page is hers, another is not.
assert.equal((await person.go(`${process.env.SITE}/admins.html`, { headers })).status, 404);
assert.equal((await person.go(`${process.env.SITE}/others.html`, { headers })).status, 401);
console.log('passed');
