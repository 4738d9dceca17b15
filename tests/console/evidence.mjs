// A document of evidence is verified in the page: the whole one, and each that somebody tampered with.

import { accessible, api, end, equal, fits, holds, park, pay, person, PHONE, picture, settled, signIn, until, visit, world } from './browser.mjs';

await pay(10);
await pay(100_000);
const waiting = await park(150, { session: 'invoices', reason: '<b>due</b> \u202Eevil' });
const { json: { digest } } = await api(`/pending-operations/${waiting}`);
await api(`/pending-operations/${waiting}/approve`, { operator: 'bob', method: 'POST', body: { digest } });
await until('it to be settled', async () => (await api(`/operations/${waiting}`)).json.state === 'EXECUTED');

async function exported(query = '') {
  const answer = await fetch(`${world.admin}/evidence?format=json${query}`, { headers: { authorization: `Bearer ${world.tokens.alice}` } });
  return answer.text();
}

// the running digest is SHA-256, as the browser's own says, however it is cut
const page = await person();
await signIn(page, 'vera', '/evidence');
const differs = await page.evaluate(async () => {
  const { Sha256, hexOf } = await import('/console/sha256.js');
  for (let size = 0; size < 300; size += 1) {
    const bytes = crypto.getRandomValues(new Uint8Array(size));
    const own = new Sha256();
    for (let at = 0; at < size; at += 1 + (size % 67)) own.update(bytes.subarray(at, at + 1 + (size % 67)));
    if (hexOf(own.digest()) !== hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))) return size;
  }
  return null;
});
equal(differs, null, 'the length at which the digests differ');

const whole = await exported();
const file = page.getByLabel('Document (or drop it here)');
const told = page.locator('.evidence-told');
let name = 0;
async function says(text, words) {
  name += 1;
  await file.setInputFiles({ name: `document-${name}.json`, mimeType: 'application/json', buffer: Buffer.from(text) });
  await told.getByText(`document-${name}.json`).and(told.getByText(words)).or(told.getByText(new RegExp(`document-${name}\\.json.*(${words.source})`, 's'))).first().waitFor();
}
const GOOD = /whole and unchanged/;
const BAD = /proves nothing/;
const asked = [];
page.on('request', (request) => { if (request.method() !== 'GET') asked.push(request.url()); });

await says(whole, GOOD);
for (const part of ['3 decisions', '1 policy', 'everything', 'in the ledger’s log']) await told.getByText(part).first().waitFor();
await accessible(page, 'evidence-verified');
await picture(page, 'evidence-verified-light');
const head = await told.locator('button.hex').first().getAttribute('data-full');
holds(/^\S+:\d+:0x[0-9a-f]{64}$/.test(head), head);

// dropped instead of chosen
await page.evaluate((text) => {
  const carried = new DataTransfer();
  carried.items.add(new File([text], 'dropped.json', { type: 'application/json' }));
  document.querySelector('.evidence-drop').dispatchEvent(new DragEvent('drop', { dataTransfer: carried, bubbles: true, cancelable: true }));
}, whole);
await told.getByText('dropped.json').waitFor();
await told.getByText(GOOD).waitFor();

// each line in turn: changed, taken out, and in the place of the next
const lines = whole.split('\n');
const entries = lines.map((line, at) => [line, at]).filter(([line]) => line.includes('"about"'));
holds(entries.length > 5, `one entry a line: ${entries.length} of ${lines.length}`);
for (const [line, at] of entries) {
  const middle = Math.floor(line.length / 2);
  const flipped = line.slice(0, middle) + (line[middle] === '7' ? '8' : '7') + line.slice(middle + 1);
  await says(lines.with(at, flipped).join('\n'), BAD);
  await says(lines.toSpliced(at, 1).join('\n'), BAD);
  if (at + 1 < lines.length) await says(lines.with(at, lines[at + 1]).with(at + 1, line).join('\n'), BAD);
}
await says(whole.replace('"kind":"decision"', '"kind":"Decision"'), /entry \d+: does not follow from the entries before it/);
await picture(page, 'evidence-broken-light');
await says(whole.slice(0, whole.length / 2), BAD);
await says(`${whole}{}`, /something follows its end/);
await says('{}', BAD);
await says('', BAD);
await says(whole.replace('countersign-evidence/1', '\u202Ecountersign'), BAD);

// an end that was cut off and closed again, against a head that was kept
const heads = page.getByLabel('Heads that you noted before, one a line (optional)');
await heads.fill(head);
await says(whole, GOOD);
await told.getByText('1 head you gave').waitFor();
await heads.fill(head.replace(/0x[0-9a-f]{2}/, '0x00'));
await says(whole, /another entry is anchored in its place/);
await heads.fill(head.replace(/:(\d+):/, ':4711:'));
await says(whole, /ends before its anchored entry 4711/);
await heads.fill('nonsense');
await says(whole, /is no head/);
await heads.fill('');

// a part of it, for somebody else
await says(await exported('&agent=other'), GOOD);
await told.getByText(/which nobody asked for/).waitFor();
equal(asked, [], 'what was sent anywhere meanwhile');

// what the gateway has, without saving it
await page.getByRole('button', { name: 'Verify without saving' }).click();
await told.getByText('What this gateway has').and(told.getByText(GOOD)).or(told.getByText(/What this gateway has.*whole and unchanged/s)).first().waitFor();
await settled(page);

const phone = await person({ viewport: PHONE, touch: true, theme: 'dark' });
await signIn(phone, 'vera', '/evidence');
await phone.getByLabel('Document (or drop it here)').setInputFiles({ name: 'whole.json', mimeType: 'application/json', buffer: Buffer.from(whole) });
await phone.locator('.evidence-told').getByText(GOOD).waitFor();
await fits(phone, 'evidence');
await accessible(phone, 'evidence-phone');
await picture(phone, 'evidence-phone-dark');
await visit(phone, '/overview');
await end();
