// What waits for people: the list, and everything that one needs to judge an entry.

import { Problem, get, post, withQuery } from './api.js';
import { fromMicros, gwei, grouped, micros, thousandths, usd } from './amounts.js';
import { amountOf, balances, effects } from './decoded.js';
import { announce, ask, isAsking } from './dialogs.js';
import { h, replace } from './dom.js';
import { here } from './keyboard.js';
import { go, note } from './router.js';
import { Unsigned, ways } from './signing.js';
import { ago, left, stamp } from './time.js';
import { said, saidByAgent } from './untrusted.js';
import { plural } from './version_parts.js';
import { admits, persons, words, yeses } from './votes.js';
import { bar, button, card, chip, field, heading, hex, link, nothing, pairs, region, table } from './widgets.js';

const LIST_MAX = 100;

/** How many are put into another order than the one they come in; of more, the newest. */
const ORDERED_MAX = 2000;

const SHOWN = [['pending', 'Waiting'], ['rejected', 'Rejected'], ['expired', 'Expired'], ['executed,broadcast,mined,approved', 'Approved'], ['all', 'All']];
const ORDERS = [['newest', 'Newest first'], ['largest', 'Largest first'], ['agent', 'By agent']];

/** The largest first, and before it what is of unknown worth: nobody knows that it is small. */
function byWorth(one, other) {
  const [a, b] = [one, other].map((entry) => (entry.amount_usd ? micros(entry.amount_usd) : null));
  if (a === null || b === null) return Number(b === null) - Number(a === null);
  return a < b ? 1 : Number(a > b) * -1;
}

/** Entries by their agents; whoever asks for most is first. */
function byAgent(entries) {
  const agents = new Map();
  for (const entry of entries.toSorted(byWorth)) agents.set(entry.agent, [...(agents.get(entry.agent) ?? []), entry]);
  return [...agents];
}

/** How many of an agent's wait, and what they come to. */
function crowd([agent, entries]) {
  const known = entries.filter((entry) => entry.amount_usd);
  const sum = usd(fromMicros(known.reduce((all, entry) => all + micros(entry.amount_usd), 0n)));
  const unknown = entries.length - known.length;
  return h('li', { class: 'inbox-group' }, h('strong', null, said(agent)), ` ${plural(entries.length, 'entry', 'entries')}, ${sum}${unknown > 0 ? ` and ${unknown} of unknown worth` : ''}`);
}

function people(of) {
  return of.includes('*') ? 'anybody who may approve' : of.join(', ');
}

/** Approved, and not carried out yet: a gate's delay leaves time for a no. */
function isDelayed(entry) {
  return entry.status === 'APPROVED' && entry.gates.some((gate) => gate.delay && gate.delay !== '0s');
}

/** Why this operator has no say, or null if they have. */
function silence(entry, session) {
  if (entry.decided && !isDelayed(entry)) return `It is decided: ${entry.status.replaceAll('_', ' ').toLowerCase()}.`;
  if (!session.can('approve')) return 'You may look, but your roles do not include `approve`.';
  if (session.person === entry.evidence?.owner) return 'You own this agent: nobody approves for an agent that their person owns.';
  const me = { operator: session.operator, person: session.person, groups: session.groups };
  if (!entry.gates.some((gate) => gate.need.some((quorum) => admits(quorum, me)))) return 'You are in none of the gates that this waits for.';
  return null;
}

function hasVoted(entry, session) {
  return entry.votes.some((vote) => vote.operator === session.operator || vote.person === session.person);
}

function gateView(gate, entry, index) {
  // the gateway itself says who counts, where it does
  const told = entry.progress?.[index]?.clauses;
  const owner = entry.evidence?.owner;
  const clauses = gate.need.map((quorum, clause) => {
    const yes = told?.[clause]?.counted ?? persons(quorum, yeses(entry), owner);
    const missing = Math.max(0, quorum.any - yes.length);
    return h('li', null, h('span', { class: 'num' }, `${yes.length} of ${quorum.any}`), ' from ', said(people(quorum.of)), ' ',
      missing === 0 ? chip('open', 'good') : chip(`${missing} missing`, 'warn'));
  });
  return h('div', { class: 'gate' }, h('h3', null, said(gate.id), h('span', { class: 'quiet' }, ` of policy ${gate.policy}`)), h('ul', { class: 'plain-list' }, clauses),
    gate.in_order && h('p', { class: 'quiet' }, 'in this order, each time by other persons'),
    gate.sign?.length > 0 && h('p', { class: 'quiet' }, `each yes signed with ${gate.sign.map((kind) => kind.replaceAll('_', ' ')).join(' or ')}`),
    gate.delay && gate.delay !== '0s' && h('p', { class: 'quiet' }, `carried out ${gate.delay} after the last yes at the earliest`));
}

