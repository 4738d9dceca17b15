// Agents and wallets: what they spend, what they hold, and the switches that stop them.

import { get, post } from './api.js';
import { grouped, units } from './amounts.js';
import { days } from './charts.js';
import { announce, ask } from './dialogs.js';
import { h } from './dom.js';
import { wordOf } from './freezes.js';
import { budgetLine } from './overview.js';
import { path } from './router.js';
import { spendOf } from './spend.js';
import { said } from './untrusted.js';
import { button, card, chip, field, heading, hex, link, nothing, pairs, region, table } from './widgets.js';

const DAYS = 30;

/** A switch with its confirmation. `scope` is the body of the request. */
function lever(scope, name, isFrozen, session, refresh, text = '') {
  if (!session.can('freeze')) return null;
  const press = () => {
    const dialog = ask(isFrozen ? {
      title: `Unfreeze ${name}?`,
      body: h('p', null, 'What its policies allow is signed again, at once.'),
      yes: 'Unfreeze',
      act: () => post('/unfreeze', scope),
    } : {
      title: `Freeze ${name}?`,
      body: h('p', null, scope.all ? 'Nothing at all is signed, not even revocations and cancels, until it is lifted.' : 'Nothing new is signed until it is lifted. It is in force as soon as the gateway answers. What was sent already cannot be called back.'),
      fields: field('Reason (kept in the books; the agent is not told)', h('input', { name: 'reason', maxlength: 500, autocomplete: 'off' })),
      yes: 'Freeze', kind: 'bad',
      act: (form) => post('/freeze', form.get('reason').trim() ? { ...scope, reason: form.get('reason') } : scope),
    });
    dialog.closed.then((isDone) => {
      if (isDone) announce(isFrozen ? `${name} is not frozen any more` : `${name} is frozen`, 'good');
      refresh();
    });
  };
  return button(`${isFrozen ? 'Unfreeze' : 'Freeze'}${text && ` ${text}`}`, { kind: isFrozen ? '' : 'bad-quiet', press, key: `freeze ${JSON.stringify(scope)}`, label: `${isFrozen ? 'Unfreeze' : 'Freeze'} ${name}` });
}

/** One line for each freeze. */
function words(freezes) {
  return h('ul', { class: 'plain-list' }, freezes.map((freeze) => h('li', null, wordOf(freeze))));
}

/** The heading of the column with switches, for those who hear it. */
function switches() {
  return h('span', { class: 'visually-hidden' }, 'Switch');
}

function isInForce(freezes, scope, id) {
  return freezes.some((freeze) => freeze.scope === scope && String(freeze.id ?? '') === String(id ?? ''));
}

function agentCard(agent, seen, session, refresh) {
  const lines = seen.budget.items.filter((line) => line.agent === agent.id);
  const spend = seen.spend?.agents.find((one) => one.agent === agent.id)?.days;
  const frozen = isInForce(seen.overview.freezes, 'agent', agent.id);
  return h('section', { class: 'card', 'aria-label': `Agent ${agent.id}` },
    h('div', { class: 'card-head' }, h('h2', null, said(agent.id)), agent.frozen && chip('frozen', 'bad'), h('span', { class: 'grow' }), lever({ agent: agent.id }, `agent ${agent.id}`, frozen, session, refresh)),
    pairs([
      ['Frozen', agent.freezes.length > 0 && words(agent.freezes)],
      ['Role', agent.role && said(agent.role)],
      ['Owner', agent.owner && said(agent.owner)],
      ['Policy', h('span', null, link(path(['policies', agent.id]), said(agent.policy.name)), ' ', hex(agent.policy.id))],
      ['Wallets', agent.wallets.join(', ')],
      ['Traces', link(path(['traces'], { agent: agent.id }), 'its decisions')],
    ]),
    seen.spend && (spend ? days(`Spend of ${agent.id}`, seen.spend.days, spend) : h('p', { class: 'quiet' }, `Nothing in the last ${DAYS} days.`)),
    lines.length > 0 ? h('ul', { class: 'budgets' }, lines.map(budgetLine)) : h('p', { class: 'quiet' }, 'No limit counts this agent.'));
}

function render(seen, session, refresh) {
  const { agents, wallets, overview } = seen;
  const { freezes } = overview;
  return [
    h('div', { class: 'cards' }, agents.items.length > 0 ? agents.items.map((agent) => agentCard(agent, seen, session, refresh)) : nothing('No agents', 'The configuration names none.')),
    card('Wallets', table('Wallets', [
      ['Wallet', (wallet) => h('span', null, said(wallet.id), wallet.external && [' ', chip('signs elsewhere', 'quiet')], wallet.freezes.length > 0 && [' ', chip('frozen', 'bad'), words(wallet.freezes)])],
      ['Address', (wallet) => hex(wallet.address)],
      ['Agents', (wallet) => wallet.agents.join(', ') || '–'],
      ['Balance', (wallet) => h('ul', { class: 'plain-list' }, wallet.chains.map((chain) => h('li', { class: 'num' }, chain.balance_wei === null ? h('span', { class: 'warn-text' }, 'unknown') : grouped(units(chain.balance_wei, 18)), h('span', { class: 'quiet' }, ` ${overview.chains.find(({ id }) => id === chain.chain)?.native ?? ''} on ${chain.name}`)))), 'right'],
      ['Sent', (wallet) => h('ul', { class: 'plain-list' }, wallet.chains.map((chain) => h('li', { class: 'num' }, chain.transactions ?? '–'))), 'right'],
      [switches(), (wallet) => lever({ wallet: wallet.id }, `wallet ${wallet.id}`, isInForce(freezes, 'wallet', wallet.id), session, refresh) ?? '', 'right'],
    ], wallets.items)),
    card('Chains', table('Chains', [
      ['Chain', (chain) => h('span', null, said(chain.name), h('span', { class: 'quiet' }, ` ${chain.id}`), isInForce(freezes, 'chain', chain.id) && [' ', chip('frozen', 'bad'), words(freezes.filter(({ scope, id }) => scope === 'chain' && id === chain.id))])],
      [switches(), (chain) => lever({ chain: chain.id }, `chain ${chain.name}`, isInForce(freezes, 'chain', chain.id), session, refresh) ?? '', 'right'],
    ], overview.chains)),
    session.can('freeze') && card('Everything', h('p', { class: 'quiet' }, 'For an emergency. The first stops everything but revocations and recorded cancels; the second stops those too.'),
      h('div', { class: 'actions' }, lever({}, 'all but revocations', isInForce(freezes, 'global'), session, refresh, 'all but revocations'), lever({ all: true }, 'everything', isInForce(freezes, 'all'), session, refresh, 'everything'))),
  ];
}

export const agents = {
  title: 'Agents and wallets',
  mount(main, { session }) {
    const place = h('div');
    main.append(heading('Agents and wallets'), place);
    const shown = region(place, async (signal) => {
      const [agentsSeen, wallets, budget, overview, spend] = await Promise.all([
        get('/agents', signal), get('/wallets', signal), get('/budget', signal), get('/overview', signal), spendOf(DAYS),
      ]);
      return { agents: agentsSeen, wallets, budget, overview, spend };
    }, (seen) => render(seen, session, () => shown.refresh()));
    return { changed: shown.refresh, leave: shown.leave };
  },
};
