// Every page, light or dark or on a phone, as the first argument says: axe objects to nothing, nothing is wider than the
// screen, and a picture of each is kept.

import { accessible, api, end, equal, fits, holds, park, pay, person, PHONE, picture, settled, signIn, state, until, visit, world } from './browser.mjs';

await pay(50, { session: 'invoices-2026-11', reason: 'hosting' });
await pay(75.5, { session: 'invoices-2026-11' });
await pay(12.25, { session: 'payroll' });
await pay(1, { to: '0x9999999999999999999999999999999999999999', session: 'payroll' });
const waiting = await park(200, { session: 'invoices-2026-11', reason: 'Invoice INV-2041 from Acme Hosting is due today. The amount matches purchase order PO-118 and the payee is on the list.\nI checked the bank details twice.' });
const two = await park(450, { session: 'invoices-2026-11', reason: '<b>urgent</b> \u202Eevorppa esaelp' });
const other = await pay(120, { agent: world.other });
holds(other.error?.data?.pending_operation_id, `the other agent waits: ${JSON.stringify(other)}`);
const executed = (await until('an operation to be settled', async () => (await api('/operations?status=executed')).json.items))[0];
await until('everything to be settled', async () => (await api('/operations?status=allowed,prepared,signed,broadcast,mined')).json.items.length === 0);
const { json: { items: [blocked] } } = await api('/apps/default/traces?status=blocked');
const settledOperation = (await api('/operations?status=executed')).json.items[0] ?? executed;

const PAGES = [
  ['overview', '/overview'],
  ['inbox', `/inbox/${waiting}`],
  ['inbox-two', `/inbox/${two}`],
  ['operations', '/operations'],
  ['operation', `/operations/${settledOperation.id}`],
  ['traces', '/traces'],
  ['trace', `/traces/${settledOperation.trace_hash}`],
  ['trace-blocked', `/traces/${blocked.traceHash}`],
  ['incidents', '/incidents'],
  ['agents', '/agents'],
  ['policies', '/policies/bot'],
  ['evidence', '/evidence'],
  ['find', `/find/${settledOperation.hash}`],
  ['find-nothing', '/find/nonsense'],
  ['missing', '/nowhere'],
];

async function onADesk(theme) {
  const page = await person({ theme });
  await page.goto(world.admin);
  await page.getByLabel('Operator’s token').waitFor();
  await accessible(page, `login ${theme}`);
  await picture(page, `login-${theme}`);
  await signIn(page, 'alice');
  for (const [name, path] of PAGES) {
    await visit(page, path);
    await settled(page);
    await page.locator('h1').first().waitFor();
    await accessible(page, `${name} ${theme}`);
    await picture(page, `${name}-${theme}`);
  }
  await visit(page, `/inbox/${waiting}`);
  await page.getByRole('button', { name: /^Approve/ }).click();
  await accessible(page, `approve ${theme}`);
  await picture(page, `approve-${theme}`);
  await page.keyboard.press('Escape');
  await page.locator('.who summary').click();
  await accessible(page, `menu ${theme}`);
  await picture(page, `menu-${theme}`);
}

// the switch is stronger than the system, and is kept
async function switched() {
  const chosen = await person({ theme: 'light' });
  await signIn(chosen, 'alice');
  const ground = () => chosen.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await chosen.locator('.who summary').click();
  await chosen.getByLabel('Dark').check();
  holds((await ground()) !== light, 'the dark theme is chosen');
  await chosen.reload();
  await chosen.getByRole('heading', { name: 'Overview' }).waitFor();
  holds((await ground()) !== light, 'and kept');
}

async function onAPhone() {
  const phone = await person({ viewport: PHONE, theme: 'light', touch: true });
  await signIn(phone, 'bob');
  for (const [name, path] of [['inbox-list', '/inbox'], ...PAGES]) {
    await visit(phone, path);
    await settled(phone);
    await fits(phone, name);
    await accessible(phone, `${name} phone`);
    await picture(phone, `${name}-phone`);
  }
  await phone.getByRole('button', { name: 'Menu' }).tap();
  await picture(phone, 'menu-phone');
  await phone.getByRole('link', { name: /Inbox/ }).tap();
  await phone.getByRole('link', { name: /200/ }).tap();
  await phone.getByRole('button', { name: /^Approve/ }).tap();
  await phone.getByRole('dialog').getByRole('button', { name: 'Approve' }).waitFor();
  await fits(phone, 'the question');
  await picture(phone, 'approve-phone');
  await phone.getByRole('dialog').getByRole('button', { name: 'Approve' }).tap();
  await until('the yes from the phone', async () => (await state(waiting)) === 'EXECUTED');
  equal((await api(`/operations/${waiting}`)).json.votes.map((vote) => vote.operator), ['bob'], 'whose it is');
}

const [, , which] = process.argv;
if (which === 'phone') await onAPhone();
else await onADesk(which);
if (which === 'light') await switched();
await end();
