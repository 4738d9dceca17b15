// Policies are changed: in the editor with its diagnostics, at once, by two people, refused, and rolled back. The first
// argument says how: `way`, `keys`, `light`, `dark` or `phone`.

import { accessible, api, end, equal, fits, holds, pay, person, PHONE, picture, settled, signIn, until, visit, world } from './browser.mjs';

const PATH = '/api/agents/bot/policies';
const { json: { items: [{ source: POLICY }] } } = await api(PATH);

/** The policy of the world, with another cap per transaction: of 500 USD it is. */
const cap = (usd) => POLICY.replace('max: 500,  code: per_tx', `max: ${usd},  code: per_tx`);
const propose = async (text, more) => (await api(PATH, { method: 'POST', body: { text, ...more } })).json;
const say = (number, verb, body = {}, operator = 'alice') => api(`${PATH}/${number}/${verb}`, { method: 'POST', body, operator });
const version = async (number) => (await api(`${PATH}/${number}`)).json;
const inForce = async () => (await api(PATH)).json.items[0];
const area = (page) => page.getByLabel('Text of the policy', { exact: true });
const dialog = (page) => page.getByRole('dialog');
const selected = (page) => area(page).evaluate((text) => text.value.slice(text.selectionStart, text.selectionEnd));

/** Writes into the editor, proposes, and is on the version's page. */
async function write(page, text, { note, expect }) {
  await area(page).fill(text);
  await page.getByText(expect).first().waitFor();
  if (note) await page.getByLabel('Why (kept in its history)').fill(note);
  await page.getByRole('button', { name: 'Propose' }).click();
  await page.getByRole('heading', { name: /^Version \d+$/ }).waitFor();
}

/** What is pasted is judged by the text and by what is in force; what somebody else wrote in it stays text. */
async function theExplanation(page) {
  const ask = async (request, expect) => {
    await page.getByLabel('A call, typed data or a JSON-RPC request, as JSON').fill(request);
    await page.getByRole('button', { name: 'Explain', exact: true }).click();
    await page.locator('#explain-status').getByText(expect).waitFor();
  };
  const both = page.getByRole('region', { name: 'Both judgements' });
  await ask('{', '`request`');
  equal(await both.count(), 0, 'nothing is shown of what is no request');
  await ask(JSON.stringify({ to: world.payee, value: '0xd529ae9e860000' }), 'The text denies it; the version in force allows it.');
  await both.getByRole('region', { name: 'The text in the editor' }).getByText('per_tx_limit_exceeded').first().waitFor();
  equal(await both.getByText('allow', { exact: true }).count() > 0, true, 'and the version in force');
  const sign = (text) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'personal_sign', params: [text, world.agent.wallet] });
  await ask(sign('<img src=x onerror=alert(1)>'), 'the version in force says the same');
  await both.getByText('<img src=x onerror=alert(1)>').first().waitFor();
  await ask(sign('\u202Eevil'), 'the version in force says the same');
  await both.getByText('a text with characters that change the direction of reading').first().waitFor();
  // a decision of the back-test, and one that is picked
  await page.getByRole('button', { name: /^Explain decision 0x/ }).click();
  await both.getByText('It was decided then:').waitFor();
  await page.locator('#explain-status').getByText('The text denies it; the version in force allows it.').waitFor();
  await page.getByLabel('Or a recorded decision').selectOption({ index: 1 });
  await page.getByRole('button', { name: 'Explain the decision' }).click();
  await page.locator('#explain-status').getByText('the version in force says the same').waitFor();
  equal((await api('/operations')).json.items.length, 2, 'nothing was asked for');
}

