// What somebody else wrote: shown as text, in its own direction, and with nothing in it hidden.

import { h } from './dom.js';

const NAMES = new Map([
  [0x061c, 'Arabic letter mark'], [0x200b, 'zero width space'], [0x200c, 'zero width non-joiner'],
  [0x200d, 'zero width joiner'], [0x200e, 'left-to-right mark'], [0x200f, 'right-to-left mark'],
  [0x2028, 'line separator'], [0x2029, 'paragraph separator'],
  [0x202a, 'left-to-right embedding'], [0x202b, 'right-to-left embedding'], [0x202c, 'pop directional formatting'],
  [0x202d, 'left-to-right override'], [0x202e, 'right-to-left override'], [0x2060, 'word joiner'],
  [0x2066, 'left-to-right isolate'], [0x2067, 'right-to-left isolate'], [0x2068, 'first strong isolate'],
  [0x2069, 'pop directional isolate'], [0xfeff, 'zero width no-break space'], [0xad, 'soft hyphen'],
]);

// controls but tab and line feed; what turns or hides text; tags and other invisible letters
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** The text with every character that hides or turns something made visible. */
export function visible(text) {
  const shown = [];
  let from = 0;
  for (const match of String(text).matchAll(HIDDEN)) {
    const code = match[0].codePointAt(0);
    const number = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
    shown.push(text.slice(from, match.index));
    shown.push(h('span', { class: 'hidden-character', title: NAMES.get(code) ?? 'control character' }, number));
    from = match.index + match[0].length;
  }
  shown.push(String(text).slice(from));
  return shown.filter((part) => part !== '');
}

/** The numbers of the lines that have such a character, from 1. */
export function hidingLines(text) {
  return text.split('\n').flatMap((line, index) => (line.search(HIDDEN) >= 0 ? [index + 1] : []));
}

/** A word or line of somebody else's, within a sentence of ours. */
export function said(text, properties) {
  return h('bdi', { ...properties, class: ['said', properties?.class] }, visible(text));
}

/** A longer text of the agent's: bounded in height, and marked as what it is. */
export function saidByAgent(heading, text) {
  const label = `${heading}, said by the agent`;
  return h('figure', { class: 'untrusted' },
    h('figcaption', null, h('span', { class: 'untrusted-mark' }, 'Said by the agent'), ' ', heading,
      h('span', { class: 'quiet' }, ' · not verified')),
    h('div', { class: 'untrusted-text', tabindex: '0', role: 'region', 'aria-label': label, dir: 'auto', 'data-scroll': label },
      h('bdi', null, visible(text))));
}
