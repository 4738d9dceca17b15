// What a call would really do, leaf by leaf.

import { grouped, isEndless, units, usd } from './amounts.js';
import { h } from './dom.js';
import { said } from './untrusted.js';
import { chip, hex, table } from './widgets.js';

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The token of an asset among the facts, if the configuration names it. */
export function tokenOf(asset, tokens) {
  return (tokens ?? []).find((token) => same(token.asset, asset));
}

function assetName(asset, tokens) {
  const token = tokenOf(asset, tokens);
  if (token) return token.name;
  if (asset === 'native') return 'native currency';
  if (asset?.token) return h('span', null, 'token ', hex(asset.token));
  if (asset?.collection) return h('span', null, 'collection ', hex(asset.collection));
  if (asset?.item) return h('span', null, 'item of ', hex(asset.item.collection), ' № ', BigInt(asset.item.id).toString());
  return 'asset';
}

/** An amount in whole units where the decimals are known, in base units otherwise. */
export function amountOf(asset, amount, tokens) {
  const token = tokenOf(asset, tokens);
  if (!token && isEndless(amount)) return h('strong', { class: 'bad-text' }, 'any amount');
  const text = token ? grouped(units(amount, token.decimals)) : `${grouped(BigInt(amount).toString())} base units of`;
  return h('span', { class: 'num' }, text, ' ', assetName(asset, tokens));
}

function sentence(action, tokens) {
  const { effect } = action;
  switch (effect.kind) {
    case 'transfer': return [amountOf(effect.asset, effect.amount, tokens), ' from ', hex(effect.from), ' to ', hex(effect.to)];
    case 'approve': return [hex(effect.spender), ' may move ', effect.unlimited
      ? [h('strong', { class: 'bad-text' }, 'any amount'), ' of ', assetName(effect.asset, tokens)]
      : amountOf(effect.asset, effect.amount, tokens), ' of ', hex(effect.owner), effect.deadline ? ` until ${until(effect.deadline)}` : ''];
    case 'revoke': return [hex(effect.spender), ' may move less ', assetName(effect.asset, tokens)];
    case 'call': return ['A call of ', hex(action.target)];
    case 'deploy': return ['A new contract; code ', hex(effect.init_code_hash)];
    case 'undecodable': return ['A call of ', hex(action.target), ' that cannot be read: ', said(effect.reason)];
    case 'delegate': return [hex(effect.delegate), ' acts as ', hex(effect.account), effect.chain ? ` on chain ${effect.chain}` : ' on every chain'];
    case 'typed_data': return ['Typed data ', said(effect.primary_type), tree(effect.message), h('span', { class: 'quiet' }, 'domain'), tree(effect.domain)];
    case 'text': return ['A text', h('div', { class: 'untrusted-text', tabindex: '0', role: 'region', 'aria-label': 'the text to be signed', dir: 'auto' }, said(effect.text))];
    case 'opaque': return ['A message that nobody can read: ', said(effect.reason)];
    default: return [said(effect.kind)];
  }
}

function until(seconds) {
  const value = BigInt(seconds);
  if (value > 8_640_000_000_000n) return 'the end of time';
  return new Date(Number(value) * 1000).toISOString();
}

/** A decoded argument: `{address: …}`, `{tuple: [[name, …]]}` …, as a tree. */
export function tree(value) {
  if (value === null || typeof value !== 'object') return said(String(value));
  const [[kind, inner] = ['', '']] = Object.entries(value);
  switch (kind) {
    case 'address': return hex(inner);
    case 'uint': case 'int': return h('span', { class: 'num' }, grouped(integer(inner)));
    case 'bool': return String(inner);
    case 'bytes': return hex(inner);
    case 'text': return said(inner);
    case 'list': return h('ol', { class: 'tree' }, inner.map((item) => h('li', null, tree(item))));
    case 'tuple': return h('ul', { class: 'tree' }, inner.map(([name, item]) => h('li', null, said(name, { class: 'tree-name' }), ' ', tree(item))));
    default: return said(JSON.stringify(value));
  }
}

function integer(text) {
  const negative = String(text).startsWith('-');
  const value = BigInt(negative ? String(text).slice(1) : text);
  return (negative ? -value : value).toString();
}

/** The list of effects; those inside containers are indented. `worth` has the USD of each where it is known. */
export function effects(actions, tokens, worth = []) {
  if (!actions?.length) return h('p', { class: 'quiet' }, 'Nothing was decoded.');
  return h('ol', { class: 'effects' }, actions.map((action, index) => h('li', { class: `depth-${Math.min(action.depth, 8)}` },
    h('div', { class: 'effect-line' },
      chip(action.effect.kind, action.effect.kind === 'undecodable' || action.effect.kind === 'opaque' ? 'bad' : 'info'),
      action.privileged && chip('privileged', 'bad'),
      action.unlisted && chip('unlisted function', 'warn'),
      action.foreign && chip('of somebody else', 'warn'),
      action.label && action.label !== action.effect.kind && said(action.label, { class: 'quiet' }),
      h('span', { class: 'effect-text' }, sentence(action, tokens)),
      worth[index] && h('span', { class: 'num effect-usd' }, usd(worth[index]))),
    BigInt(action.value_wei ?? 0) > 0n && action.effect.kind !== 'transfer' && h('p', { class: 'quiet' }, 'sends ', amountOf('native', action.value_wei, tokens), ' along'),
    action.via && action.via !== 'call' && h('p', { class: 'quiet' }, `by ${action.via.replaceAll('_', ' ')}`),
    action.functions.map((call) => h('details', { class: 'call', 'data-open': `${index} ${call.signature}` },
      h('summary', null, h('code', null, said(call.signature))), tree(call.args))))));
}

/** What the wallet would have more or less of. */
export function balances(simulated, tokens) {
  if (simulated === undefined || simulated === null) return h('p', { class: 'quiet' }, 'Not simulated: no rule asked for it, or the chain is configured without.');
  if (simulated.unknown !== undefined) return h('p', { class: 'warn-text' }, 'Unknown: ', said(simulated.unknown));
  const { reverted, changes, approvals } = simulated.known;
  if (reverted) return h('p', { class: 'bad-text' }, 'It would fail, and cost its fee.');
  if (changes.length + approvals.length === 0) return h('p', null, 'The balances stay as they are.');
  return h('ul', { class: 'balances' },
    changes.map((change) => {
      const isLoss = BigInt(change.lost) > 0n;
      return h('li', { class: isLoss ? 'bad-text' : 'good-text' }, isLoss ? '− ' : '+ ', amountOf(change.asset, isLoss ? change.lost : change.gained, tokens));
    }),
    approvals.map((granted) => h('li', { class: 'warn-text' }, hex(granted.spender), ' may then move ', amountOf(granted.asset, granted.amount, tokens))));
}

/** What every rule and limit said. */
export function verdicts(found, caption = 'Verdicts') {
  if (found.length === 0) return h('p', { class: 'quiet' }, 'None is recorded.');
  return table(caption, [
    ['Says', (verdict) => chip(verdict.says ?? '–')],
    ['Rule or limit', (verdict) => h('code', null, said(verdict.rule ?? ''))],
    ['Policy', (verdict) => said(verdict.policy ?? '')],
    ['Detail', (verdict) => h('span', null, verdict.code && [h('code', null, said(verdict.code)), ' '], said(verdict.detail || (verdict.code ? '' : '–')))],
  ], found, { rowClass: (verdict) => (verdict.passed === false ? 'row-warn' : null) });
}