function gates(entry) {
  return card('Who must say yes', entry.gates.map((gate, index) => gateView(gate, entry, index)),
    entry.votes.length > 0 ? h('ul', { class: 'votes' }, words(entry).map((vote) => h('li', null, h('strong', null, said(vote.operator)), vote.isYes ? ' said yes ' : ' said no ', ago(vote.at), vote.note && h('p', null, said(vote.note)))))
      : h('p', { class: 'quiet' }, 'Nobody has said anything yet.'));
}

/** The limits that this charges, before and after, as far as their counters are shown. */
function budgets(entry, lines) {
  const rows = entry.operation.charges.map((charge) => {
    const { policy, limit, per } = charge.source;
    const found = (lines ?? []).filter((line) => line.policy === policy && line.limit === limit && line.per === per);
    const isUsd = charge.unit === 'usd';
    const text = (amount) => (isUsd ? fromMicros(amount) : String(amount));
    const own = BigInt(charge.value) + BigInt(charge.fee);
    const max = text(BigInt(charge.limit));
    const counts = found.length === 1 && entry.status === 'PENDING_APPROVAL' ? found[0] : null;
    // what is parked is reserved: the counter has it already
    const scaled = (amount) => (isUsd ? micros(amount) : BigInt(amount));
    const after = counts ? scaled(counts.used) : null;
    const before = after === null ? null : after > own ? after - own : 0n;
    return { charge, isUsd, own: text(own), max, before: before === null ? null : text(before), after: after === null ? null : text(after) };
  });
  if (rows.length === 0) return h('p', { class: 'quiet' }, 'It takes nothing from any limit.');
  const show = (row, amount) => (row.isUsd ? usd(amount) : grouped(amount));
  return h('ul', { class: 'budgets' }, rows.map((row) => h('li', { class: 'budget' },
    h('div', { class: 'budget-head' }, h('span', null, said(row.charge.source.limit), h('span', { class: 'quiet' }, ` ${row.charge.source.policy} · per ${row.charge.source.per}`)),
      h('span', { class: 'num' }, row.after === null ? ['takes ', show(row, row.own)] : [show(row, row.before), ' → ', h('strong', null, show(row, row.after))], h('span', { class: 'quiet' }, ` of ${show(row, row.max)}`))),
    row.after !== null && bar(`${row.charge.source.limit}: ${show(row, row.before)} before, ${show(row, row.after)} after, of ${show(row, row.max)}`, thousandths(row.before, row.max), thousandths(row.after, row.max)))));
}

function historyOf(history) {
  if (!history) return h('p', { class: 'quiet' }, 'Not available.');
  const { items, looked_through: seen, complete } = history;
  const among = complete ? `all ${grouped(String(seen))} decisions of this agent` : `this agent’s last ${grouped(String(seen))} decisions`;
  const older = !complete && h('p', { class: 'warn-text' }, 'Older decisions, made before ', stamp(history.since), ', are not counted.');
  if (items.length === 0) return [h('p', { class: 'warn-text' }, `Nothing with this counterparty among ${among}.`), older];
  return [pairs([
    ['Payments', h('strong', null, `${plural(history.paid, 'payment')}, ${history.paid_usd === null ? 'more than can be said' : usd(history.paid_usd)}`)],
    ['Largest', history.largest_usd && usd(history.largest_usd)],
    ['Of unknown worth', history.unpriced > 0 && h('span', { class: 'warn-text' }, String(history.unpriced))],
    ['Decisions', `${plural(history.decisions, 'decision')} among ${among}`],
    ['First', ago(history.first_at)], ['Last', ago(history.last_at)],
  ].filter(([, value]) => value)), older, table('Earlier decisions with the same counterparty', [
    ['When', (item) => ago(item.created_at)],
    ['Amount', (item) => h('span', { class: 'num' }, item.amount ? `${grouped(item.amount)} ${item.token}` : '–', item.amount_usd && h('span', { class: 'quiet' }, ` ${usd(item.amount_usd)}`))],
    ['Outcome', (item) => chip(item.status)],
    ['Operation', (item) => (item.operation ? h('a', { href: `#/operations/${item.operation}`, class: 'mono', title: item.operation }, `${item.operation.slice(0, 9)}…`) : '–')],
  ], items)];
}

