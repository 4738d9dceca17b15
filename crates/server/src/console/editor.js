// A new version of a policy: its text, and what it would be and do while it is being typed.

import { get, post, Problem } from './api.js';
import { announce } from './dialogs.js';
import { freshId, h, replace } from './dom.js';
import { Explainer } from './explain.js';
import { here } from './keyboard.js';
import { go, path } from './router.js';
import { hidingLines, said } from './untrusted.js';
import { backTest, changes, CLASS, falls, gateWords, signature, tests } from './version_parts.js';
import { explain, route } from './version.js';
import { button, card, chip, failure, field, heading, link, nothing, skeleton } from './widgets.js';

const TYPING_MS = 350;
const RESTING_MS = 900;
const PROBLEMS_MAX = 50;
const NUMBERED_MAX = 5000;

/** What was typed and not proposed yet, by operator and agent: leaving the page, or a session's end, loses nothing. */
const unfinished = new Map();

/** The text with its numbers. */
class Pad {
  constructor(text, typed) {
    this.numbers = h('pre', { class: 'pad-numbers', 'aria-hidden': 'true' });
    this.area = h('textarea', {
      class: 'pad-text', id: 'policy-text', name: 'text', wrap: 'off', spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off',
      'aria-describedby': 'policy-check', rows: 24, value: text,
      on: {
        input: () => { this.number(); typed(); },
        scroll: () => { this.numbers.scrollTop = this.area.scrollTop; },
      },
    });
    this.wrong = new Set();
    this.element = h('div', { class: 'pad-both' }, this.numbers, this.area);
    this.number();
  }

  get text() {
    return this.area.value;
  }

  put(text) {
    this.area.value = text;
    this.number();
  }

  /** Lines that something is wrong with. */
  mark(lines) {
    this.wrong = new Set(lines);
    this.area.setAttribute('aria-invalid', String(lines.length > 0));
    this.number();
  }

  number() {
    const count = Math.min(this.area.value.split('\n').length, NUMBERED_MAX);
    const key = `${count} ${[...this.wrong].join()}`;
    if (key === this.numbered) return;
    this.numbered = key;
    const parts = [];
    let plain = '';
    for (let line = 1; line <= count; line += 1) {
      if (this.wrong.has(line)) {
        parts.push(plain, h('span', { class: 'pad-wrong' }, line), '\n');
        plain = '';
      } else {
        plain += `${line}\n`;
      }
    }
    replace(this.numbers, parts, plain);
    this.numbers.scrollTop = this.area.scrollTop;
  }

  /** Puts the cursor there, and the line in sight. */
  lead(line, column) {
    const lines = this.area.value.split('\n');
    const at = Math.min(Math.max(line, 1), lines.length) - 1;
    const start = lines.slice(0, at).reduce((sum, text) => sum + text.length + 1, 0);
    const from = start + Math.min(Math.max(column - 1, 0), lines[at].length);
    this.area.focus();
    this.area.setSelectionRange(from, start + lines[at].length);
    const height = Number.parseFloat(getComputedStyle(this.area).lineHeight) || 20;
    this.area.scrollTop = Math.max(0, (at - 4) * height);
    this.area.scrollLeft = 0;
  }
}

class Editor {
  constructor(main, { agent, session, begun }) {
    Object.assign(this, { agent, begun, found: null, checkedText: null, isThorough: false });
    this.kept = `${session.operator} ${agent}`;
    const before = unfinished.get(this.kept);
    this.pad = new Pad(before?.text ?? begun.text, () => this.typed());
    this.status = h('p', { id: 'policy-check', class: 'pad-status', role: 'status' });
    this.panel = h('div', { class: 'column' });
    this.alert = h('div', { class: 'form-alert-place', role: 'alert' });
    this.note = h('input', { name: 'note', maxlength: 1000, autocomplete: 'off', value: before?.note ?? '', on: { input: () => this.keep() } });
    this.shadow = h('input', { type: 'checkbox', name: 'shadow', checked: before?.shadow, on: { change: () => this.keep() } });
    this.signature = signature();
    this.signing = h('div', { hidden: true }, this.signature.place);
    this.send = h('button', { type: 'submit', class: 'button button-primary', 'data-key': 'propose' }, 'Propose');
    const form = h('form', { class: 'pad-form', on: { submit: (event) => { event.preventDefault(); this.propose(); } } },
      h('div', { class: 'card' }, h('div', { class: 'card-head' }, h('label', { for: 'policy-text', class: 'pad-label' }, 'Text of the policy'), h('span', { class: 'grow' }), this.beginning(before)), this.pad.element, this.status,
        field('Why (kept in its history)', this.note),
        h('label', { class: 'check' }, this.shadow, ' Shadow: it stays a draft, and tells what it would have said, until it is activated'),
        this.signing, this.alert, h('div', { class: 'actions' }, this.send)));
    this.explainer = new Explainer({ agent, app: session.app, text: () => this.pad.text });
    main.append(h('div', { class: 'pad-page' }, form, this.panel), this.explainer.element);
    this.run();
  }

