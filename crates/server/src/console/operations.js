// The life of operations, from decision to settlement.

import { get, post, withQuery } from './api.js';
import { fromMicros, gwei, grouped, units, usd } from './amounts.js';
import { announce, ask } from './dialogs.js';
import { h } from './dom.js';
import { filters, paging } from './lists.js';
import { stamp, ago } from './time.js';
import { said } from './untrusted.js';
import { words } from './votes.js';
import { button, card, chip, heading, hex, link, named, nothing, pairs, region, table } from './widgets.js';

const STATES = ['PARKED', 'APPROVED', 'ALLOWED', 'PREPARED', 'SIGNED', 'BROADCAST', 'UNKNOWN', 'MINED', 'EXECUTED', 'REVERTED', 'DENIED', 'REJECTED', 'EXPIRED', 'CANCELLING', 'CANCELLED', 'CONFLICT'];
const IN_FLIGHT = ['SIGNED', 'BROADCAST', 'UNKNOWN', 'CANCELLING'];

function chargesOf(operation) {
  if (operation.charges.length === 0) return h('p', { class: 'quiet' }, 'No limit counts it.');
  const show = (charge, amount) => (charge.unit === 'usd' ? usd(fromMicros(amount)) : grouped(String(amount)));
  return table('Charges', [
    ['Limit', (row) => h('span', null, said(row.charge.source.limit), h('span', { class: 'quiet' }, ` ${row.charge.source.policy}`))],
    ['Per', (row) => row.charge.source.per],
    ['Value', (row) => show(row.charge, row.charge.value), 'num right'],
    ['Fee at most', (row) => show(row.charge, row.charge.fee), 'num right'],
    ['Kept', (row) => (row.kept === undefined ? '–' : show(row.charge, row.kept)), 'num right'],
    ['Limit', (row) => show(row.charge, row.charge.limit), 'num right'],
  ], operation.charges.map((charge, index) => ({ charge, kept: operation.kept[index] })));
}

function attemptsOf(operation) {
  if (operation.attempts.length === 0) return h('p', { class: 'quiet' }, 'Nothing was signed.');
  const fee = ({ transaction: { fee } }) => (fee.gas_price ? gwei(fee.gas_price) : `${gwei(fee.max_fee_per_gas)} + ${gwei(fee.max_priority_fee_per_gas)} tip`);
  return table('Attempts', [
    ['№', (attempt) => attempt.number, 'num'],
    ['For', (attempt) => chip(attempt.purpose, attempt.purpose === 'cancel' ? 'warn' : 'quiet')],
    ['Nonce', (attempt) => attempt.nonce, 'num'],
    ['Transaction', (attempt) => hex(attempt.hash)],
    ['Fee', fee, 'num'],
    ['Made', (attempt) => ago(attempt.made_at)],
    ['The node said', (attempt) => (attempt.outcome ? said(attempt.outcome) : '–')],
  ], operation.attempts);
}

/** One line of what happened, in order; steps that have not happened are pale. */
function life(operation, native) {
  const parked = operation.digest !== null;
  const steps = [
    ['Decided', operation.created_at, [operation.code ? h('code', null, said(operation.code)) : 'allowed', ' ', said(operation.reason)]],
    parked && ['Parked', operation.created_at, [link(`/inbox/${operation.id}`, 'the entry in the inbox')]],
    ...words(operation).map((vote) => [vote.isYes ? 'Yes' : 'No', vote.at, [said(vote.operator), vote.note && [': ', said(vote.note)]]]),
    ...operation.attempts.map((attempt) => [attempt.purpose === 'cancel' ? 'Cancel bound' : attempt.number === 0 ? 'Bound and signed' : 'Fee raised', attempt.made_at, [hex(attempt.hash)]]),
    operation.receipt && ['Mined', null, [`block ${grouped(operation.receipt.block_number)}, `, operation.receipt.succeeded ? chip('succeeded', 'good') : chip('reverted', 'bad'), ` fee ${units(operation.receipt.fee_wei, 18)} ${native}`]],
    operation.settled_at && ['Settled', operation.settled_at, []],
    operation.finished_at && !operation.settled_at && ['Finished for the agent', operation.finished_at, [chip(operation.status)]],
  ].filter(Boolean);
  return h('ol', { class: 'timeline' }, steps.map(([name, at, more]) => h('li', null, h('span', { class: 'timeline-name' }, name), h('span', { class: 'timeline-more' }, more), at && h('span', { class: 'timeline-at' }, stamp(at)))));
}

function toWei(text, name) {
  if (!/^\d+(\.\d{1,9})?$/.test(text)) throw new Error(`${name}: a number of gwei with at most nine decimals`);
  const [whole, fraction = ''] = text.split('.');
  return `0x${(BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))).toString(16)}`;
}

