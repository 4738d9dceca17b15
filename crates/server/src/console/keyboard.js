// One-key commands. They can be turned off, and never act while something is typed or asked.

import { h } from './dom.js';
import { isAsking, show } from './dialogs.js';

const KEPT = 'countersign.keys';
const CHORD_MS = 1500;

const global = new Map();
let local = new Map();
let chord = null;

function areOn() {
  try {
    return localStorage.getItem(KEPT) !== 'off';
  } catch {
    return true;
  }
}

function turn(on) {
  try {
    localStorage.setItem(KEPT, on ? 'on' : 'off');
  } catch { /* it stands until the page is left */ }
}

/** Commands of every page: `[keys, what, act]`; two keys one after the other are written `g i`. */
export function always(commands) {
  commands.forEach(([keys, what, act]) => global.set(keys, { what, act }));
}

/** Commands of this page alone. */
export function here(commands) {
  local = new Map(commands.map(([keys, what, act]) => [keys, { what, act }]));
}

function isTyping(target) {
  return target.closest?.('input,textarea,select,[contenteditable]') !== null;
}

/** Begins to listen. */
export function startKeys() {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !'jk'.includes(event.key)) return;
    if (isTyping(event.target) || isAsking() || (!areOn() && event.key !== '?')) return;
    const keys = chord && Date.now() - chord.at < CHORD_MS ? `${chord.key} ${event.key}` : event.key;
    chord = null;
    const command = local.get(keys) ?? global.get(keys);
    if (command) {
      event.preventDefault();
      command.act();
    } else if (event.key === 'g') {
      chord = { key: 'g', at: Date.now() };
    }
  });
}

/** What the keys do. */
export function help() {
  const list = (commands) => h('dl', { class: 'keys' }, [...commands].map(([keys, { what }]) => h('div', null,
    h('dt', null, keys.split(' ').map((key) => h('kbd', null, key))), h('dd', null, what))));
  const toggle = h('input', { type: 'checkbox', checked: areOn(), on: { change: (event) => turn(event.target.checked) } });
  show('Keyboard', local.size > 0 && [h('h3', null, 'On this page'), list(local)], h('h3', null, 'Everywhere'), list(global),
    h('label', { class: 'check' }, toggle, ' One-key commands are on'));
}
