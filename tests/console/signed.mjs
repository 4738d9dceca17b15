// Where keys are pinned: a text is proposed and rolled back to with its signature, and with no other. And what allows too
// much stays a draft.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessible, api, end, equal, holds, park, pay, person, picture, signIn, visit, world } from './browser.mjs';

const PATH = '/api/agents/bot/policies';
const { json: { items: [{ source: POLICY }] } } = await api(PATH);

/** What `countersign policy sign` writes for a text. */
function sign(text, sequence) {
  const file = join(world.folder, 'draft.yaml');
  writeFileSync(file, text);
  execFileSync(world.bin, ['policy', 'sign', '--key', 'policy-key.pem', '--app', 'default', '--for', 'agent bot', '--sequence', String(sequence), 'draft.yaml'], { cwd: world.folder });
  return readFileSync(`${file}.sig`, 'utf8');
}

await pay(50);
await park(150);
const page = await person({ expected: [403, 409] });
await signIn(page, 'alice', '/policies/bot/edit');
const area = page.getByLabel('Text of the policy', { exact: true });
const field = page.getByLabel(/^Signature of exactly this text/);
const dialog = page.getByRole('dialog');
const propose = () => page.getByRole('button', { name: 'Propose' }).click();

// a proposal: without, with nonsense, with that of another text, with its own
const narrow = POLICY.replace('max: 500,  code: per_tx', 'max: 400,  code: per_tx');
await area.fill(narrow);
await page.getByText('It loads. It can only narrow').waitFor();
await field.waitFor();
await propose();
await page.getByText('Keys are pinned: the text must be signed').waitFor();
await field.fill('nonsense');
await propose();
await page.getByText('The signature is not what `countersign policy sign` writes.').waitFor();
await field.fill(sign(POLICY, 9));
await propose();
await page.getByText('Nothing was recorded.').waitFor();
equal((await api(PATH)).json.items.length, 1, 'nothing was proposed so far');
await accessible(page, 'editor-signature');
await field.fill(sign(narrow, 10));
await picture(page, 'policy-signature-light');
await propose();
await page.getByRole('heading', { name: 'Version 2' }).waitFor();
await page.getByRole('button', { name: /^Activate/ }).click();
await dialog.getByRole('button', { name: 'Activate' }).click();
await page.getByRole('region', { name: 'Version 2', exact: true }).getByText('in force', { exact: true }).waitFor();

// back to the text of before: it is signed again, with a newer number
await visit(page, '/policies/bot/1');
await page.getByRole('heading', { name: 'Version 1' }).waitFor();
await page.getByRole('button', { name: /^Roll back/ }).click();
await field.waitFor();
const again = () => dialog.getByRole('button', { name: 'Propose it again' }).click();
await again();
await dialog.getByText('Keys are pinned: the text must be signed').waitFor();
await field.fill(sign(POLICY, 5));
await again();
await dialog.getByText('sign the text again. Nothing was recorded.').waitFor();
await field.fill(sign(narrow, 20));
await again();
await dialog.getByText(/signature.*Nothing was recorded/i).waitFor();
await accessible(page, 'roll-back');
await picture(page, 'policy-roll-back-light');
await field.fill(sign(POLICY, 20));
const [sent] = await Promise.all([page.waitForRequest((request) => request.url().endsWith('/rollback')), again()]);
equal(sent.postDataJSON().signed.sequence, 20, 'what is sent');
await page.getByRole('heading', { name: 'Version 3' }).waitFor();
const { json: third } = await api(`${PATH}/3`);
equal([third.source, third.from], [POLICY, { is: 'rollback', of: 1 }], 'what is proposed');

// what would newly allow more than the configuration lets anybody ask for
const loose = narrow.replace('max: 100,  code: amount_above', 'max: 200,  code: amount_above');
holds(loose !== narrow, 'the limit is written otherwise now');
await visit(page, '/policies/bot/edit');
await area.fill(loose);
await page.getByText(/It may allow more|newly allow/).first().waitFor();
await field.fill(sign(loose, 30));
await propose();
await page.getByRole('heading', { name: 'Version 4' }).waitFor();
await page.getByRole('button', { name: /^Ask for it/ }).click();
await dialog.getByRole('button', { name: 'Ask' }).click();
await dialog.getByText('Its back-test newly allows more than the configuration lets anybody ask for: it stays a draft.').waitFor();
holds(await dialog.getByRole('button', { name: 'Ask' }).isDisabled(), 'it cannot be asked for again');
await picture(page, 'policy-allows-too-much-light');
equal((await api(`${PATH}/4`)).json.state, 'draft', 'it stays a draft');
await end();