async function theWay() {
  await pay(50);
  await pay(60);
  const [alice, bob] = [await person({ expected: [400, 409] }), await person({ expected: [409] })];
  await signIn(alice, 'alice', '/policies/bot');
  await signIn(bob, 'bob', '/policies/bot');
  await bob.getByText('live', { exact: true }).waitFor();
  await bob.evaluate(() => { window.notReloaded = true; });
  await bob.getByRole('heading', { name: 'How it does' }).waitFor();
  await bob.getByRole('table', { name: 'How the agent did under each policy' }).getByText('100.00 %').first().waitFor();

  // what is wrong is told while it is typed, and leads to its line
  await alice.getByRole('button', { name: 'Edit' }).click();
  equal(await area(alice).inputValue(), POLICY, 'the editor begins with the version in force');
  await alice.getByText('It says what the version in force says.').waitFor();
  const broken = cap(55).replace('limits:', 'limitz:');
  await area(alice).fill(broken);
  await alice.getByText(/There (is a problem|are \d+ problems)\./).waitFor();
  const line = broken.split('\n').indexOf('limitz:') + 1;
  await alice.getByRole('button', { name: `Line ${line}, column 1` }).click();
  equal(await selected(alice), 'limitz:', 'where it leads');
  equal(await area(alice).getAttribute('aria-invalid'), 'true', 'and it is said');
  equal(await alice.locator('.pad-wrong').textContent(), String(line), 'the line is marked');
  await picture(alice, 'policy-diagnostic-light');
  // what cannot be proposed is not: nobody is asked for it
  await alice.getByRole('button', { name: 'Propose' }).click();
  await alice.getByText('It is no policy yet: see what is wrong.').waitFor();
  equal(await selected(alice), 'limitz:', 'the cursor is where it is wrong');

  // leaving loses nothing
  await visit(alice, '/overview');
  await alice.getByRole('heading', { name: 'Overview' }).waitFor();
  await visit(alice, '/policies/bot/edit');
  await alice.getByText('unfinished, as you left it').waitFor();
  equal(await area(alice).inputValue(), broken, 'what was typed');

  // a tightening: the back-test comes by itself, and it is in force at once
  await area(alice).fill(cap(55));
  await alice.getByText('It loads. It can only narrow').waitFor();
  await alice.getByText('Of 2 decisions of the last 7 d it would newly deny 1.').waitFor();
  await alice.getByLabel('Why (kept in its history)').fill('<b>too much</b> \u202Eevil');
  await alice.getByRole('table', { name: 'Evaluators, against the version in force' }).getByText('50.00 %').first().waitFor();
  await theExplanation(alice);
  await picture(alice, 'policy-editor-light');
  await alice.getByRole('button', { name: 'Propose' }).click();
  await alice.getByRole('heading', { name: 'Version 2' }).waitFor();
  await alice.getByText('<b>too much</b>').first().waitFor();
  await alice.getByText('U+202E').first().waitFor();
  await alice.getByText('Of 2 decisions of the last 7 d it would newly deny 1.').waitFor();
  await alice.locator('ins', { hasText: 'max: 55' }).waitFor();
  await bob.getByRole('link', { name: 'version 2' }).waitFor();
  await bob.getByText('would newly deny 1 of 2').waitFor();
  await alice.getByRole('button', { name: /^Activate/ }).click();
  await dialog(alice).getByRole('button', { name: 'Activate' }).click();
  await alice.getByText('Version 2 is in force').first().waitFor({ state: 'attached' });
  await alice.getByText('in force', { exact: true }).first().waitFor();
  const denied = await pay(60);
  equal([denied.error?.code, denied.error?.data?.code], [4001, 'per_tx_limit_exceeded'], 'the agent’s next payment');
  await bob.getByText('operators', { exact: true }).waitFor();
  await bob.getByRole('table', { name: 'Versions that are not in force' }).getByRole('link', { name: 'version 1' }).waitFor();
  // an example of the back-test leads to its decision
  await alice.getByRole('table', { name: 'Decisions that would end otherwise' }).getByRole('link').click();
  await alice.getByRole('heading', { name: /Trace/ }).waitFor();

  // a loosening: others are asked, and then it waits for its time
  await visit(alice, '/policies/bot/edit?from=1');
  await write(alice, cap(450), { note: 'back to work', expect: 'It would wait for 1 yes, then 1s.' });
  await alice.getByText('You proposed it: somebody else must say yes.').waitFor();
  equal(await alice.getByRole('button', { name: /^(Approve|Activate)/ }).count(), 0, 'what is not offered');
  await bob.getByText('0 of 1 yes').waitFor();
  await picture(bob, 'policies-waiting-light');
  await bob.getByRole('link', { name: 'version 3' }).click();
  await bob.getByText('1 missing').waitFor();
  await bob.getByRole('button', { name: /^Approve/ }).click();
  const { digest } = await version(3);
  equal(await bob.locator('#ask-digest').textContent(), digest, 'the digest that is shown');
  const [sent] = await Promise.all([
    bob.waitForRequest((request) => request.url().endsWith('/approve')),
    dialog(bob).getByRole('button', { name: 'Approve' }).click(),
  ]);
  equal(sent.postDataJSON(), { digest }, 'what is sent');
  for (const page of [alice, bob]) await page.getByRole('region', { name: 'Version 3', exact: true }).getByText('in force', { exact: true }).waitFor();
  equal((await inForce()).version, 3, 'what is in force');
  const allowed = await pay(60);
  holds(allowed.result, `what was loosened: ${JSON.stringify(allowed)}`);
  await picture(alice, 'policy-version-light');

  // a no, with its reason
  const { version: refused } = await propose(cap(490));
  await visit(alice, `/policies/bot/${refused}`);
  await visit(bob, `/policies/bot/${refused}`);
  await bob.getByRole('button', { name: /^Reject/ }).click();
  await dialog(bob).getByLabel('Reason (kept in its history)').fill('not this month');
  await dialog(bob).getByRole('button', { name: 'Reject' }).click();
  await alice.getByText('not this month').waitFor();
  await alice.getByText('rejected', { exact: true }).first().waitFor();
  equal((await version(refused)).state, 'rejected', 'where it stands');

  // its ground moves while somebody is asked: they are told before they press
  const { version: moved } = await propose(cap(480));
  await visit(bob, `/policies/bot/${moved}`);
  await bob.getByRole('button', { name: /^Approve/ }).click();
  const { version: beneath } = await propose(cap(440));
  equal((await say(beneath, 'activate')).status, 200, 'another comes into force');
  await until('it to be compared anew', async () => {
    // anybody’s word makes the gateway compare it anew
    await say(moved, 'activate');
    return (await version(moved)).base === (await inForce()).id;
  });
  await dialog(bob).getByText('Meanwhile another version came into force').waitFor();
  holds(await dialog(bob).getByRole('button', { name: 'Approve' }).isDisabled(), 'and cannot press');
  await dialog(bob).getByRole('button', { name: 'Close' }).click();

  // whoever proposed it takes it back
  await visit(alice, `/policies/bot/${moved}`);
  await alice.getByRole('button', { name: /^Withdraw/ }).click();
  await dialog(alice).getByRole('button', { name: 'Withdraw' }).click();
  await bob.getByText('withdrawn', { exact: true }).first().waitFor();

  // back to what was: judged like any other, and in force
  await visit(bob, '/policies/bot/2');
  await bob.getByRole('button', { name: /^Roll back to it/ }).click();
  await dialog(bob).getByRole('button', { name: 'Propose it again' }).click();
  await bob.getByText('back to version 2').first().waitFor();
  await bob.getByRole('button', { name: /^Activate/ }).click();
  await dialog(bob).getByRole('button', { name: 'Activate' }).click();
  await bob.getByText('in force', { exact: true }).first().waitFor();
  equal((await pay(60)).error?.data?.code, 'per_tx_limit_exceeded', 'as it was under version 2');
  holds(await bob.evaluate(() => window.notReloaded), 'all of it without loading the page again');

  // a shadow tells what it would have said
  const { version: shadow } = await propose(cap(20), { shadow: true });
  await pay(30);
  await visit(alice, `/policies/bot/${shadow}`);
  await alice.getByText('Of 1 decision since it was proposed it would newly deny 1.').waitFor();

  // the grant itself is over when it is revoked
  await visit(alice, '/policies/bot');
  await alice.getByRole('button', { name: 'Revoke the grant' }).click();
  await dialog(alice).getByLabel('Reason (kept in the books)').fill('the project ends');
  await dialog(alice).getByRole('button', { name: 'Revoke' }).click();
  await alice.getByText('not in force', { exact: true }).waitFor();
  await alice.getByText('the project ends').waitFor();
  equal((await pay(5)).error?.data?.code, 'grant_revoked', 'what is over');

  // who may only look is offered nothing
  const vera = await person();
  await signIn(vera, 'vera', '/policies/bot');
  await vera.getByText('policy: bot').waitFor();
  equal(await vera.getByRole('button', { name: 'Edit' }).count(), 0, 'no editor');
  await visit(vera, `/policies/bot/${shadow}`);
  await vera.getByText('your roles do not include `policy`').waitFor();
  equal(await vera.getByRole('button', { name: /^(Activate|Reject|Edit)/ }).count(), 0, 'no word');
  await visit(vera, '/policies/bot/edit');
  await vera.getByText('Your roles do not include `policy`').waitFor();
}