function why(entry) {
  const asked = entry.verdicts?.filter((verdict) => verdict.says === 'approve' || verdict.says === 'deny') ?? [];
  return card('Why it waits', pairs([
    ['Rule', h('strong', null, said(entry.rule ?? '–'))],
    ['Code', h('code', null, said(entry.code))],
    ['Reason', said(entry.reason)],
    ['Policy', entry.policy && h('span', null, link(`/policies/${encodeURIComponent(entry.agent)}`, 'version'), ' ', hex(entry.policy))],
    ['Risk', risk(entry)],
  ]), asked.length > 1 && h('ul', { class: 'plain-list' }, asked.map((verdict) => h('li', null, chip(verdict.says), ' ', h('code', null, said(verdict.rule)), ' ', h('span', { class: 'quiet' }, said(verdict.detail))))));
}

function risk(entry) {
  const parts = entry.risk_parts ?? [];
  const tone = entry.risk_score >= 70 ? 'bad' : entry.risk_score >= 30 ? 'warn' : 'quiet';
  return h('span', null, chip(`${entry.risk_score ?? 0} of 100`, tone), parts.length > 0 && h('ul', { class: 'plain-list' }, parts.map((part) => h('li', null, said(part.reason ?? part.name ?? part.part ?? JSON.stringify(part)), part.points !== undefined && h('span', { class: 'quiet num' }, ` +${part.points}`)))));
}

function terms(entry) {
  const { operation, evidence } = entry;
  const fee = operation.transaction?.fee ?? {};
  return pairs([
    ['Agent', h('span', null, link('/agents', said(entry.agent)), evidence?.role && h('span', { class: 'quiet' }, ` ${evidence.role}`))],
    ['Session', entry.session ? h('span', null, said(entry.session)) : 'none was named'],
    ['Says it is', entry.declared_action && h('span', null, said(entry.declared_action), h('span', { class: 'quiet' }, ' (the agent’s word)'))],
    ['From', h('span', null, said(entry.wallet), ' ', hex(entry.address))],
    ['To', entry.to && h('span', null, hex(entry.to, { whole: true }), ' ', seen(entry))],
    ['Chain', `${entry.chain_name ?? ''} (${entry.chain})`],
    ['Asked by', h('code', null, said(operation.method))],
    ['Fee at most', evidence && h('span', null, amountOf('native', evidence.fee_wei_max, evidence.tokens), fee.max_fee_per_gas && h('span', { class: 'quiet' }, ` · ${grouped(evidence.gas)} gas at ${gwei(fee.max_fee_per_gas)}`))],
    ['Asked', stamp(entry.created_at)],
    ['Operation', link(`/operations/${entry.id}`, h('code', null, entry.id))],
    ['Trace', link(`/traces/${entry.trace_hash}`, h('code', { class: 'break' }, entry.trace_hash))],
  ]);
}

function seen(entry) {
  const known = entry.evidence?.seen?.known;
  if (!known || !entry.to) return null;
  return known.includes(entry.to.toLowerCase()) ? chip('paid before', 'good') : chip('never paid before', 'warn');
}

function headline(entry) {
  const amount = entry.amount ? `${grouped(entry.amount)} ${entry.token}` : entry.action_type;
  return h('div', { class: 'detail-head' },
    h('h2', { id: 'entry-title', tabindex: '-1' }, said(entry.action_type), ' ', entry.amount ? h('span', { class: 'num' }, amount) : null),
    entry.amount_usd && h('p', { class: 'detail-usd num' }, usd(entry.amount_usd)),
    h('p', null, chip(entry.status), ' ', !entry.decided && left(entry.expires_at)));
}

