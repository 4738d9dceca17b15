// The text of a policy, to be read.

import { h } from './dom.js';
import { said } from './untrusted.js';

/** A line of YAML or JSON with its comment and its key told apart. */
function line(text) {
  const comment = /^(\s*)(#.*)$/.exec(text);
  if (comment) return [comment[1], h('span', { class: 'source-comment' }, said(comment[2]))];
  const key = /^(\s*(?:- )?)([\w@.$"-]+)(:)(\s.*)?$/.exec(text);
  if (key) return [key[1], h('span', { class: 'source-key' }, said(key[2])), key[3], key[4] && said(key[4])];
  return [said(text)];
}

/** The whole text with its lines numbered. */
export function source(label, text) {
  const lines = String(text ?? '').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return h('pre', { class: 'source numbered', tabindex: '0', role: 'region', 'aria-label': label, 'data-scroll': label },
    lines.map((one) => h('span', { class: 'source-line' }, line(one), '\n')));
}
