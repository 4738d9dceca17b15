// The pieces that every page is made of.

import { Problem } from './api.js';
import { h, replace, s } from './dom.js';
import { announce } from './dialogs.js';

const TONES = {
  good: ['EXECUTED', 'executed', 'allow', 'within', 'pass', 'ok', 'ready', 'Resolved', 'APPROVED', 'live', 'mined', 'active', 'tightening'],
  bad: ['DENIED', 'blocked', 'deny', 'REVERTED', 'Critical', 'CONFLICT', 'failed', 'unavailable', 'lost', 'offline', 'REJECTED', 'rejected', 'revoked'],
  warn: ['PENDING_APPROVAL', 'pending_approval', 'PARKED', 'approve', 'High', 'UNKNOWN', 'CANCELLING', 'Open', 'park', 'EXPIRED', 'not_ready', 'waiting', 'loosening'],
  info: ['ALLOWED', 'allowed', 'PREPARED', 'SIGNED', 'BROADCAST', 'MINED', 'Investigating', 'Medium', 'connecting', 'draft', 'shadow'],
};
const TONE = new Map(Object.entries(TONES).flatMap(([tone, words]) => words.map((word) => [word, tone])));

/** A state as a word with a colour; the word alone says it too. */
export function chip(word, tone) {
  const text = String(word).replaceAll('_', ' ').toLowerCase();
  return h('span', { class: ['chip', `chip-${tone ?? TONE.get(word) ?? 'quiet'}`] }, text);
}

/** The first and last characters of a long name. */
export function short(text) {
  if (text.length <= 16) return text;
  const prefix = /^(0x|op_|sha256:|inc_)/.exec(text)?.[0] ?? '';
  return `${text.slice(0, prefix.length + 4)}…${text.slice(-4)}`;
}

/** A hash or an address: short, whole when pointed at or focused, copied when pressed. */
export function hex(text, { whole = false } = {}) {
  if (!text) return '–';
  const copy = async (event) => {
    event.stopPropagation();
    const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    announce(done ? `Copied ${text}` : 'The browser does not let this page copy');
  };
  return h('button', { type: 'button', class: ['hex', whole && 'hex-whole'], 'data-full': text, 'data-key': `hex ${text}`, on: { click: copy } },
    whole ? text : [h('span', { 'aria-hidden': 'true' }, short(text)), h('span', { class: 'visually-hidden' }, text)],
    h('span', { class: 'visually-hidden' }, ', copy'));
}

/** A link to another page of the console. */
export function link(href, ...children) {
  return h('a', { href: `#${href}` }, children);
}

/** A link to a thing by its long name. */
export function named(href, id) {
  return id ? h('a', { href: `#${href}`, class: 'mono nowrap', title: id }, short(id)) : '–';
}

export function button(text, { kind = '', press, key, disabled, label, type = 'button', shortcut } = {}) {
  return h('button', { type, class: ['button', kind && `button-${kind}`], disabled, 'aria-label': label, 'aria-keyshortcuts': shortcut, 'data-key': key ?? text, on: press ? { click: press } : undefined },
    text, shortcut && h('kbd', { 'aria-hidden': 'true' }, shortcut));
}

/** Names and values, side by side. Values that are null or false are left out. */
export function pairs(entries, properties) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return h('dl', { class: 'pairs', ...properties }, shown.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value))));
}

/** A table that becomes cards on a narrow screen. `columns` are `[heading, cell(row), class?]`. */
export function table(caption, columns, rows, { rowClass } = {}) {
  const head = h('tr', { role: 'row' }, columns.map(([name, , kind]) => h('th', { scope: 'col', role: 'columnheader', class: kind }, name)));
  const body = rows.map((row) => h('tr', { role: 'row', class: rowClass?.(row) }, columns.map(([name, cell, kind]) => h('td', { role: 'cell', class: kind, 'data-name': typeof name === 'string' ? name : '' }, cell(row) ?? '–'))));
  return h('table', { class: 'table', role: 'table' }, h('caption', { class: 'visually-hidden' }, caption),
    h('thead', { role: 'rowgroup' }, head), h('tbody', { role: 'rowgroup' }, body));
}