function explain(error) {
  if (error instanceof Unsigned) return { text: error.message, final: false };
  if (!(error instanceof Problem)) return { text: 'The page met something that it does not understand.', final: true };
  const now = error.body.operation_status?.toLowerCase();
  switch (error.code) {
    case 'already_decided': return { text: `Somebody was faster: it is ${now ?? 'decided'}. Nothing of yours was recorded.`, final: true };
    case 'digest_mismatch': return { text: 'It is not what you looked at any more. Nothing was approved; look at it again.', final: true };
    case 'expired': return { text: 'Its time ran out. Nothing was approved, and nothing will be sent.', final: true };
    case 'not_in_gate': return { text: 'You are in none of the gates that it waits for. Nothing was recorded.', final: true };
    case 'requester': return { text: 'You own this agent: somebody else must say yes. Nothing was recorded.', final: true };
    case 'role_missing': return { text: 'Your roles do not include `approve`. Nothing was recorded.', final: true };
    case 'unreachable': return { text: `${error.message} Whether your word was recorded is not known: look at the entry again before you repeat it.`, final: false };
    default: return { text: `${error.message} (${error.code})`, final: error.status >= 400 && error.status < 500 };
  }
}

function question(entry) {
  return [h('p', { class: 'ask-summary' }, said(entry.summary)), pairs([
    ['Worth', entry.amount_usd ? h('span', { class: 'num' }, usd(entry.amount_usd)) : h('span', { class: 'warn-text' }, 'unknown')],
    ['To', entry.to && h('code', { class: 'break' }, entry.to)],
    ['Chain', `${entry.chain_name ?? ''} (${entry.chain})`],
    ['Fee at most', entry.evidence && amountOf('native', entry.evidence.fee_wei_max, entry.evidence.tokens)],
    ['Digest', h('code', { class: 'break', id: 'ask-digest' }, entry.digest)],
  ])];
}

/** What is different from what people said yes to before: it was parked again for that. */
function changed(entry) {
  if (!entry.changed) return null;
  const lines = Array.isArray(entry.changed) ? entry.changed : Object.entries(entry.changed);
  return h('div', { class: 'banner banner-warn' }, h('strong', null, 'It has changed since people said yes, and waits again.'),
    h('ul', { class: 'plain-list' }, lines.map((line) => h('li', null, said(typeof line === 'string' ? line : JSON.stringify(line))))));
}

/** The page: one list, one entry, and what may be done with it. */
class Inbox {
  constructor(main, { parts, query, session }) {
    this.session = session;
    this.id = parts[0] ?? null;
    this.which = query.get('show') ?? 'pending';
    this.order = query.get('order') ?? 'newest';
    this.items = [];
    this.asking = null;
    this.listPlace = h('div', { class: 'inbox-list', 'data-scroll': 'inbox' });
    this.entryPlace = h('div', { class: 'inbox-entry' });
    this.actions = h('div', { class: 'inbox-actions' });
    this.split = h('div', { class: 'split' }, h('section', { 'aria-label': 'Entries' }, this.listPlace), h('section', { class: 'entry', 'aria-label': 'Entry' }, this.entryPlace, this.actions));
    const choice = (name, options, chosen, choose) => h('select', { 'aria-label': name, on: { change: (event) => choose(event.target.value) } },
      options.map(([key, text]) => h('option', { value: key, selected: key === chosen }, text)));
    const which = choice('Which entries', SHOWN, this.which, (key) => this.show({ which: key }));
    const order = choice('Order', ORDERS, this.order, (key) => this.show({ order: key }));
    main.append(heading('Approval inbox', which, order), this.split);
    this.list = region(this.listPlace, (signal) => this.load(signal), (page) => this.drawList(page));
    this.entry = null;
    this.openEntry();
    here([
      ['j', 'next entry', () => this.move(1)],
      ['k', 'entry before', () => this.move(-1)],
      ['a', 'approve', () => this.approve()],
      ['r', 'reject', () => this.reject()],
      ['o', 'open its operation', () => this.id && go(`/operations/${this.id}`)],
    ]);
  }

  show({ which = this.which, order = this.order }) {
    Object.assign(this, { which, order, items: [] });
    note(this.path());
    this.list.refresh();
  }

  path(id = this.id) {
    const query = { show: this.which === 'pending' ? null : this.which, order: this.order === 'newest' ? null : this.order };
    return withQuery(`/inbox${id ? `/${id}` : ''}`, query);
  }

  /** One page; in another order than they come, all of them: the largest may be the oldest. */
  async load(signal) {
    const { order } = this;
    const next = (cursor) => get(withQuery('/pending-operations', { status: this.which === 'pending' ? null : this.which, limit: LIST_MAX, cursor }), signal);
    let page = await next(null);
    const { items } = page;
    while (order !== 'newest' && page.next_cursor && items.length < ORDERED_MAX) {
      page = await next(page.next_cursor);
      items.push(...page.items);
    }
    return { order, items, next_cursor: page.next_cursor };
  }

