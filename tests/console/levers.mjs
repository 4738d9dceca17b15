// The switches of the agents' page, the banner that everybody sees, and what is left when the gateway is away.

import { api, end, equal, holds, pay, person, picture, settled, signIn, visit } from './browser.mjs';

const page = await person({ expected: [404, 503, 'away'] });
const bob = await person({ expected: [503, 'away'] });
await signIn(page, 'alice', '/agents');
await signIn(bob, 'bob', '/overview');
await page.getByRole('button', { name: 'Freeze agent bot' }).click();
const why = 'pays whom nobody knows <b>?</b>';
await page.getByRole('dialog').getByLabel('Reason').fill(why);
await page.getByRole('dialog').getByRole('button', { name: 'Freeze' }).click();
await page.getByText('agent bot', { exact: true }).waitFor();
await bob.getByText('Frozen:').waitFor();
await bob.getByText(why).waitFor();
const [{ at, ...frozen }, ...others] = (await api('/overview')).json.freezes;
equal([frozen, others], [{ by: 'operator', id: 'bot', operator: 'alice', reason: why, scope: 'agent' }, []], 'what is in force');
holds(Date.parse(at) > 0, `since when: ${at}`);
await page.getByLabel('Agent bot').getByText(why).waitFor();
const denied = await pay(5);
holds(denied.error?.code === 4001, `a frozen agent: ${JSON.stringify(denied)}`);
holds(!JSON.stringify(denied).includes('nobody knows'), `the agent is not told why: ${JSON.stringify(denied)}`);
await settled(page);
await picture(page, 'frozen-light');
await page.getByRole('button', { name: 'Unfreeze agent bot' }).click();
await page.getByRole('dialog').getByRole('button', { name: 'Unfreeze' }).click();
await bob.getByText('Frozen:').waitFor({ state: 'detached' });
const allowed = await pay(6);
holds(allowed.result, `after it was lifted: ${JSON.stringify(allowed)}`);

// an incident goes its way
await api('/ledger/seal', { method: 'POST', body: { reason: 'a drill' } });
await bob.getByText('The ledger is sealed').waitFor();
await picture(bob, 'sealed-light');
await api('/ledger/unseal', { method: 'POST', body: {} });
await bob.getByText('The ledger is sealed').waitFor({ state: 'detached' });

// the evidence form answers, whether this gateway exports or not
await visit(page, '/evidence');
const download = page.waitForEvent('download').then(() => 'saved', () => 'none');
await page.getByRole('button', { name: 'Export' }).click();
await Promise.race([download, page.getByText('does not export evidence').waitFor()]);

// what is on the page stays when the gateway goes, and the page says so; the test stops it when it hears
await visit(bob, '/operations');
await bob.getByRole('table').waitFor();
console.log(JSON.stringify({ stop: true }));
await bob.getByText('offline', { exact: true }).waitFor();
holds(await bob.getByRole('table').isVisible(), 'what was there is still there');
await end();