export function card(heading, ...children) {
  return h('section', { class: 'card' }, h('h2', null, heading), children);
}

/** Nothing to show, and why that is so. */
export function nothing(title, text, ...more) {
  return h('div', { class: 'empty' }, h('p', { class: 'empty-title' }, title), text && h('p', null, text), more);
}

/** Where something will be. */
export function skeleton(lines = 4) {
  return h('div', { class: 'skeleton', role: 'status' }, h('span', { class: 'visually-hidden' }, 'Loading'),
    Array.from({ length: lines }, () => h('span', { class: 'skeleton-line', 'aria-hidden': 'true' })));
}

const MEANINGS = {
  unreachable: 'The gateway cannot be reached',
  role_missing: 'Your roles do not cover this',
  not_found: 'There is nothing here under this name',
  unavailable: 'The gateway cannot answer now',
  ledger_lost: 'The ledger is lost',
};

/** What went wrong, in the gateway's words, with a way on. */
export function failure(error, retry) {
  const known = error instanceof Problem;
  if (!known) console.error(error);
  const title = (known && MEANINGS[error.code]) || 'This could not be shown';
  return h('div', { class: 'empty empty-bad', role: 'alert' }, h('p', { class: 'empty-title' }, title),
    h('p', null, known ? error.message : 'The page met something that it does not understand.'),
    retry && button('Try again', { press: retry }));
}

/**
 * A place that shows what it loads: a skeleton first, then the content, or what went wrong. Asking again replaces the
 * content only where it changed.
 */
export function region(place, load, render) {
  let shown = null;
  let turn = 0;
  let controller = null;
  let newest = null;
  const once = async () => {
    turn += 1;
    const own = turn;
    controller?.abort();
    controller = new AbortController();
    try {
      const loaded = await load(controller.signal);
      if (own !== turn) return;
      const text = JSON.stringify(loaded);
      if (text !== shown) {
        replace(place, render(loaded));
        shown = text;
      }
    } catch (error) {
      if (own !== turn || error.name === 'AbortError') return;
      // what is there stays while the gateway is away: the page says that it is offline
      if (shown !== null && error.code === 'unreachable') return;
      shown = null;
      replace(place, failure(error, refresh));
    } finally {
      if (own === turn) place.removeAttribute('aria-busy');
    }
  };
  // whoever is overtaken waits for what overtook them: what they see then is no older than their question
  const refresh = async () => {
    let waited = newest = once();
    await waited;
    while (waited !== newest) await (waited = newest);
  };
  place.setAttribute('aria-busy', 'true');
  place.replaceChildren(skeleton());
  const ready = refresh();
  return {
    refresh,
    ready,
    leave() {
      turn += 1;
      controller?.abort();
    },
  };
}

/** A bar from nothing to full. `value` and `more` are thousandths; `more` is drawn behind `value`. */
export function bar(label, value, more = value) {
  const tone = more >= 1000 ? 'bad' : more >= 800 ? 'warn' : 'good';
  return s('svg', { class: ['bar', `bar-${tone}`], viewBox: '0 0 1000 10', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    s('rect', { class: 'bar-track', width: 1000, height: 10 }),
    more > value && s('rect', { class: 'bar-more', width: more, height: 10 }),
    s('rect', { class: 'bar-value', width: value, height: 10 }));
}

/** The page's heading, with what belongs beside it. */
export function heading(text, ...beside) {
  return h('div', { class: 'heading' }, h('h1', { tabindex: '-1' }, text), h('div', { class: 'heading-beside' }, beside));
}

/** A labelled field of a form. */
export function field(label, control, hint) {
  return h('label', { class: 'field' }, h('span', { class: 'field-label' }, label), control, hint && h('span', { class: 'field-hint' }, hint));
}

export function choice(name, options, value) {
  return h('select', { name }, options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)));
}