  drawList(page) {
    const groups = page.order === 'agent' ? byAgent(page.items) : [[null, page.order === 'largest' ? page.items.toSorted(byWorth) : page.items]];
    this.items = groups.flatMap(([, entries]) => entries);
    if (!this.id && this.items.length > 0 && matchMedia('(min-width: 60rem)').matches) {
      queueMicrotask(() => this.select(this.items[0].id, false));
    }
    if (this.items.length === 0) {
      return this.which === 'pending' ? nothing('Nothing waits for you', 'When a policy asks for a person, the operation appears here by itself.') : nothing('Nothing here', 'No operation is in this state.');
    }
    const entry = (item) => h('li', null, h('a', { href: `#${this.path(item.id)}`, class: 'inbox-item', 'aria-current': item.id === this.id ? 'true' : null, 'data-id': item.id },
      h('span', { class: 'inbox-item-top' }, h('strong', null, said(item.agent)), h('span', { class: 'num' }, item.amount_usd ? usd(item.amount_usd) : item.amount ? `${grouped(item.amount)} ${item.token}` : '')),
      h('span', { class: 'inbox-item-what' }, said(item.action_type), item.to && h('span', { class: 'quiet mono' }, ` to ${item.to.slice(0, 6)}…${item.to.slice(-4)}`)),
      h('span', { class: 'inbox-item-foot quiet' }, h('span', null, item.code), item.decided ? chip(item.status) : left(item.expires_at)),
      item.votes.length > 0 && !item.decided && h('span', { class: 'inbox-item-foot' }, chip(`${item.votes.length} said yes`, 'info'))));
    const rows = groups.map((group) => [group[0] !== null && crowd(group), group[1].map(entry)]);
    return [h('ul', { class: 'inbox-items' }, rows),
      page.next_cursor && this.items.length >= LIST_MAX && h('p', { class: 'quiet pad' }, `The newest ${this.items.length} are shown.`)];
  }

  select(id, hasFocus = true) {
    if (this.id === id) return;
    this.id = id;
    note(this.path());
    this.mark(hasFocus);
    this.openEntry();
  }

  mark(hasFocus) {
    for (const element of this.listPlace.querySelectorAll('[data-id]')) {
      const isShown = element.dataset.id === this.id;
      if (isShown) element.setAttribute('aria-current', 'true');
      else element.removeAttribute('aria-current');
      if (isShown && hasFocus) element.focus();
    }
  }

  move(step) {
    if (this.items.length === 0) return;
    const at = this.items.findIndex((item) => item.id === this.id);
    const next = at < 0 ? 0 : Math.min(this.items.length - 1, Math.max(0, at + step));
    this.select(this.items[next].id);
  }

  openEntry() {
    this.entryRegion?.leave();
    this.entry = null;
    this.split.classList.toggle('has-entry', this.id !== null);
    this.actions.replaceChildren();
    if (!this.id) {
      this.entryPlace.replaceChildren(nothing('No entry is chosen', 'Pick one, or press j.'));
      return;
    }
    const { id } = this;
    this.entryRegion = region(this.entryPlace, async (signal) => {
      const entry = await get(`/pending-operations/${encodeURIComponent(id)}`, signal);
      const optional = (promise) => promise.catch((error) => {
        if (error.name === 'AbortError') throw error;
        return null;
      });
      const [budget, history] = await Promise.all([
        optional(get(withQuery('/budget', { agent: entry.agent }), signal)),
        optional(get(`/pending-operations/${encodeURIComponent(id)}/history`, signal)),
      ]);
      return { entry, budget, history };
    }, (loaded) => this.drawEntry(loaded));
  }

  drawEntry({ entry, budget, history }) {
    this.entry = entry;
    this.drawActions(entry);
    this.warn(entry);
    return [
      h('a', { class: 'back', href: '#/inbox' }, '← All entries'),
      headline(entry),
      changed(entry),
      terms(entry),
      entry.reasoning && saidByAgent('Reasoning', entry.reasoning),
      card('What it does', effects(entry.actions, entry.evidence?.tokens, (entry.actions ?? []).map((_, index) => (index === 0 && entry.actions.length === 1 ? entry.amount_usd : null)))),
      h('div', { class: 'columns' },
        h('div', { class: 'column' }, why(entry), gates(entry)),
        h('div', { class: 'column' }, card('Balance change', balances(entry.evidence?.simulated, entry.evidence?.tokens)), card('Limits, before → after', budgets(entry, budget?.items)))),
      card('History with this recipient', historyOf(history)),
      card('Digest', h('p', { class: 'quiet' }, 'What an approval names: the operation, its payload, gas, fee ceiling, gates, expiry and evidence.'), hex(entry.digest, { whole: true })),
    ];
  }

