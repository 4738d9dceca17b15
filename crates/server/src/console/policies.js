// The policies in force, the versions that wait for a word, those that were, and how the agent does under each.

import { get, post, withQuery } from './api.js';
import { announce, ask } from './dialogs.js';
import { mountEditor } from './editor.js';
import { h } from './dom.js';
import { here } from './keyboard.js';
import { go, path } from './router.js';
import { source } from './source.js';
import { ago } from './time.js';
import { said } from './untrusted.js';
import { flips, origin, plural, waitsFor } from './version_parts.js';
import { EXPLAINED, scores } from './evaluations.js';
import { mountVersion, route } from './version.js';
import { button, card, chip, field, heading, hex, link, nothing, pairs, region, short, table } from './widgets.js';

const EVALUATE_MS = 30_000;
const OPEN = ['draft', 'shadow', 'waiting'];

const PACT = {
  approve: ['Approve the pact', 'It begins now: what its rules allow is signed.', 'note', 'Note (kept in the books)', 'primary'],
  reject: ['Reject the pact', 'It never begins.', 'reason', 'Reason (kept in the books)', 'bad'],
  revoke: ['Revoke the grant', 'It is over when the gateway answers, on every gateway, and nothing leads back. A freeze can be lifted; this cannot.', 'reason', 'Reason (kept in the books)', 'bad'],
};

/** A word to the grant itself, by its policy id. */
function pactWord(verb, agent, grant, refresh) {
  const [title, text, name, label, kind] = PACT[verb];
  const press = () => {
    const dialog = ask({
      title: `${title}?`, body: [h('p', null, text), pairs([['Policy', h('code', { class: 'break' }, grant.id)]])],
      fields: field(label, h('input', { name, required: name === 'reason', maxlength: 1000, autocomplete: 'off' })),
      yes: title.split(' ')[0], kind,
      act: (form) => post(route(agent, grant.id, verb), form.get(name) ? { [name]: form.get(name) } : {}),
    });
    dialog.closed.then((isDone) => {
      if (isDone) announce(`Done: ${title.toLowerCase()}`, 'good');
      refresh();
    });
  };
  return button(title, { kind: kind === 'bad' ? 'bad-quiet' : kind, press, key: `pact ${verb}` });
}

function pactWords(agent, grant, refresh) {
  if (grant.state === 'pending_approval') return ['approve', 'reject'].map((verb) => pactWord(verb, agent, grant, refresh));
  if (grant.state === 'active' && !grant.revoked) return [pactWord('revoke', agent, grant, refresh)];
  return [];
}

function policyCard(policy, agent, session, refresh) {
  const isGrant = policy.kind === 'grant';
  const isNumbered = Number.isInteger(policy.version);
  return h('section', { class: 'card', 'aria-label': `Policy ${policy.name}` },
    h('div', { class: 'card-head' }, h('h2', null, said(policy.name)), chip(policy.kind, 'info'), policy.in_force ? chip('in force', 'good') : chip('not in force', 'quiet'), typeof policy.state === 'string' && policy.state !== 'active' && chip(policy.state)),
    pairs([
      ['Version', isNumbered && link(path(['policies', agent, String(policy.version)]), `version ${policy.version}`)],
      ['Came from', isGrant && (policy.from === 'file' ? 'its file' : 'operators')],
      ...['approved', 'rejected', 'revoked'].map((word) => [word[0].toUpperCase() + word.slice(1), policy[word] && h('span', null, said(policy[word].by), ' ', ago(policy[word].at), policy[word].note && [' “', said(policy[word].note), '”'])]),
      ['Policy', hex(policy.id, { whole: true })],
    ].filter(([, value]) => value)),
    policy.warnings?.length > 0 && h('div', { class: 'banner banner-warn' }, h('strong', null, 'Warnings'), h('ul', { class: 'plain-list' }, policy.warnings.map((warning) => h('li', null, said(warning))))),
    isGrant && session.can('policy') && h('div', { class: 'actions' }, button('Edit', { press: () => go(path(['policies', agent, 'edit'])), key: 'edit', shortcut: 'e' }), pactWords(agent, policy, refresh)),
    source(`Text of ${policy.name}`, policy.source));
}

function versions(caption, items, agent) {
  return table(caption, [
    ['Version', (version) => h('span', { class: 'nowrap' }, link(path(['policies', agent, String(version.version)]), `version ${version.version}`))],
    ['Stands', (version) => h('span', null, chip(version.state), version.shadow && version.state !== 'shadow' && [' ', chip('shadow', 'info')])],
    ['Does', (version) => h('span', null, chip(version.class), h('span', { class: 'quiet' }, ` ${plural(version.changes.length, 'change')}`))],
    ['Lately', (version) => (version.back_test ? `${flips(version.back_test)} of ${version.back_test.decisions}` : '–')],
    ['Waits for', (version) => waitsFor(version) ?? '–'],
    ['Came from', (version) => h('span', null, origin(version), ' ', h('span', { class: 'quiet' }, ago(version.proposed_at)), version.note && h('span', { class: 'quiet' }, ' “', said(version.note), '”'))],
  ], items, { rowClass: (version) => (version.state === 'waiting' ? 'row-warn' : null) });
}