  /** Which version the text begins with. */
  beginning(before) {
    const { number, versions } = this.begun;
    const pick = h('select', { 'aria-label': 'Begin with', on: { change: (event) => this.again(event.target.value) } },
      versions.map(([version, state]) => h('option', { value: version, selected: version === number }, `version ${version}, ${state}`)));
    const word = before && before.text !== this.begun.text ? h('span', { class: 'quiet' }, 'unfinished, as you left it ') : null;
    return [word, button('Begin anew', { press: () => this.again(String(number)), key: 'anew' }), pick];
  }

  again(number) {
    unfinished.delete(this.kept);
    const to = path(['policies', this.agent, 'edit'], { from: number });
    // the same place again: nobody would hear it
    if (location.hash === `#${to}`) this.put(this.begun.text);
    else go(to);
  }

  put(text) {
    this.pad.put(text);
    this.typed();
  }

  keep() {
    const { text } = this.pad;
    if (text === this.begun.text && !this.note.value && !this.shadow.checked) unfinished.delete(this.kept);
    else unfinished.set(this.kept, { text, note: this.note.value, shadow: this.shadow.checked });
  }

  typed() {
    this.keep();
    this.explainer.typed();
    clearTimeout(this.timer);
    this.status.dataset.state = 'typing';
    this.timer = setTimeout(() => this.run(), TYPING_MS);
  }

  /** Reads the text, and when the fingers rest holds it against what was decided lately. */
  async run(thorough = false) {
    clearTimeout(this.timer);
    this.controller?.abort();
    const controller = this.controller = new AbortController();
    const { text } = this.pad;
    if (!this.found) this.tell('Reading…', 'reading');
    try {
      const found = await post(route(this.agent, 'check'), { text, back_test: thorough }, controller.signal);
      if (controller !== this.controller) return;
      Object.assign(this, { found, checkedText: text, isThorough: thorough });
      this.draw();
      if (found.valid && !thorough) this.timer = setTimeout(() => this.run(true), RESTING_MS);
    } catch (error) {
      if (error.name === 'AbortError' || controller !== this.controller) return;
      Object.assign(this, { found: null, checkedText: null });
      this.tell(error instanceof Problem ? `It could not be checked: ${error.message}` : 'It could not be checked.', 'bad');
      if (!(error instanceof Problem)) console.error(error);
    }
  }

