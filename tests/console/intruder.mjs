// No other page acts for an operator, no role reaches further than it does, and a session ends when it should.

import { createServer } from 'node:http';
import { request } from 'node:http';
import { api, end, equal, holds, park, person, signIn, until, visit, world } from './browser.mjs';

const page = await person({ expected: [401, 403, 404] });
await signIn(page, 'alice');
const cookies = await page.context().cookies();
equal(cookies.length, 1, 'one cookie');
const [cookie] = cookies;
equal([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Strict', '/'], 'how the cookie travels');
equal(await page.evaluate(() => document.cookie), '', 'no script sees it');

// a raw request with the cookie, as a browser that does not keep to the rules might send it
const { hostname, port, host, origin } = new URL(world.admin);
const raw = (method, path, headers, body) => new Promise((resolve, reject) => {
  const asked = request({ hostname, port, method, path, headers: { host, cookie: `${cookie.name}=${cookie.value}`, 'content-type': 'application/json', ...headers } }, (answer) => {
    let text = '';
    answer.on('data', (part) => { text += part; });
    answer.on('end', () => resolve({ status: answer.statusCode, text, headers: answer.headers }));
  });
  asked.on('error', reject);
  asked.end(body);
});
const ours = { 'countersign-console': '1', origin, 'sec-fetch-site': 'same-origin' };
const freeze = '{"agent":"bot"}';
for (const [what, method, path, headers, body, status] of [
  ['no header', 'POST', '/freeze', { origin, 'sec-fetch-site': 'same-origin' }, freeze, 403],
  ['another header', 'POST', '/freeze', { ...ours, 'countersign-console': '0' }, freeze, 403],
  ['no origin', 'POST', '/freeze', { 'countersign-console': '1' }, freeze, 403],
  ['another origin', 'POST', '/freeze', { ...ours, origin: 'http://evil.example' }, freeze, 403],
  ['no origin at all', 'POST', '/freeze', { ...ours, origin: 'null' }, freeze, 403],
  ['another port', 'POST', '/freeze', { ...ours, 'sec-fetch-site': 'same-site' }, freeze, 403],
  ['another site', 'POST', '/freeze', { 'countersign-console': '1', 'sec-fetch-site': 'cross-site' }, freeze, 403],
  ['a form', 'POST', '/freeze', { ...ours, 'content-type': 'text/plain' }, freeze, 400],
  ['reading from another site', 'GET', '/overview', { 'sec-fetch-site': 'cross-site' }, undefined, 403],
  ['reading from another port', 'GET', '/events', { 'sec-fetch-site': 'same-site' }, undefined, 403],
  ['two cookies', 'GET', '/overview', { cookie: `${cookie.name}=${cookie.value}; ${cookie.name}=${'0'.repeat(64)}` }, undefined, 401],
  ['another cookie', 'GET', '/overview', { cookie: `${cookie.name}=${'0'.repeat(64)}` }, undefined, 401],
  ['a token that is wrong outweighs the cookie', 'GET', '/overview', { authorization: 'Bearer nonsense' }, undefined, 401],
  ['a name of somebody else’s', 'GET', '/overview', { host: 'evil.example' }, undefined, 421],
  ['the page’s own reading', 'GET', '/overview', { 'sec-fetch-site': 'same-origin' }, undefined, 200],
]) {
  const answer = await raw(method, path, headers, body);
  equal(answer.status, status, `${what}: ${answer.text}`);
  equal(answer.headers['access-control-allow-origin'], undefined, what);
}
equal((await api('/overview')).json.freezes, [], 'nothing was frozen');

// a page of somebody else's on the same machine: cookies know no ports
const evil = createServer((_, answer) => {
  answer.setHeader('content-type', 'text/html');
  answer.end(`<!doctype html><title>evil</title><form id=f method=post enctype="text/plain" target=_self action="${world.admin}/freeze"><input name='{"agent":"bot","x":"' value='"}'></form>`);
});
await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve));
const intruder = await page.context().newPage();
await intruder.goto(`http://127.0.0.1:${evil.address().port}/`);
const tried = await intruder.evaluate(async ({ admin }) => {
  const attempt = (path, more) => fetch(admin + path, { credentials: 'include', ...more }).then((answer) => answer.type, () => 'refused');
  return [
    await attempt('/freeze', { method: 'POST', mode: 'no-cors', body: '{"agent":"bot"}' }),
    await attempt('/freeze', { method: 'POST', headers: { 'content-type': 'application/json', 'countersign-console': '1' }, body: '{"agent":"bot"}' }),
    await attempt('/overview', {}),
  ];
}, { admin: world.admin });
equal(tried, ['opaque', 'refused', 'refused'], 'what another page gets to see');
await Promise.all([intruder.waitForNavigation(), intruder.evaluate(() => document.getElementById('f').submit())]);
holds((await intruder.textContent('body')).includes('other_'), 'a form of another page is refused');
await intruder.goto(`http://127.0.0.1:${evil.address().port}/`);
const framed = await intruder.evaluate(async ({ admin }) => {
  const frame = document.createElement('iframe');
  frame.src = admin;
  document.body.append(frame);
  await new Promise((resolve) => { frame.onload = resolve; });
  try { return frame.contentDocument?.body?.textContent ?? 'blocked'; } catch { return 'blocked'; }
}, { admin: world.admin });
equal(framed, 'blocked', 'the console in a frame');
await intruder.close();
evil.close();
equal((await api('/overview')).json.freezes, [], 'still nothing is frozen');