function listed(seen, agent, session, refresh) {
  const numbered = seen.items.filter((item) => OPEN.includes(item.state) || item.history);
  const open = numbered.filter((item) => OPEN.includes(item.state));
  const done = numbered.filter((item) => !OPEN.includes(item.state));
  const policies = seen.items.filter((item) => !numbered.includes(item));
  return [
    open.length > 0 && card('Waiting for a word', versions('Versions that may still come into force', open, agent)),
    policies.length > 0 && h('p', { class: 'quiet listed-words' }, 'The grant may allow; guards can only narrow. Both are as the gateway judges by them now.'),
    policies.map((policy) => policyCard(policy, agent, session, refresh)),
    done.length > 0 && card('Versions before', versions('Versions that are not in force', done, agent)),
    (seen.next_cursor || seen.cursor) && h('nav', { class: 'paging', 'aria-label': 'Further versions' },
      seen.cursor && link(path(['policies', agent]), 'Newest'), seen.next_cursor && link(path(['policies', agent], { cursor: seen.next_cursor }), 'Older versions')),
  ];
}

function evaluations({ items, truncated }, known) {
  if (items.length === 0) return h('p', { class: 'quiet' }, 'It asked for nothing in the last seven days.');
  const name = (id) => known.get(id) ?? h('span', { class: 'mono', title: id }, short(id));
  return [
    h('div', { class: 'sideways', tabindex: '0', role: 'region', 'aria-label': 'Evaluations', 'data-scroll': 'evaluations' }, table('How the agent did under each policy', [
      ['Policy', (one) => name(one.policy)], ...scores,
    ], items)),
    h('p', { class: 'quiet' }, EXPLAINED, truncated && ' There were more; the newest were looked at.'),
  ];
}

/** All agents together, then each: whoever does otherwise than the rest is seen here. */
function ofAll({ all, items, truncated }) {
  const rows = [{ agent: null, ...all }, ...items];
  return [
    h('div', { class: 'sideways', tabindex: '0', role: 'region', 'aria-label': 'Evaluations of all agents', 'data-scroll': 'evaluations of all' }, table('How all agents did', [
      ['Agent', (one) => (one.agent ? link(path(['policies', one.agent]), said(one.agent)) : h('strong', null, 'All'))], ...scores,
    ], rows)),
    truncated && h('p', { class: 'quiet' }, 'There were more decisions; the newest were looked at.'),
  ];
}

function mountList(main, { parts, query, session }) {
  const [place, judged] = [h('div'), h('div')];
  const cursor = query.get('cursor');
  const pick = h('select', { 'aria-label': 'Whose policies', on: { change: (event) => go(path(['policies', event.target.value])) } });
  let agent = parts[0] ?? null;
  let isLeft = false;
  let evaluatedAt = 0;
  let isOne = true;
  const refresh = () => shown.refresh();
  const shown = region(place, async (signal) => {
    const { items: agents } = await get('/agents', signal);
    agent ??= agents[0]?.id ?? null;
    isOne = agents.length < 2;
    const found = agent ? await get(withQuery(route(agent), { cursor }), signal) : { items: [], next_cursor: null };
    return { agents: agents.map(({ id }) => id), cursor, ...found };
  }, (seen) => {
    pick.replaceChildren(...seen.agents.map((id) => h('option', { value: id, selected: id === agent }, id)));
    pick.hidden = seen.agents.length === 0;
    if (seen.agents.length === 0) return nothing('No policies', 'No agent is configured, so nobody needs one.');
    return listed(seen, agent, session, refresh);
  });
  main.append(heading('Policies', pick), place, judged);
  let table = null;
  const evaluate = async () => {
    await shown.ready;
    if (!agent || cursor || isLeft) return;
    if (!table) {
      const inside = h('div');
      judged.append(h('section', { class: 'card judged' }, h('h2', null, 'How it does'), h('p', { class: 'quiet' }, 'The last seven days, by the policy that decided.'), inside));
      table = region(inside, async (signal) => {
        evaluatedAt = Date.now();
        const [found, ofApp, { items }] = await Promise.all([
          get(`/api/agents/${encodeURIComponent(agent)}/evaluations`, signal), isOne ? null : get(`/apps/${encodeURIComponent(session.app)}/evaluations`, signal), get(`${route(agent)}?limit=50`, signal),
        ]);
        // of equal texts the version in force comes first, then the newest
        const known = items.filter((item) => Number.isInteger(item.version)).map(({ id, version }) => [id, version]).reverse();
        const { from: _from, to: _to, ...rest } = found;
        const { all, items: agents, truncated } = ofApp ?? {};
        return { ...rest, known, ofApp: ofApp && { all, items: agents, truncated } };
      }, (seen) => [
        evaluations(seen, new Map(seen.known.map(([id, number]) => [id, link(path(['policies', agent, String(number)]), `version ${number}`)]))),
        seen.ofApp && [h('h3', null, 'All agents'), ofAll(seen.ofApp)],
      ]);
    } else if (Date.now() - evaluatedAt > EVALUATE_MS) {
      await table.refresh();
    }
  };
  evaluate();
  here([['e', 'edit the version in force', () => session.can('policy') && agent && go(path(['policies', agent, 'edit']))]]);
  return {
    changed: async (happened) => {
      if (happened.has('policy')) evaluatedAt = 0;
      await Promise.all([shown.refresh(), evaluate()]);
    },
    leave: () => {
      isLeft = true;
      shown.leave();
      table?.leave();
    },
  };
}

export const policies = {
  title: 'Policies',
  mount(main, given) {
    const [, which] = given.parts;
    if (which === 'edit') return mountEditor(main, given);
    return which === undefined ? mountList(main, given) : mountVersion(main, given);
  },
};