  tell(text, state) {
    this.status.dataset.state = state;
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  draw() {
    const { found } = this;
    const hiding = hidingLines(this.checkedText);
    const problems = found.diagnostics;
    this.pad.mark(problems.flatMap(({ line }) => (line ? [line] : [])));
    if (found.valid) this.signing.hidden = !found.needs_signature;
    if (!found.valid) this.tell(problems.length === 1 ? 'There is a problem.' : `There are ${problems.length} problems.`, 'bad');
    else if (found.falls.length > 0) this.tell('It loads, and would be refused: it falls too far behind the version in force.', 'bad');
    else this.tell(`It loads. ${CLASS[found.class]}`, found.class === 'loosening' ? 'warn' : 'good');
    replace(this.panel,
      hiding.length > 0 && card('Hidden characters', h('p', { class: 'warn-text' }, 'The text has characters that hide or turn a part of it.'), this.diagnostics(hiding.map((line) => ({ line, column: 1, message: 'a character in this line is not seen', hint: '' })))),
      problems.length > 0 && card('What is wrong', this.diagnostics(problems)),
      found.valid && [
        found.base !== this.begun.base && h('p', { class: 'banner banner-warn' }, 'Meanwhile another version came into force: what this text does is told against that one.'),
        found.warnings.length > 0 && card('Warnings', this.diagnostics(found.warnings)),
        card('What changes', h('p', null, chip(found.class), ' ', CLASS[found.class]), found.waits_for && h('p', { class: 'quiet' }, `It would wait for ${gateWords(found.waits_for)}.`), found.allows_too_much && h('p', { class: 'bad-text' }, 'It newly allows more than the configuration lets anybody ask for: it would stay a draft.'), changes(found.changes)),
        card('Back-test', found.falls.length > 0 && [h('p', { class: 'bad-text' }, 'It would be refused:'), falls(found.falls)], found.back_test ? backTest(found.back_test, { explain: (trace) => this.explainer.explainTrace(trace) }) : h('p', { class: 'quiet' }, 'Decided again as soon as you rest…')),
        card('Tests', tests(found.tests)),
      ]);
  }

  diagnostics(found) {
    const entry = ({ line, column, message, hint }) => h('li', null,
      line ? button(`Line ${line}, column ${column ?? 1}`, { press: () => this.pad.lead(line, column ?? 1), key: `lead ${line} ${column} ${message}` }) : h('span', { class: 'quiet' }, 'The whole text'),
      h('p', null, said(message), hint && h('span', { class: 'quiet' }, ' ', said(hint))));
    return h('ul', { class: 'problems' }, found.slice(0, PROBLEMS_MAX).map(entry), found.length > PROBLEMS_MAX && h('li', { class: 'quiet' }, `and ${found.length - PROBLEMS_MAX} more`));
  }

  async propose() {
    if (this.send.disabled) return;
    const { text } = this.pad;
    this.alert.replaceChildren();
    this.send.disabled = true;
    this.send.setAttribute('aria-busy', 'true');
    try {
      if (this.checkedText !== text || !this.found) await this.run();
      if (this.found && !this.found.valid) {
        this.refuse('It is no policy yet: see what is wrong.');
        const first = this.found.diagnostics.find(({ line }) => line);
        if (first) this.pad.lead(first.line, first.column ?? 1);
        return;
      }
      const body = { text, ...(this.note.value ? { note: this.note.value } : {}), ...(this.shadow.checked ? { shadow: true } : {}), ...this.signed() };
      const version = await post(route(this.agent), body);
      unfinished.delete(this.kept);
      announce(`Version ${version.version} is proposed: ${CLASS[version.class]}`, 'good');
      go(path(['policies', this.agent, String(version.version)]));
    } catch (error) {
      if (error.body?.diagnostics) Object.assign(this, { found: { valid: false, diagnostics: error.body.diagnostics }, checkedText: text });
      if (this.found && !this.found.valid) this.draw();
      this.refuse(explain(error).text);
    } finally {
      this.send.disabled = false;
      this.send.removeAttribute('aria-busy');
    }
  }

  /** What was pasted beside the text, where keys are pinned. */
  signed() {
    return this.signing.hidden ? {} : this.signature.given();
  }

  refuse(text) {
    this.alert.replaceChildren(h('p', { class: 'form-alert' }, text));
  }

  changed(happened) {
    if (['policy', 'reset', 'seen'].some((name) => happened.has(name))) this.run(this.isThorough);
  }

  leave() {
    clearTimeout(this.timer);
    this.controller?.abort();
    this.controller = null;
    this.explainer.leave();
  }
}

/** The text to begin with, and what there is besides. */
async function begin(agent, from, signal) {
  const { items } = await get(`${route(agent)}?limit=50`, signal);
  const [grant] = items;
  const known = items.filter((item) => Number.isInteger(item.version));
  const number = from ? Number(from) : grant.version;
  const text = number === grant.version ? grant.source : (await get(route(agent, String(number)), signal)).source;
  const versions = known.map((item) => [item.version, item === grant ? 'in force' : item.state]);
  if (Number.isInteger(number) && !versions.some(([version]) => version === number)) versions.push([number, 'older']);
  return { text, number, base: grant.id, versions };
}

/** The page on which a new version is written. */
export function mountEditor(main, { parts: [agent], query, session }) {
  const place = h('div', { id: freshId('editor') }, skeleton());
  main.append(heading('New version', link(path(['policies', agent]), '← Policies of ', said(agent))), place);
  here([]);
  if (!session.can('policy')) {
    replace(place, nothing('Your roles do not include `policy`', 'You may look at every version, and propose none.'));
    return {};
  }
  const controller = new AbortController();
  let editor = null;
  const open = () => begin(agent, query.get('from'), controller.signal).then((begun) => {
    place.replaceChildren();
    editor = new Editor(place, { agent, session, begun });
  }).catch((error) => {
    if (error.name !== 'AbortError') replace(place, failure(error, open));
  });
  open();
  return {
    changed: (happened) => editor?.changed(happened),
    leave: () => {
      controller.abort();
      editor?.leave();
    },
  };
}