// roles: what may not be done is not offered, and is refused anyway
const waiting = await park(240);
const vera = await person({ expected: [401, 403] });
await signIn(vera, 'vera', `/inbox/${waiting}`);
await vera.getByText('your roles do not include `approve`').waitFor();
equal(await vera.getByRole('button', { name: /^(Approve|Reject)/ }).count(), 0, 'buttons for somebody who may look');
await visit(vera, '/agents');
await vera.getByRole('heading', { name: 'Wallets', exact: true }).waitFor();
equal(await vera.getByRole('button', { name: /reeze/ }).count(), 0, 'levers for somebody who may look');
const anyway = await vera.evaluate(async () => {
  const answer = await fetch('/freeze', { method: 'POST', headers: { 'content-type': 'application/json', 'countersign-console': '1' }, body: '{"agent":"bot"}' });
  return [answer.status, (await answer.json()).code];
});
equal(anyway, [403, 'role_missing'], 'the lever itself');
const carol = await person({ expected: [403] });
await signIn(carol, 'carol', `/inbox/${waiting}`);
await carol.getByText('You own this agent').waitFor();
equal(await carol.getByRole('button', { name: /^Approve/ }).count(), 0, 'a button for the owner');

// logging out ends the session at the gateway, not only in the page
await page.bringToFront();
await page.locator('.who summary').click();
await page.getByRole('button', { name: 'Log out' }).click();
await page.getByLabel('Operator’s token').waitFor();
equal((await raw('GET', '/overview', {})).status, 401, 'the cookie after the end');

// a wrong token, again and again
await page.getByLabel('Operator’s token').fill('nonsense');
await page.getByRole('button', { name: 'Log in', exact: true }).click();
await page.getByText('No operator has this token.').waitFor();
const statuses = [];
for (let n = 0; n < 12; n += 1) statuses.push((await raw('POST', '/session', {}, '{"token":"nonsense"}')).status);
equal([statuses[0], statuses.at(-1)], [401, 429], 'so many and no more');

// who is not an operator any more is out, wherever their page is; the test changes the configuration when it hears
console.log(JSON.stringify({ rotate: 'vera' }));
await vera.getByText('Your session has ended').waitFor();
await until('the page to have stopped', async () => (await vera.locator('nav').count()) === 0);
await end();
