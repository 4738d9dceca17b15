// Everything with the keyboard alone, and what it does is told.

import { end, equal, holds, park, person, state, until, world } from './browser.mjs';

const page = await person();
const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim().slice(0, 60) ?? '');
const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
const [one, two] = [await park(210), await park(211)];

await page.goto(world.admin);
await page.getByLabel('Operator’s token').waitFor();
await page.keyboard.type(world.tokens.alice);
await press('Enter');
await page.getByRole('heading', { name: 'Overview' }).waitFor();

// the first stop leads past the navigation
await press('Tab');
equal(await focused(), 'Skip to the content', 'the first stop');

await press('g', 'i');
await page.getByRole('heading', { name: 'Approval inbox' }).waitFor();
await page.getByRole('link', { name: /bot.*211/ }).waitFor();
await page.getByRole('heading', { name: /0.211/ }).waitFor();
await press('j');
await page.getByRole('heading', { name: /0.21 / }).waitFor();
await press('k');
await page.getByRole('heading', { name: /0.211/ }).waitFor();

// help opens, says what the keys do, and gives the focus back
await press('?');
await page.getByRole('dialog', { name: 'Keyboard' }).getByText('approve', { exact: true }).waitFor();
await press('a');
equal(await page.getByRole('dialog').count(), 1, 'no key acts behind a dialog');
await press('Escape');
await page.getByRole('dialog').waitFor({ state: 'detached' });

// a yes
await press('a');
await page.getByRole('dialog', { name: 'Approve this operation?' }).waitFor();
await page.keyboard.type('by the keyboard, a r j k');
await press('Enter');
await until('the yes', async () => (await state(two)) === 'EXECUTED');

// a no; Escape before it changes nothing
await page.getByRole('heading', { name: /0.21 / }).waitFor();
await press('r');
await page.getByRole('dialog', { name: 'Reject this operation?' }).waitFor();
await press('Escape');
await page.getByRole('dialog').waitFor({ state: 'detached' });
equal(await state(one), 'PARKED', 'Escape says nothing');
await press('r');
await page.keyboard.type('no');
await press('Enter');
await until('the no', async () => (await state(one)) === 'REJECTED');
await page.getByRole('status').filter({ hasText: 'Rejected' }).waitFor({ state: 'attached' });

// a search from anywhere
await press('/');
equal(await page.evaluate(() => document.activeElement.id), 'search', 'the search field');
await page.keyboard.type(two);
await press('Enter');
await page.getByText('by the keyboard, a r j k').waitFor();

// every control can be reached, and is seen when it is
await press('g', 't');
await page.getByRole('heading', { name: 'Traces' }).waitFor();
await page.getByRole('table').waitFor();
const stops = new Set();
for (let n = 0; n < 60; n += 1) {
  await press('Tab');
  const stop = await page.evaluate(() => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const drawn = outlineStyle !== 'none' || element.type === 'radio';
    return { name: `${element.tagName} ${element.getAttribute('href') ?? element.getAttribute('name') ?? element.textContent.slice(0, 20)}`, isSeen: element === document.body || (drawn && outlineWidth !== '0px') };
  });
  holds(stop.isSeen, `the focus cannot be seen on ${stop.name}`);
  stops.add(stop.name);
}
for (const stop of ['A #/inbox', 'SELECT status', 'INPUT session', 'INPUT from']) holds([...stops].some((name) => name.startsWith(stop)), `${stop} cannot be reached: ${[...stops].join(', ')}`);

// one-key commands can be turned off; in a field a key is a letter
while (await page.evaluate(() => document.activeElement.matches('input, select'))) await press('Tab');
await press('?');
await page.getByLabel('One-key commands are on').focus();
await press('Space', 'Escape', 'g', 'i');
await page.getByRole('heading', { name: 'Traces' }).waitFor();
equal(await page.evaluate(() => location.hash), '#/traces', 'keys that are off');
await end();