async function withKeys() {
  const page = await person();
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const focused = () => page.evaluate(() => document.activeElement?.name || document.activeElement?.textContent?.trim() || '');
  const tabTo = async (name) => {
    for (let n = 0; n < 60; n += 1) {
      if ((await focused()).startsWith(name)) return;
      await press('Tab');
    }
    throw new Error(`${name} cannot be reached: ${await focused()}`);
  };
  await page.goto(world.admin);
  await page.getByLabel('Operator’s token').waitFor();
  await page.keyboard.type(world.tokens.alice);
  await press('Enter');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await press('g', 'y');
  await page.getByRole('button', { name: 'Edit' }).waitFor();
  await press('e');
  await page.getByText('It loads.').waitFor();
  await tabTo('text');
  await press('Control+a');
  await page.keyboard.insertText(cap(55).replace('rules:', 'rulez:'));
  await page.getByRole('button', { name: /^Line \d+, column 1/ }).first().waitFor();
  // the pad does not hold the focus; the problem is reached, and leads back
  await press('Tab');
  equal(await focused(), 'note', 'the field behind the text');
  await tabTo('Line');
  await press('Enter');
  equal(await selected(page), 'rulez:', 'where it leads');
  await press('Home', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'Delete');
  await page.keyboard.type('s');
  await page.getByText('It loads. It can only narrow').waitFor();
  await tabTo('request');
  await page.keyboard.insertText(JSON.stringify({ to: world.payee, value: '0xd529ae9e860000' }));
  await tabTo('Explain');
  await press('Enter');
  await page.getByText('The text denies it; the version in force allows it.').waitFor();
  await area(page).focus();
  await tabTo('note');
  await page.keyboard.type('by the keyboard, a r e');
  await tabTo('Propose');
  await press('Enter');
  await page.getByRole('heading', { name: 'Version 2' }).waitFor();
  await page.getByText('by the keyboard, a r e').first().waitFor();
  await press('a');
  await page.getByRole('dialog', { name: 'Put version 2 in force?' }).waitFor();
  await page.keyboard.type('now');
  await press('Enter');
  await until('it to be in force', async () => (await inForce()).version === 2);
  await page.getByText('“now”').waitFor();
  const { version: other } = await propose(cap(60));
  await visit(page, `/policies/bot/${other}`);
  await page.getByRole('button', { name: /^Reject/ }).waitFor();
  await press('r');
  await page.keyboard.type('no');
  await press('Enter');
  await until('the no', async () => (await version(other)).state === 'rejected');
  await page.getByRole('button', { name: /^Roll back/ }).waitFor();
  await press('b');
  await page.getByRole('dialog', { name: `Roll back to version ${other}?` }).waitFor();
  await press('Escape');
  await press('e');
  await page.getByText('It loads. It may allow more').waitFor();
  equal(await area(page).inputValue(), cap(60), 'the version that is edited');
}