  drawActions(entry) {
    const reason = silence(entry, this.session);
    if (reason) {
      replace(this.actions, h('p', { class: 'quiet' }, reason));
      return;
    }
    const voted = hasVoted(entry, this.session);
    replace(this.actions,
      !entry.decided && button('Approve', { kind: 'primary', press: () => this.approve(), disabled: voted, key: 'approve', shortcut: 'a' }),
      button('Reject', { kind: 'bad', press: () => this.reject(), key: 'reject', shortcut: 'r' }),
      voted && h('p', { class: 'quiet' }, 'You said yes; others are missing.'));
  }

  /** Tells an open question that its ground has moved. */
  warn(entry) {
    if (!this.asking || this.asking.id !== entry.id) return;
    if (entry.decided) this.asking.dialog.stop(`Meanwhile it was decided by somebody else: it is ${entry.status.replaceAll('_', ' ').toLowerCase()}.`);
    else if (entry.digest !== this.asking.digest) this.asking.dialog.stop('Meanwhile it has changed. Look at it again.');
  }

  async approve() {
    const { entry } = this;
    if (!entry || entry.decided || isAsking() || silence(entry, this.session) || hasVoted(entry, this.session)) return;
    const way = ways(entry);
    await this.decide(entry, {
      title: 'Approve this operation?',
      body: [question(entry), h('p', { class: 'quiet' }, 'You approve exactly this digest. It is judged again before it is sent.')],
      fields: [field('Note (kept in the record)', h('input', { name: 'note', maxlength: 1000, autocomplete: 'off' })), way.fields],
      yes: 'Approve',
      act: async (form) => {
        const signature = await way.sign(form);
        return post(`/pending-operations/${encodeURIComponent(entry.id)}/approve`, { digest: entry.digest, ...(form.get('note') ? { note: form.get('note') } : {}), ...(signature ? { signature } : {}) });
      },
      done: 'Approved',
    });
  }

  async reject() {
    const { entry } = this;
    if (!entry || isAsking() || silence(entry, this.session)) return;
    await this.decide(entry, {
      title: 'Reject this operation?',
      body: question(entry),
      fields: field('Reason (the agent is told)', h('input', { name: 'reason', required: true, maxlength: 1000, autocomplete: 'off' })),
      yes: 'Reject', kind: 'bad',
      act: (form) => post(`/pending-operations/${encodeURIComponent(entry.id)}/reject`, { reason: form.get('reason') }),
      done: 'Rejected',
    });
  }

  async decide(entry, { done, ...asking }) {
    const at = this.items.findIndex((item) => item.id === entry.id);
    const dialog = ask({ ...asking, explain: (error) => { this.refresh(); return explain(error); } });
    this.asking = { id: entry.id, digest: entry.digest, dialog };
    const isDone = await dialog.closed;
    this.asking = null;
    await this.refresh();
    if (!isDone) return;
    announce(`${done}: ${entry.summary}`, 'good');
    const next = this.items[Math.min(Math.max(at, 0), this.items.length - 1)];
    // the next one is chosen so that a queue is worked off with two keys; a narrow screen stays where it is
    if (this.entry?.decided && this.which === 'pending' && next && this.id === entry.id && matchMedia('(min-width: 60rem)').matches) this.select(next.id);
  }

  async refresh() {
    await Promise.all([this.list.refresh(), this.entryRegion?.refresh()]);
  }
}

export const inbox = {
  title: 'Approval inbox',
  mount(main, given) {
    const page = new Inbox(main, given);
    return {
      changed: () => page.refresh(),
      moved: ({ parts, query }) => {
        if ((query.get('show') ?? 'pending') !== page.which) return false;
        const id = parts[0] ?? null;
        if (id !== page.id) {
          page.id = id;
          page.mark(false);
          page.openEntry();
        }
        return true;
      },
      leave: () => {
        page.list.leave();
        page.entryRegion?.leave();
      },
    };
  },
};
