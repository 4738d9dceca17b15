// What is stopped, by whom and why.

import { h } from './dom.js';
import { ago } from './time.js';
import { said } from './untrusted.js';

/** What a freeze stops. */
export function scopeOf({ scope, id }) {
  if (scope === 'global') return 'everything but revocations';
  if (scope === 'all') return 'everything';
  return `${scope} ${id}`;
}

/** Who froze it, when, and why where they said so. */
export function wordOf({ by, operator, at, reason }) {
  const who = by === 'operator' ? said(operator) : `the ${by}`;
  return h('span', null, 'by ', who, ' ', ago(at), reason && [': “', said(reason), '”']);
}