/** What there is to be seen: a version in force that operators made, one that waits, a shadow, one that was refused. */
async function fill() {
  for (const usd of [20, 50, 80, 75.5]) await pay(usd);
  await pay(1, { to: '0x9999999999999999999999999999999999999999' });
  const { version: tight } = await propose(cap(60), { note: 'the quarter ends' });
  await say(tight, 'activate', { note: 'agreed in the meeting' });
  const { version: loose } = await propose(`${cap(450)}tests:\n  - { name: a stranger is refused, given: { kind: transfer, to: "0x9999999999999999999999999999999999999999", usd: 1 }, expect: { deny: no_rule_allows } }\n`, { note: 'the new supplier asks for more' });
  const { version: shadow } = await propose(cap(30), { shadow: true });
  const { version: no } = await propose(cap(490));
  await say(no, 'reject', { reason: 'not before the audit' }, 'bob');
  await pay(55);
  return { loose, shadow };
}

async function look(page, name, theme) {
  await settled(page);
  if (theme === 'phone') await fits(page, name);
  await accessible(page, `${name} ${theme}`);
  await picture(page, `${name}-${theme}`);
}

async function everyPage(theme) {
  const { loose, shadow } = await fill();
  const onPhone = theme === 'phone';
  const page = await person({ expected: [404], ...(onPhone ? { viewport: PHONE, theme: 'light', touch: true } : { theme }) });
  await signIn(page, 'bob', '/policies/bot');
  await page.getByRole('table', { name: 'How the agent did under each policy' }).waitFor();
  await look(page, 'policies-many', theme);
  await page.getByRole('table', { name: 'How all agents did' }).getByText('All', { exact: true }).waitFor();
  await visit(page, '/policies/bot/1');
  await page.getByRole('table', { name: 'How the agent did under this version' }).waitFor();
  await look(page, 'policy-superseded', theme);
  await visit(page, `/policies/bot/${loose}`);
  await page.getByText('1 missing').waitFor();
  await look(page, 'policy-waiting', theme);
  await page.getByRole('button', { name: /^Approve/ }).click();
  await look(page, 'policy-approve', theme);
  await page.keyboard.press('Escape');
  await visit(page, `/policies/bot/${shadow}`);
  await page.getByText('since it was proposed it').waitFor();
  await look(page, 'policy-shadow', theme);
  await visit(page, '/policies/bot/edit');
  await page.getByText('It loads.').waitFor();
  await area(page).fill(cap(450).replace('then: allow', 'then: allows').replace('kind: grant', 'kind: grant # \u202Etnarg'));
  await page.getByRole('button', { name: /^Line \d+/ }).first().waitFor();
  await look(page, 'policy-problems', theme);
  await area(page).fill(cap(450));
  await page.getByText('It would wait for 1 yes, then 1s.').waitFor();
  await page.getByText(/Of \d+ decisions/).waitFor();
  await page.getByLabel('A call, typed data or a JSON-RPC request, as JSON').fill(JSON.stringify({ to: world.payee, value: '0x16345785d8a0000' }));
  await page.getByRole('button', { name: 'Explain', exact: true }).click();
  await page.getByRole('region', { name: 'Both judgements' }).waitFor();
  await look(page, 'policy-editor', theme);
  await visit(page, '/policies/bot/99');
  await page.getByText('There is nothing here under this name').first().waitFor();
  if (!onPhone) return;
  // and a thumb narrows it
  await visit(page, '/policies/bot/edit');
  await write(page, cap(40), { expect: 'It can only narrow' });
  await page.getByRole('button', { name: /^Activate/ }).tap();
  await dialog(page).getByRole('button', { name: 'Activate' }).tap();
  await page.getByText('in force', { exact: true }).first().waitFor();
  equal((await pay(50)).error?.data?.code, 'per_tx_limit_exceeded', 'what a thumb narrowed');
}

const [, , how] = process.argv;
if (how === 'way') await theWay();
else if (how === 'keys') await withKeys();
else await everyPage(how);
await end();
