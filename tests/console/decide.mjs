// People decide: yes, no, too late, two together, two against each other; and the lists move by themselves.

import { api, end, equal, holds, park, person, signIn, state, until, visit } from './browser.mjs';

const [alice, bob] = [await person({ expected: [409, 410] }), await person({ expected: [409, 410, 'away'] })];
await signIn(alice, 'alice', '/inbox');
await signIn(bob, 'bob', '/inbox');
await alice.getByText('Nothing waits for you').waitFor();
await alice.getByText('live', { exact: true }).waitFor();
await alice.evaluate(() => { window.notReloaded = true; });

// a yes: what is sent is the digest that was shown
const first = await park(200, { session: 'invoices', reason: 'the invoice is due' });
await alice.getByRole('link', { name: /bot.*200/ }).waitFor();
await alice.getByRole('heading', { name: /transfer/ }).waitFor();
await alice.getByText('Waiting for approval').waitFor({ state: 'detached' });
await alice.getByRole('button', { name: /^Approve/ }).click();
const { json: entry } = await api(`/pending-operations/${first}`);
equal(await alice.locator('#ask-digest').textContent(), entry.digest, 'the digest that is shown');
const [sent] = await Promise.all([
  alice.waitForRequest((request) => request.url().endsWith('/approve')),
  alice.getByRole('dialog').getByRole('button', { name: 'Approve' }).click(),
]);
equal(sent.postDataJSON(), { digest: entry.digest }, 'what is sent');
await alice.getByRole('dialog').waitFor({ state: 'detached' });
await until('the first to be paid', async () => (await state(first)) === 'EXECUTED');
await bob.getByText('Nothing waits for you').waitFor();

// a no: the agent is told why
const second = await park(201);
await bob.getByRole('link', { name: /bot.*201/ }).click();
await bob.getByRole('button', { name: /^Reject/ }).click();
await bob.getByLabel('Reason (the agent is told)').fill('not this month');
await bob.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
await until('the second to be rejected', async () => (await state(second)) === 'REJECTED');
await alice.getByText('Nothing waits for you').waitFor();

// two together: one of two is not enough, and each sees the other
const third = await park(450);
await alice.getByRole('link', { name: /bot.*450/ }).click();
await alice.getByText('2 missing').waitFor();
await alice.getByRole('button', { name: /^Approve/ }).click();
await alice.getByLabel('Note (kept in the record)').fill('fine with me');
await alice.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
await alice.getByText('You said yes; others are missing.').waitFor();
equal(await state(third), 'PARKED', 'one of two');
await bob.getByRole('link', { name: /bot.*450/ }).click();
await bob.getByText('fine with me').waitFor();
await bob.getByText('1 missing').waitFor();
await bob.getByRole('button', { name: /^Approve/ }).click();
await bob.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
await until('the third to be paid', async () => (await state(third)) === 'EXECUTED');
await alice.getByText('Nothing waits for you').waitFor();

// two against each other: whoever is second is told before or after they press, and nothing happens twice
const fourth = await park(202);
for (const page of [alice, bob]) {
  await page.getByRole('link', { name: /bot.*202/ }).click();
  await page.getByRole('button', { name: /^Approve/ }).waitFor();
}
await alice.getByRole('button', { name: /^Reject/ }).click();
await bob.getByRole('button', { name: /^Approve/ }).click();
await alice.getByLabel('Reason (the agent is told)').fill('no');
await alice.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
await bob.getByText('Meanwhile it was decided by somebody else: it is rejected.').waitFor();
holds(await bob.getByRole('dialog').getByRole('button', { name: 'Approve' }).isDisabled(), 'what is decided cannot be approved');
await bob.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
equal(await state(fourth), 'REJECTED', 'the first word stands');

// the news may come at any moment and take the button away: then there is nothing to press, and that is fine too
const press = (page) => page.getByRole('dialog').getByRole('button', { name: 'Approve' }).dispatchEvent('click');

// the same when the second presses before the news is there
const fifth = await park(203);
for (const page of [alice, bob]) await page.getByRole('link', { name: /bot.*203/ }).click();
await bob.getByRole('button', { name: /^Approve/ }).click();
await bob.route('**/events', (route) => route.abort());
await bob.route('**/pending-operations/*', (route) => route.abort());
const { json: raced } = await api(`/pending-operations/${fifth}`);
await api(`/pending-operations/${fifth}/reject`, { method: 'POST', body: { reason: 'faster' } });
await press(bob);
await bob.getByText(/Somebody was faster: it is rejected/).or(bob.getByText(/Meanwhile it was decided/)).first().waitFor();
equal((await api(`/pending-operations/${fifth}`)).json.votes.map((vote) => vote.operator), ['alice'], 'nothing of the second was recorded');
holds(raced.digest, 'it had a digest');
await bob.unrouteAll();
await bob.getByRole('button', { name: 'Close' }).click();

// too late: the time runs out while the question is open
const late = await park(301);
await visit(alice, `/inbox/${late}`);
await alice.getByRole('button', { name: /^Approve/ }).click();
await until('its time to run out', async () => (await state(late)) === 'EXPIRED');
await press(alice);
await alice.getByText(/Its time ran out|Meanwhile it was decided by somebody else: it is expired|Somebody was faster: it is expired/).waitFor();
await alice.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
await alice.getByText('It is decided: expired.').waitFor();

// a crowd of small ones does not hide the large one
for (const worth of [150, 250, 120]) await park(worth);
await visit(alice, '/inbox');
const worths = async () => (await alice.locator('.inbox-item-top .num').allTextContents()).join(' ');
await until('all of them, newest first', async () => (await worths()) === '$120.00 $250.00 $150.00');
await alice.getByLabel('Order', { exact: true }).selectOption('largest');
await until('the largest first', async () => (await worths()) === '$250.00 $150.00 $120.00');
holds(alice.url().includes('order=largest'), `a link to it: ${alice.url()}`);
await alice.getByLabel('Order', { exact: true }).selectOption('agent');
await alice.getByText('bot 3 entries, $520.00').waitFor();

holds(await alice.evaluate(() => window.notReloaded), 'all of this without loading the page again');
await end();
