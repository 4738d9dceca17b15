// The policies in force, as they are written.

import { get } from './api.js';
import { h } from './dom.js';
import { go, path } from './router.js';
import { said } from './untrusted.js';
import { chip, heading, hex, nothing, pairs, region } from './widgets.js';

/** A line of YAML or JSON with its comment and its key told apart. */
function line(text) {
  const comment = /^(\s*)(#.*)$/.exec(text);
  if (comment) return [comment[1], h('span', { class: 'source-comment' }, said(comment[2]))];
  const key = /^(\s*(?:- )?)([\w@.$"-]+)(:)(\s.*)?$/.exec(text);
  if (key) return [key[1], h('span', { class: 'source-key' }, said(key[2])), key[3], key[4] && said(key[4])];
  return [said(text)];
}

function source(policy) {
  const lines = String(policy.source ?? '').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return h('pre', { class: 'source numbered', tabindex: '0', role: 'region', 'aria-label': `Text of ${policy.name}` },
    lines.map((text) => h('span', { class: 'source-line' }, line(text), '\n')));
}

function entry(policy) {
  const state = typeof policy.state === 'string' ? policy.state : policy.state ? JSON.stringify(policy.state) : null;
  return h('section', { class: 'card', 'aria-label': `Policy ${policy.name}` },
    h('div', { class: 'card-head' }, h('h2', null, said(policy.name)), chip(policy.kind, 'info'), policy.in_force ? chip('in force', 'good') : chip('not in force', 'quiet'), state && chip(state, 'quiet')),
    pairs([['Version', hex(policy.id, { whole: true })]]),
    policy.warnings?.length > 0 && h('div', { class: 'banner banner-warn' }, h('strong', null, 'Warnings'), h('ul', { class: 'plain-list' }, policy.warnings.map((warning) => h('li', null, said(warning))))),
    source(policy));
}

export const policies = {
  title: 'Policies',
  mount(main, { parts }) {
    const place = h('div');
    const pick = h('select', { 'aria-label': 'Whose policies', on: { change: (event) => go(path(['policies', event.target.value])) } });
    main.append(heading('Policies', pick), place);
    const shown = region(place, async (signal) => {
      const agents = await get('/agents', signal);
      const agent = parts[0] ?? agents.items[0]?.id ?? null;
      const found = agent ? await get(`/api/agents/${encodeURIComponent(agent)}/policies`, signal) : { items: [] };
      return { agents: agents.items.map(({ id }) => id), agent, items: found.items };
    }, (seen) => {
      pick.replaceChildren(...seen.agents.map((id) => h('option', { value: id, selected: id === seen.agent }, id)));
      pick.hidden = seen.agents.length === 0;
      if (seen.items.length === 0) return nothing('No policies', 'No agent is configured, so nobody needs one.');
      return [h('p', { class: 'quiet' }, 'The grant may allow; guards can only narrow. Both are as the gateway judges by them now.'), seen.items.map(entry)];
    });
    return { changed: shown.refresh, leave: shown.leave };
  },
};