function levers(operation, session, refresh) {
  if (!session.can('approve') || !IN_FLIGHT.includes(operation.state)) return null;
  const done = async (dialog, text) => {
    if (await dialog.closed) announce(text, 'good');
    refresh();
  };
  const bump = () => done(ask({
    title: 'Raise the fee?',
    body: h('p', null, 'The same payload at the same nonce, with a higher fee. Without a number the gateway picks one within the policy’s and the chain’s ceiling.'),
    fields: [['max', 'Fee at most, gwei per gas'], ['tip', 'Tip, gwei per gas']].map(([name, label]) => h('label', { class: 'field' }, h('span', { class: 'field-label' }, label), h('input', { name, inputmode: 'decimal', autocomplete: 'off', placeholder: 'the gateway’s' }))),
    yes: 'Raise',
    act: (form) => {
      const [max, tip] = [form.get('max').trim(), form.get('tip').trim()];
      return post(`/operations/${operation.id}/bump`, max || tip ? { max_fee_per_gas: toWei(max, 'Fee'), max_priority_fee_per_gas: toWei(tip, 'Tip') } : {});
    },
  }), 'The fee is raised');
  const cancel = () => done(ask({
    title: 'Cancel this operation?',
    body: h('p', null, 'A transfer of nothing from the wallet to itself competes for the nonce. Whichever is mined first, wins; its fee is spent either way.'),
    yes: 'Cancel it', kind: 'bad',
    act: () => post(`/operations/${operation.id}/cancel`),
  }), 'A cancel competes for the nonce');
  return h('div', { class: 'actions' }, button('Raise the fee', { press: bump }), button('Cancel it', { kind: 'bad', press: cancel }));
}

function detail({ operation, chain }, session, refresh) {
  const native = chain?.native ?? 'native';
  return [
    h('p', null, chip(operation.status), ' ', h('span', { class: 'quiet' }, 'changed ', ago(operation.updated_at))),
    levers(operation, session, refresh),
    pairs([
      ['Agent', link('/agents', said(operation.agent))],
      ['Session', operation.session && said(operation.session)],
      ['Wallet', h('span', null, said(operation.wallet), ' ', hex(operation.address))],
      ['To', operation.transaction?.to && hex(operation.transaction.to, { whole: true })],
      ['Value', operation.transaction && h('span', { class: 'num' }, `${grouped(units(operation.transaction.value, 18))} ${native}`)],
      ['Chain', chain ? `${chain.name} (${operation.chain})` : operation.chain],
      ['Nonce', operation.nonce],
      ['Asked by', h('code', null, said(operation.method))],
      ['Transaction', operation.hash && hex(operation.hash, { whole: true })],
      ['Signature', operation.signature && hex(operation.signature)],
      ['Trace', link(`/traces/${operation.trace_hash}`, h('code', { class: 'break' }, operation.trace_hash))],
      ['Gateway', said(operation.gateway)],
    ]),
    card('Life', life(operation, native)),
    card('Attempts', attemptsOf(operation)),
    card('Charges', chargesOf(operation)),
  ];
}

function list(main, query) {
  const place = h('div');
  const bar = filters(query, 'operations', [
    ['status', 'State', [['', 'Any'], ...STATES.map((state) => [state, state.toLowerCase()])]],
    ['agent', 'Agent'],
    ['hash', 'Transaction hash'],
  ], () => shown.refresh());
  main.append(heading('Operations'), bar.element, place);
  const shown = region(place, (signal) => get(withQuery('/operations', { ...bar.values(), limit: 50 }), signal), (page) => (page.items.length === 0 ? nothing('No operations', 'None fits what is asked for.') : [
    table('Operations', [
      ['Operation', (operation) => named(`/operations/${operation.id}`, operation.id)],
      ['Agent', (operation) => said(operation.agent)],
      ['State', (operation) => chip(operation.status)],
      ['Method', (operation) => h('span', { class: 'quiet' }, operation.method)],
      ['To', (operation) => hex(operation.transaction?.to)],
      ['Code', (operation) => (operation.code ? said(operation.code) : '–')],
      ['Transaction', (operation) => hex(operation.hash)],
      ['Asked', (operation) => ago(operation.created_at), 'right'],
    ], page.items), paging(bar, page)]));
  return { changed: shown.refresh, leave: shown.leave };
}

export const operations = {
  title: 'Operations',
  mount(main, { parts, query, session }) {
    if (!parts[0]) return list(main, query);
    const place = h('div');
    main.append(heading(h('span', null, 'Operation ', h('span', { class: 'mono break' }, said(parts[0])))), place);
    const shown = region(place, async (signal) => {
      const [operation, overview] = await Promise.all([get(`/operations/${encodeURIComponent(parts[0])}`, signal), get('/overview', signal)]);
      return { operation, chain: overview.chains.find(({ id }) => id === operation.chain) };
    }, (seen) => detail(seen, session, () => shown.refresh()));
    return { changed: shown.refresh, leave: shown.leave };
  },
};
