// A real browser before a real gateway. Whatever a page complains about fails the test: an exception, a message of the
// console, a violation of the content security policy.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** `{admin, rpc, agent, wallet, tokens, screens}`: where everything is, from the test that started it. */
export const world = JSON.parse(process.env.COUNTERSIGN_WORLD);

export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1360, height: 900 };

const PATIENCE_MS = 60_000;

const browser = await chromium.launch({ executablePath: process.env.COUNTERSIGN_CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
const complaints = [];

/** Ends the browser, and the test badly if any page complained. */
export async function end(result) {
  await browser.close();
  if (complaints.length > 0) throw new Error(`pages complained:\n${complaints.join('\n')}`);
  console.log(JSON.stringify(result ?? { done: true }));
}

/**
 * Somebody at a browser of their own. `expected` are the statuses of answers that the test provokes,
 * and `away` where it keeps answers from coming.
 */
export async function person({ viewport = DESK, theme = 'light', expected = [], touch = false } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: theme, reducedMotion: 'reduce', hasTouch: touch, isMobile: touch, timezoneId: 'America/Lima' });
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.stack}`));
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    const status = /status of (\d+)/.exec(message.text())?.[1];
    if (status && expected.includes(Number(status))) return;
    if (message.text().includes('net::ERR_') && expected.includes('away')) return;
    complaints.push(`${page.url()}: ${message.text()} ${message.location()?.url ?? ''}`);
  });
  return page;
}

/** Goes to a page of the console; a page that is open is not loaded again. */
export async function visit(page, path) {
  await page.goto(`${world.admin}/#${path}`);
}

/** Logs in as an operator, from wherever the page is. */
export async function signIn(page, operator, path = '/overview') {
  await visit(page, path);
  await page.getByLabel('Operator’s token').fill(world.tokens[operator]);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Pages' }).or(page.getByRole('button', { name: 'Menu' })).first().waitFor();
}

let id = 0;

/** The agent asks for a payment of so many USD (at 1000 USD for one ether). The answer as JSON. */
export async function pay(usd, { to = world.payee, reason, session, agent = world.agent } = {}) {
  id += 1;
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${agent.token}`, 'idempotency-key': `console-${process.pid}-${id}` };
  if (reason !== undefined) headers['countersign-reason'] = encodeURIComponent(reason);
  const value = `0x${(BigInt(Math.round(usd * 1000)) * 10n ** 12n).toString(16)}`;
  const body = { jsonrpc: '2.0', id, method: 'eth_sendTransaction', params: [{ from: agent.wallet, to, value }, ...(session === undefined ? [] : [{ session }])] };
  const answer = await fetch(world.rpc, { method: 'POST', headers, body: JSON.stringify(body) });
  return answer.json();
}

/** As [`pay`], for what must wait: the operation's id. */
export async function park(usd, more) {
  const answer = await pay(usd, more);
  const operation = answer.error?.data?.pending_operation_id;
  if (!operation) throw new Error(`it does not wait: ${JSON.stringify(answer)}`);
  return operation;
}

/** What the API says, past the browser. */
export async function api(path, { operator = 'alice', method = 'GET', body, headers = {} } = {}) {
  const answer = await fetch(`${world.admin}${path}`, {
    method,
    headers: { authorization: `Bearer ${world.tokens[operator]}`, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, json: text ? JSON.parse(text) : null };
}

/** Waits until the API says so. */
export async function until(what, probe) {
  const start = Date.now();
  while (Date.now() - start < PATIENCE_MS) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited too long for ${what}`);
}

export const state = async (operation) => (await api(`/operations/${operation}`)).json.state;

export function equal(actual, expected, what) {
  const [one, other] = [actual, expected].map((value) => JSON.stringify(value));
  if (one !== other) throw new Error(`${what}: ${one} instead of ${other}`);
}

export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

/** Keeps a picture of the page for people. */
export async function picture(page, name) {
  await page.screenshot({ path: `${world.screens}/${name}.png`, fullPage: true, animations: 'disabled' });
}

/** Fails on anything that axe objects to. */
export async function accessible(page, name) {
  // evaluated by the debugger, which the page's policy does not bind
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const told = violations.map(({ id: rule, help, nodes }) => `${rule}: ${help}\n${nodes.slice(0, 3).map((node) => `    ${node.target} ${node.failureSummary?.split('\n').slice(1).join(' ')}`).join('\n')}`);
  holds(told.length === 0, `axe on ${name}:\n${told.join('\n')}`);
}

/** Fails where something is wider than the screen. */
export async function fits(page, name) {
  const { wide, width } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, width: document.documentElement.clientWidth }));
  holds(wide <= width, `${name} is ${wide} wide on a screen of ${width}`);
}

/** Waits until nothing on the page is being loaded. */
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .skeleton'));
}
