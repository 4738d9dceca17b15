// What an agent writes is text: no script runs, nothing is turned or hidden, and it takes no more room than its own.

import { end, equal, fits, holds, park, person, PHONE, picture, settled, signIn, visit } from './browser.mjs';

const script = '<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1"><svg onload="window.pwned = 1"><iframe srcdoc="<script>parent.pwned = 1</script>">';
const turned = 'pay \u202Ereversed\u202C to \u2066isolated\u2069 zero\u200Bwidth nul\u0001 \u{E0041}tag';
const long = 'W'.repeat(16 * 1024);
const many = '\u202E'.repeat(5000);
const link = 'javascript:window.pwned=1 https://evil.example/ [click](javascript:1)';

const [page, phone] = [await person(), await person({ viewport: PHONE, touch: true })];
await signIn(page, 'alice', '/inbox');
await signIn(phone, 'bob', '/inbox');
await page.evaluate(() => document.addEventListener('click', () => {}, true));

let usd = 220;
for (const [name, reason] of Object.entries({ script, turned, long, many, link })) {
  usd += 1;
  const operation = await park(usd, { reason, session: name === 'long' ? 'S'.repeat(200) : `s ${script.slice(0, 60)} \u202Ex` });
  for (const one of [page, phone]) {
    await visit(one, `/inbox/${operation}`);
    await settled(one);
    const text = one.getByRole('region', { name: 'Reasoning, said by the agent' });
    await text.waitFor();
    await fits(one, `the entry with ${name}`);
    const box = await text.boundingBox();
    holds(box.height <= 200, `${name} is ${box.height} high`);
    holds(await one.getByText('Said by the agent').first().isVisible(), `${name} is marked`);
    holds(await one.getByRole('button', { name: /^Approve/ }).isVisible(), `${name} hides the buttons`);
    const parts = await one.evaluate(() => document.querySelectorAll('main script, main img, main iframe, main [onerror], main [onload], main [style]').length);
    equal(parts, 0, `elements that ${name} made`);
  }
  const shown = await page.getByRole('region', { name: 'Reasoning, said by the agent' }).textContent();
  if (name === 'script') equal(shown, script, 'markup is text');
  if (name === 'long') equal(shown, long, 'all of it is there');
  if (name === 'link') equal(await page.locator('.untrusted a').count(), 0, 'nothing of it is a link');
  if (name === 'turned') {
    holds(!/[\u0001\u200B\u202E\u2066\u{E0041}]/u.test(shown), 'no character turns or hides text');
    for (const sign of ['U+202E', 'U+202C', 'U+2066', 'U+2069', 'U+200B', 'U+0001', 'U+E0041']) holds(shown.includes(sign), `${sign} is visible`);
    await picture(page, 'hostile-light');
  }
  await visit(page, `/traces?session=${encodeURIComponent(`s ${script.slice(0, 60)} \u202Ex`)}`);
  await settled(page);
  await fits(page, `the traces with ${name}`);
}
await visit(page, `/find/${encodeURIComponent(script)}`);
await settled(page);
await page.getByText('Nothing has this name').waitFor();
await page.getByLabel('Find a transaction').fill('../session?x=1#y');
await page.keyboard.press('Enter');
await page.getByText('../session?x=1#y').first().waitFor();
for (const one of [page, phone]) equal(await one.evaluate(() => window.pwned), undefined, 'a script of the agent’s');
await end();
