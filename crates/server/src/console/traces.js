// The record of every decision: the arrows taken, each verdict, and when.

import { get, withQuery } from './api.js';
import { grouped, usd } from './amounts.js';
import { amountOf, balances, effects, verdicts } from './decoded.js';
import { h } from './dom.js';
import { filters, paging } from './lists.js';
import { path } from './router.js';
import { ago, span, stamp } from './time.js';
import { said, saidByAgent } from './untrusted.js';
import { card, chip, heading, hex, link, named, nothing, pairs, region, table } from './widgets.js';

const STATUSES = [['', 'Any'], ['executed', 'executed'], ['blocked', 'blocked'], ['pending_approval', 'pending approval'], ['allowed', 'allowed'], ['failed', 'failed']];

/** JSON text inside JSON, as the record keeps it; `null` where it is none. */
function inner(text) {
  if (typeof text !== 'string') return text ?? null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function charges(trace) {
  if (trace.charges.length === 0) return 'nothing is charged';
  const show = (charge, amount) => (charge.unit === 'usd' ? usd(amount) : grouped(amount));
  return h('ul', { class: 'plain-list' }, trace.charges.map((charge) => h('li', null, h('code', null, said(charge.limit)), h('span', { class: 'quiet' }, ` ${charge.policy} per ${charge.per}: `),
    h('span', { class: 'num' }, `${show(charge, charge.value)}${charge.fee !== '0' ? ` + ${show(charge, charge.fee)} fee` : ''} of ${show(charge, charge.max)}`))));
}

function word(approval) {
  const who = approval.operator ? h('strong', null, said(approval.operator)) : 'The gateway';
  const verb = approval.decision ?? 'said';
  return [who, approval.person && approval.person !== approval.operator && [' (', said(approval.person), ')'], ' ', chip(verb, verb === 'approved' ? 'good' : 'warn'), approval.note && [' ', said(approval.note)], approval.reason && [' ', said(approval.reason)],
    approval.digest && h('span', { class: 'quiet' }, ' over ', hex(approval.digest))];
}

/** The arrows taken, as `[name, when, content, tone]`. */
function arrows(trace, operation) {
  const validation = inner(trace.validationResult) ?? {};
  const proposed = inner(trace.proposedAction) ?? {};
  const { facts } = trace;
  const outcome = { allow: 'good', park: 'warn', deny: 'bad' }[validation.outcome];
  return [
    ['Intent', trace.createdAt, [said(trace.agentId ?? 'a client'), ' asked ', h('code', null, said(proposed.method ?? 'for something')), proposed.wallet && [' with ', said(proposed.wallet)], proposed.chainId && ` on chain ${proposed.chainId}`]],
    facts && ['Facts', facts.at, [`${facts.actions.length} action${facts.actions.length === 1 ? '' : 's'}, ${facts.tokens.length} token${facts.tokens.length === 1 ? '' : 's'} priced`, facts.simulated && ', simulated', facts.oracles?.length > 0 && `, ${facts.oracles.length} oracle answers`, h('span', { class: 'quiet' }, `, gas ${grouped(facts.gas)}, fee at most `, amountOf('native', facts.fee_wei_max, facts.tokens))]],
    validation.outcome && ['Decision', trace.createdAt, [chip(validation.outcome), ' ', validation.code && h('code', null, said(validation.code)), ` by ${trace.policyVerdicts.length} verdicts`, validation.approvalMode && h('span', { class: 'quiet' }, `, approval mode ${validation.approvalMode}`)], outcome],
    trace.charges.length > 0 && ['Reservation', trace.createdAt, [charges(trace)]],
    trace.gates.length > 0 && ['Parked', trace.createdAt, ['waits for ', trace.gates.map((gate, index) => [index > 0 && ', ', h('code', null, said(gate.id))])], 'warn'],
    ...trace.approvals.map((approval) => ['Word of a person', approval.at, word(approval), approval.decision === 'approved' ? 'good' : 'warn']),
    ...(operation?.attempts ?? []).map((attempt) => [attempt.purpose === 'cancel' ? 'Cancel bound' : 'Committed', attempt.made_at, [`nonce ${attempt.nonce}, `, attempt.hash ? ['signed ', hex(attempt.hash)] : 'not signed']]),
    !operation?.attempts?.length && trace.signatures.length > 0 && ['Signed', null, [`${trace.signatures.length} signature${trace.signatures.length === 1 ? '' : 's'}`]],
    operation?.receipt && ['Receipt', null, [`block ${grouped(operation.receipt.block_number)}, `, operation.receipt.succeeded ? chip('succeeded', 'good') : chip('reverted', 'bad')], operation.receipt.succeeded ? 'good' : 'bad'],
    operation?.settled_at && ['Settlement', operation.settled_at, [chip(operation.status)], 'good'],
  ].filter(Boolean);
}

function timeline(trace, operation) {
  const steps = arrows(trace, operation);
  const start = Date.parse(trace.createdAt);
  return h('ol', { class: 'timeline' }, steps.map(([name, at, content, tone]) => {
    const after = at ? Date.parse(at) - start : null;
    return h('li', { class: tone && `step-${tone}` }, h('span', { class: 'timeline-name' }, name), h('span', { class: 'timeline-more' }, content),
      at && h('span', { class: 'timeline-at num', title: at }, after > 0 ? `+${after < 1000 ? `${after} ms` : span(after)}` : at.slice(11, 23)));
  }));
}

function explorerLink(chains, chain, hash) {
  const explorer = chains?.find((known) => known.id === chain)?.explorer;
  if (!explorer || !hash || !/^https?:\/\//.test(explorer)) return null;
  return h('a', { href: `${explorer.replace(/\/+$/, '')}/tx/${hash}`, rel: 'noreferrer noopener', target: '_blank' }, 'on the chain’s explorer');
}

function detail({ trace, operation, overview }) {
  const validation = inner(trace.validationResult) ?? {};
  const proposed = inner(trace.proposedAction) ?? {};
  const worth = (proposed.actions ?? []).map((action) => action.usd);
  return [
    trace.attestation && h('p', { class: 'banner banner-warn' }, h('strong', null, 'An attestation. '), 'A client posted this record: it proves only that the client said so.'),
    pairs([
      ['Status', chip(trace.status)],
      ['Agent', trace.agentId && link('/agents', said(trace.agentId))],
      ['Session', trace.session && link(path(['traces'], { session: trace.session }), said(trace.session))],
      ['Blocked by', trace.blockedBy && h('code', null, said(trace.blockedBy))],
      ['Risk', h('span', null, chip(`${trace.riskScore} of 100`, trace.riskScore >= 70 ? 'bad' : trace.riskScore >= 30 ? 'warn' : 'quiet'), (validation.riskParts ?? []).map((part) => [' ', h('span', { class: 'quiet' }, said(part.part), ` +${part.points}`)]))],
      ['Decided', stamp(trace.createdAt)],
      ['Answered in', trace.durationMs !== null && h('span', { class: 'num' }, `${grouped(String(trace.durationMs))} ms`)],
      ['Policy', trace.policy && h('span', null, link(path(['policies', trace.agentId ?? '']), 'the grant'), ' ', hex(trace.policy), trace.guards.map((guard) => [' + guard ', hex(guard)]))],
      ['Transaction', trace.txHash && h('span', null, hex(trace.txHash, { whole: true }), ' ', explorerLink(overview?.chains, proposed.chainId, trace.txHash))],
      ['Operation', trace.operationId && link(`/operations/${trace.operationId}`, h('code', null, trace.operationId))],
    ]),
    card('Arrows taken', timeline(trace, operation)),
    trace.reasoning && saidByAgent('Reasoning', trace.reasoning),
    card('What it does', effects(trace.facts?.actions, trace.facts?.tokens, worth)),
    trace.facts?.simulated && card('Balance change', balances(trace.facts.simulated, trace.facts.tokens)),
    card('Verdicts', verdicts(trace.policyVerdicts)),
    trace.signatures.length > 0 && card('Signatures', h('ul', { class: 'plain-list' }, trace.signatures.map((signature) => h('li', null, said(signature.wallet ?? signature.operator ?? 'signature'), ' ', signature.address && hex(signature.address), ' ', signature.hash && hex(signature.hash))))),
    card('Place in the journal', pairs([['Trace hash', hex(trace.traceHash, { whole: true })], ['Entry before', trace.previousHash && hex(trace.previousHash, { whole: true })]])),
    h('details', { class: 'card raw', 'data-open': 'raw' }, h('summary', null, 'The whole record as JSON'), h('pre', { class: 'source', tabindex: '0', role: 'region', 'aria-label': 'The whole record as JSON' }, said(JSON.stringify(trace, null, 2)))),
  ];
}

function list(main, query, session) {
  const place = h('div');
  const bar = filters(query, 'traces', [
    ['status', 'Status', STATUSES], ['agent', 'Agent'], ['session', 'Session'], ['from', 'From (UTC)'], ['to', 'Until (UTC)'],
  ], () => shown.refresh());
  main.append(heading('Traces'), bar.element, place);
  const asked = () => {
    const { from, to, ...rest } = bar.values();
    return { ...rest, from: from && `${from}T00:00:00Z`, to: to && new Date(Date.parse(`${to}T00:00:00Z`) + 86_400_000).toISOString(), limit: 50 };
  };
  const shown = region(place, (signal) => get(withQuery(`/apps/${encodeURIComponent(session.app)}/traces`, asked()), signal), (page) => (page.items.length === 0 ? nothing('No traces', 'No decision fits what is asked for.') : [
    table('Traces', [
      ['Trace', (trace) => named(`/traces/${trace.traceHash}`, trace.traceHash)],
      ['Status', (trace) => h('span', null, chip(trace.status), trace.attestation && [' ', chip('attestation', 'warn')])],
      ['Agent', (trace) => said(trace.agentId ?? '–')],
      ['Session', (trace) => (trace.session ? said(trace.session, { class: 'clip' }) : '–')],
      ['Blocked by', (trace) => (trace.blockedBy ? h('code', null, said(trace.blockedBy)) : '–')],
      ['Risk', (trace) => trace.riskScore, 'num right'],
      ['Transaction', (trace) => hex(trace.txHash)],
      ['Decided', (trace) => ago(trace.createdAt), 'right'],
    ], page.items), paging(bar, page)]));
  return { changed: () => { if (bar.isFirst()) shown.refresh(); }, leave: shown.leave };
}

export const traces = {
  title: 'Traces',
  mount(main, { parts, query, session }) {
    if (!parts[0]) return list(main, query, session);
    const place = h('div');
    main.append(heading(h('span', null, 'Trace ', h('span', { class: 'mono break' }, said(parts[0])))), place);
    const shown = region(place, async (signal) => {
      const [trace, overview] = await Promise.all([get(`/apps/${encodeURIComponent(session.app)}/traces/${encodeURIComponent(parts[0])}`, signal), get('/overview', signal)]);
      const operation = trace.operationId ? await get(`/operations/${trace.operationId}`, signal).catch(() => null) : null;
      return { trace, operation, overview };
    }, detail);
    return { changed: shown.refresh, leave: shown.leave };
  },
};
