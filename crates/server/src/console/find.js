// From a hash or a name to the record: who authorised it, under which policy, in which session.

import { get } from './api.js';
import { usd } from './amounts.js';
import { h } from './dom.js';
import { go, path } from './router.js';
import { stamp } from './time.js';
import { said } from './untrusted.js';
import { words, yeses } from './votes.js';
import { card, chip, heading, hex, link, nothing, pairs, region } from './widgets.js';

/** The field at the top of every page. */
export function searchForm() {
  const input = h('input', { id: 'search', type: 'search', name: 'q', placeholder: 'Transaction, trace or operation', 'aria-label': 'Find a transaction, trace or operation', autocomplete: 'off', spellcheck: 'false', maxlength: 120 });
  const submit = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = '';
    input.blur();
    go(path(['find', text]));
  };
  return h('form', { class: 'search', role: 'search', on: { submit } }, input, h('kbd', { 'aria-hidden': 'true' }, '/'));
}

async function optional(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.status === 404 || error.status === 400) return null;
    throw error;
  }
}

async function look(text, app, signal) {
  const traces = `/apps/${encodeURIComponent(app)}/traces`;
  let operation = null;
  let trace = null;
  if (/^op_[0-9a-f]+$/i.test(text)) {
    operation = await optional(get(`/operations/${encodeURIComponent(text)}`, signal));
  } else if (/^0x[0-9a-f]{64}$/i.test(text)) {
    const found = await get(`/operations?hash=${text}`, signal);
    operation = found.items[0] ?? null;
    if (!operation) trace = await optional(get(`${traces}/${text}`, signal));
    if (!operation && trace?.operationId) operation = await optional(get(`/operations/${trace.operationId}`, signal));
  }
  if (operation && !trace) trace = await optional(get(`${traces}/${operation.trace_hash}`, signal));
  const isParked = operation?.digest;
  const pending = isParked ? await optional(get(`/pending-operations/${operation.id}`, signal)) : null;
  return { text, operation, trace, pending };
}

function authority({ operation, trace, pending }) {
  const votes = operation ? yeses(operation) : [];
  if (operation?.status === 'REJECTED') {
    const no = words(operation).find((vote) => !vote.isYes);
    return no ? h('span', null, 'Nobody: ', h('strong', null, said(no.operator)), ' said no, ', stamp(no.at), no.note && [' · ', said(no.note)]) : h('span', null, 'Nobody: it was refused before anything was signed. ', said(operation.reason));
  }
  if (operation?.status === 'EXPIRED') return h('span', null, 'Nobody: its time ran out.');
  if (votes.length > 0) {
    return h('ul', { class: 'plain-list' }, votes.map((vote) => h('li', null, h('strong', null, said(vote.operator)), ' (', said(vote.person), '), ', stamp(vote.at), vote.note && [' · ', said(vote.note)])));
  }
  if (pending && !pending.decided) return h('span', null, 'Nobody yet: it waits. ', link(`/inbox/${operation.id}`, 'Open it in the inbox'));
  if (trace?.status === 'blocked') return h('span', null, 'Nobody: it was refused', trace.blockedBy && [' by ', said(trace.blockedBy)]);
  return h('span', null, 'The policy alone: no rule asked for a person.');
}

function render(found) {
  const { text, operation, trace, pending } = found;
  if (!operation && !trace) {
    return nothing('Nothing has this name', h('span', null, said(text), ' is no transaction, trace or operation of this gateway. If it was sent past the gateway, there is no record of it here.'));
  }
  const agent = operation?.agent ?? trace?.agentId;
  return [
    card('The record', pairs([
      ['Authorised by', authority(found)],
      ['Agent', agent && link('/agents', said(agent))],
      ['Session', (operation?.session ?? trace?.session) ? link(path(['traces'], { session: operation?.session ?? trace.session }), said(operation?.session ?? trace.session)) : 'none was named'],
      ['Policy', trace?.policy && h('span', null, link(path(['policies', agent ?? '']), 'the grant'), ' ', hex(trace.policy))],
      ['Decided', stamp(trace?.createdAt ?? operation?.created_at)],
      ['Why', operation?.code ? h('span', null, h('code', null, said(operation.code)), ' ', said(operation.reason)) : 'allowed by its policy'],
      ['Amount', pending?.amount && h('span', { class: 'num' }, `${pending.amount} ${pending.token}`, pending.amount_usd && ` (${usd(pending.amount_usd)})`)],
      ['State', chip(operation?.status ?? trace.status)],
      ['Transaction', (operation?.hash ?? trace?.txHash) && hex(operation?.hash ?? trace.txHash, { whole: true })],
      ['Operation', operation && link(`/operations/${operation.id}`, h('code', null, operation.id))],
      ['Trace', trace && link(`/traces/${trace.traceHash}`, h('code', { class: 'break' }, trace.traceHash))],
    ])),
  ];
}

export const find = {
  title: 'Search',
  mount(main, { parts, session }) {
    const [text = ''] = parts;
    const place = h('div');
    main.append(heading(h('span', null, 'Who authorised ', h('span', { class: 'mono break' }, said(text)), '?')), place);
    const shown = region(place, (signal) => look(text, session.app, signal), render);
    return { changed: shown.refresh, leave: shown.leave };
  },
};
