// "Who authorised transaction 0x…?": by its hash to the approver, the policy and the session, in three steps at most.

import { api, end, equal, holds, park, person, picture, settled, signIn, until } from './browser.mjs';

const operation = await park(230, { session: 'quarter-end', reason: 'the supplier asked for it' });
const { json: { digest } } = await api(`/pending-operations/${operation}`);
await api(`/pending-operations/${operation}/approve`, { operator: 'bob', method: 'POST', body: { digest, note: 'saw the contract' } });
const { hash } = await until('it to be settled', async () => {
  const { json } = await api(`/operations/${operation}`);
  return json.state === 'EXECUTED' && json;
});

const page = await person({ expected: [404] });
await signIn(page, 'vera');
const start = Date.now();
let steps = 0;
const step = async (act) => { steps += 1; await act(); };

await step(() => page.getByLabel('Find a transaction').click());
await page.keyboard.insertText(hash);
await step(() => page.keyboard.press('Enter'));
const record = page.locator('main');
for (const text of ['bob', 'saw the contract', 'quarter-end', 'bot']) await record.getByText(text, { exact: true }).first().waitFor();
const policy = await record.getByText('the grant').locator('xpath=..').getByRole('button').getAttribute('data-full');
const took = Date.now() - start;
const { json: { items: [grant] } } = await api('/api/agents/bot/policies');
equal(policy, grant.id, 'the version of the policy');
await picture(page, 'authority-light');

// and one further, to the text of that policy
await step(() => record.getByText('the grant').click());
await page.getByText('policy: bot').first().waitFor();
holds(steps <= 3, `${steps} steps`);

// the same by trace hash and by operation
const { json: { trace_hash: trace } } = await api(`/operations/${operation}`);
for (const name of [trace, operation]) {
  await page.getByLabel('Find a transaction').fill(name);
  await page.keyboard.press('Enter');
  await page.getByText('saw the contract').waitFor();
}
// a transaction that is not of this gateway is nobody's
await page.getByLabel('Find a transaction').fill(`0x${'ab'.repeat(32)}`);
await page.keyboard.press('Enter');
await page.getByText('Nothing has this name').waitFor();
await settled(page);
await end({ steps, took_ms: took });
