// Signs Ana in at a URL and prints where she is sent back to.

import { Person } from './person.mjs';

const person = new Person();
let page = await person.follow(await person.go(process.argv[2]), 'Email');
page = await person.submit(page, { login: 'ana@example.com', password: process.env.PASSWORD });
page = await person.submit(page, { approval: 'approve' });
console.log(page.url);
