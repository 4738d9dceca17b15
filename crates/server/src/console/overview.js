// The state of the whole on one page.

import { get, readiness, withQuery } from './api.js';
import { fromMicros, micros, thousandths, usd } from './amounts.js';
import { days } from './charts.js';
import { h } from './dom.js';
import { spendOf } from './spend.js';
import { ago } from './time.js';
import { said } from './untrusted.js';
import { bar, card, chip, heading, link, named, nothing, region, table } from './widgets.js';

const DAYS = 14;

/** One limit of an agent as a bar. */
export function budgetLine(line) {
  const show = (text) => (line.unit === 'usd' ? usd(text) : text);
  const share = thousandths(line.used, line.max);
  return h('li', { class: 'budget' },
    h('div', { class: 'budget-head' }, h('span', null, said(line.limit), h('span', { class: 'quiet' }, ` ${line.policy} · per ${line.per}`)),
      h('span', { class: 'num' }, show(line.remaining), h('span', { class: 'quiet' }, ` of ${show(line.max)} left`))),
    bar(`${line.limit}: ${show(line.used)} of ${show(line.max)} used`, share),
    h('div', { class: 'budget-foot quiet num' }, `${show(line.used)} used`, line.frees_at && h('span', null, ' · more frees ', ago(line.frees_at))));
}

function fullest(lines) {
  const seen = new Set();
  const fresh = lines.filter((line) => {
    // a guard's limit over everybody is one counter, told once for each agent
    const key = [line.policy, line.limit, line.per, line.used, line.max].join('\n');
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  return fresh.sort((one, other) => thousandths(other.used, other.max) - thousandths(one.used, one.max));
}

function figure(name, value, ...more) {
  return h('div', { class: 'figure' }, h('p', { class: 'figure-name' }, name), h('p', { class: 'figure-value num' }, value), h('p', { class: 'figure-more' }, more));
}

function total(spend) {
  const per = spend.days.map((_, index) => spend.agents.reduce((sum, agent) => {
    const day = agent.days[index];
    return {
      settled: fromMicros(micros(sum.settled) + micros(day.settled)),
      committed: fromMicros(micros(sum.committed) + micros(day.committed)),
      reserved: fromMicros(micros(sum.reserved) + micros(day.reserved)),
      operations: sum.operations + day.operations,
    };
  }, { settled: '0', committed: '0', reserved: '0', operations: 0 }));
  return per;
}

function health(ready, overview) {
  const rows = [
    ['Gateway', ready.status, overview.gateway],
    ['Store', ready.store, ready.durability ? `durability class ${ready.durability}: ${ready.durability_reason}` : ''],
    ['Clock', ready.clock, ready.clock === 'ok' ? 'agrees with the store' : 'differs from the store'],
    ...Object.entries(ready.chains).map(([id, word]) => {
      const chain = overview.chains.find((known) => String(known.id) === id);
      return [chain ? `${chain.name} (${id})` : id, word, word === 'ok' ? 'its node answers' : 'no node answers'];
    }),
  ];
  return h('ul', { class: 'health' }, rows.map(([name, word, text]) => h('li', null, h('span', { class: 'health-name' }, name), chip(word), h('span', { class: 'quiet' }, said(text)))));
}

function render({ overview, budget, spend, ready, traces, incidents }) {
  const perDay = spend && total(spend);
  const today = perDay?.at(-1);
  const inFlight = Object.entries(overview.operations).filter(([state, count]) => state !== 'PARKED' && count > 0);
  const lines = fullest(budget.items).slice(0, 8);
  return [
    h('section', { class: 'figures', 'aria-label': 'At a glance' },
      figure('Waiting for approval', overview.pending, overview.pending > 0 ? [link('/inbox', 'Open the inbox'), overview.pending_oldest_at && [' · oldest ', ago(overview.pending_oldest_at)]] : 'Nothing waits'),
      figure('Open incidents', overview.incidents_open, overview.incidents_open > 0 ? [link('/incidents', 'Look at them'), incidents?.items[0] && [' · ', said(incidents.items[0].title)]] : 'Nothing to look at'),
      figure('Spent today (UTC)', today ? usd(fromMicros(micros(today.settled) + micros(today.committed))) : '–', today && [usd(today.reserved), ' reserved · ', `${today.operations} operations`]),
      figure('In flight', inFlight.reduce((sum, [, count]) => sum + count, 0), inFlight.length > 0 ? inFlight.map(([state, count]) => [chip(state), ` ${count} `]) : 'Nothing is under way')),
    h('div', { class: 'columns' },
      h('div', { class: 'column' },
        card('Budgets', lines.length > 0 ? h('ul', { class: 'budgets' }, lines.map(budgetLine)) : nothing('No limits', 'No policy in force counts anything.')),
        card('Health', health(ready, overview))),
      h('div', { class: 'column' },
        card(`Spend, last ${DAYS} days`, perDay ? days('Spend of all agents', spend.days, perDay) : nothing('Not available', null), spend && !spend.complete && h('p', { class: 'quiet' }, 'Only the newest 20 000 operations are added up.')),
        card('Newest decisions', traces.items.length > 0 ? table('Newest decisions', [
          ['Agent', (trace) => said(trace.agentId ?? 'client')],
          ['Outcome', (trace) => chip(trace.status)],
          ['Trace', (trace) => named(`/traces/${trace.traceHash}`, trace.traceHash)],
          ['When', (trace) => ago(trace.createdAt), 'right'],
        ], traces.items) : nothing('No decisions yet', 'As soon as an agent asks for something, it is here.')))),
  ];
}

export const overview = {
  title: 'Overview',
  mount(main, { session }) {
    const place = h('div');
    main.append(heading('Overview', h('span', { class: 'quiet' }, 'app ', said(session.app))), place);
    const optional = (promise) => promise.catch((error) => {
      if (error.name === 'AbortError' || error.code === 'unreachable') throw error;
      return null;
    });
    const shown = region(place, async (signal) => {
      const [overviewSeen, budget, spend, ready, traces, incidents] = await Promise.all([
        get('/overview', signal), get('/budget', signal), spendOf(DAYS), readiness(),
        get(withQuery(`/apps/${encodeURIComponent(session.app)}/traces`, { limit: 8 }), signal), optional(get('/incidents?status=Open&limit=1', signal)),
      ]);
      return { overview: overviewSeen, budget, spend, ready, traces, incidents };
    }, render);
    return { changed: shown.refresh, leave: shown.leave };
  },
};
