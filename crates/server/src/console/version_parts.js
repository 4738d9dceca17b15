// What a version of a policy does, and where it stands: the pieces of its page, of the lists and of the editor.

import { Problem } from './api.js';
import { h } from './dom.js';
import { ago, span } from './time.js';
import { said } from './untrusted.js';
import { button, chip, field, named, table } from './widgets.js';

const SHOWN = 20;

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** Where keys are pinned: the signature of exactly this text, and what of it is sent. */
export function signature() {
  const area = h('textarea', { name: 'signature', rows: 4, spellcheck: 'false', autocomplete: 'off' });
  const place = field('Signature of exactly this text (the `.sig` that `countersign policy sign` writes)', area);
  const given = () => {
    const text = area.value.trim();
    if (text === '') return {};
    try {
      return { signed: JSON.parse(text) };
    } catch {
      throw new Problem(0, 'signature_invalid', 'The signature is not what `countersign policy sign` writes.');
    }
  };
  return { place, given };
}

/** What can be said of a class in a sentence. */
export const CLASS = {
  same: 'Nothing that is allowed changes.',
  tightening: 'It can only narrow: it may be in force at once.',
  loosening: 'It may allow more: it waits for people, and then for its time.',
};

/** Every change, the loosening ones first. */
export function changes(found) {
  if (found.length === 0) return h('p', { class: 'quiet' }, 'It says what the version in force says.');
  const order = ['loosening', 'tightening', 'same'];
  const sorted = [...found].sort((one, other) => order.indexOf(one.class) - order.indexOf(other.class));
  return h('ul', { class: 'plain-list changes' }, sorted.map((change) => h('li', null, chip(change.class), ' ', h('strong', null, said(change.what)), ' ', said(change.text))));
}

/** Its own tests. */
export function tests(found) {
  if (found.length === 0) return h('p', { class: 'quiet' }, 'It has no tests of its own.');
  const failed = found.filter((test) => !test.passed);
  const entry = (test) => h('li', null, chip(test.passed ? 'pass' : 'failed'), ' ', said(test.name), h('span', { class: 'quiet' }, ` line ${test.line}`));
  if (failed.length > 0) return h('ul', { class: 'plain-list' }, failed.map(entry));
  return h('details', { 'data-open': 'tests' }, h('summary', null, found.length === 1 ? 'Its test passes' : `All ${found.length} tests pass`), h('ul', { class: 'plain-list' }, found.map(entry)));
}

/** `would newly deny 3, allow 1, park 4` */
export function flips({ newly: { deny, allow, park } }) {
  const parts = [[deny, 'deny'], [allow, 'allow'], [park, 'park']].filter(([count]) => count > 0).map(([count, verb]) => `${verb} ${count}`);
  return parts.length === 0 ? 'would change none' : `would newly ${parts.join(', ')}`;
}

/** Recorded decisions, decided again. */
export function backTest(found, { since, explain } = {}) {
  if (!found) return h('p', { class: 'quiet' }, 'It was not held against recorded decisions.');
  const time = since ?? `of the last ${span(Date.parse(found.to) - Date.parse(found.from))}`;
  const loose = found.newly.allow > 0;
  const sentence = found.decisions === 0 ? `There is no decision ${time} to hold it against.` : `Of ${plural(found.decisions, 'decision')} ${time} it ${flips(found)}.`;
  return [
    h('p', { class: loose ? 'warn-text' : null }, sentence),
    found.newly_allowed_at_risk > 0 && h('p', { class: 'warn-text' }, `${found.newly_allowed_at_risk} of what it would newly allow was at high risk.`),
    found.skipped > 0 && h('p', { class: 'quiet' }, `${plural(found.skipped, 'more was', 'more were')} not decided again: made under policies that are not here any more, or before anything was judged.`),
    found.truncated && h('p', { class: 'quiet' }, 'There were more; the newest were looked at.'),
    found.decisions > 0 && evaluators(found.evaluators),
    found.examples.length > 0 && examples(found.examples, explain),
  ];
}

/** Hundredths of a percent; of nothing a dash. */
export const percent = (bp) => (bp === null || bp === undefined ? '–' : `${Math.floor(bp / 100)}.${String(bp % 100).padStart(2, '0')} %`);

const EVALUATORS = [
  ['compliance', 'Compliance', 'ends as it was recorded'], ['utility', 'Utility', 'is let through'], ['latency', 'Latency', 'waits for nobody'],
  ['safety', 'Safety', 'of high risk, is denied or parked'], ['economics', 'Economics', 'of what it is worth, is let through'],
];

/** Each evaluator of the same decisions, under the version in force and under this one. */
function evaluators(found) {
  const share = ({ of }, part) => (of === 0 ? null : Number((BigInt(Math.trunc(part)) * 10_000n) / BigInt(Math.trunc(of))));
  const rows = EVALUATORS.map(([key, name, means]) => {
    const measured = found[key];
    return { name, means, inForce: share(measured, measured.in_force), version: share(measured, measured.version), falls: measured.version < measured.in_force };
  });
  return table('Evaluators, against the version in force', [
    ['Evaluator', (one) => h('span', null, one.name, h('span', { class: 'quiet' }, ` ${one.means}`))],
    ['In force', (one) => percent(one.inForce), 'right nowrap'],
    ['This', (one) => h('span', { class: one.falls ? 'warn-text' : null }, percent(one.version)), 'right nowrap'],
  ], rows);
}

/** Why evaluators hold a version back. */
export function falls(found) {
  return h('ul', { class: 'plain-list' }, found.map((one) => h('li', { class: 'bad-text' }, `${EVALUATORS.find(([key]) => key === one.evaluator)?.[1] ?? one.evaluator} would fall from ${percent(one.in_force_bp)} to ${percent(one.version_bp)}; it may fall by ${percent(one.most_bp)} at most.`)));
}

function examples(found, explain) {
  const end = (text) => {
    const [outcome, ...code] = text.split(' ');
    return h('span', null, chip(outcome), code.length > 0 && [' ', h('code', { class: 'break' }, said(code.join(' ')))]);
  };
  return table('Decisions that would end otherwise', [
    ['Decision', (one) => named(`/traces/${one.trace}`, one.trace)],
    ['Was', (one) => end(one.before)],
    ['Would be', (one) => end(one.after)],
    ...(explain ? [['Why', (one) => button('Explain', { press: () => explain(one.trace), key: `explain ${one.trace}`, label: `Explain decision ${one.trace}` })]] : []),
  ], found.slice(0, SHOWN));
}

/** `1 yes of risk, then 1h` */
export function gateWords({ approvals, groups, delay }) {
  const who = approvals === 0 ? 'nobody' : `${plural(approvals, 'yes', 'yeses')}${groups.length > 0 ? ` of ${groups.join(' or ')}` : ''}`;
  return delay === '0s' ? who : `${who}, then ${delay}`;
}

/** How many people have said yes, each once. */
function people(waiting) {
  return new Set(waiting.votes.map((vote) => vote.person)).size;
}

/** What a version waits for, in a line. */
export function waitsFor({ waiting }) {
  if (!waiting) return null;
  if (waiting.not_before) return h('span', null, 'its time, ', ago(waiting.not_before));
  return h('span', null, `${people(waiting)} of ${plural(waiting.approvals, 'yes', 'yeses')}`, waiting.groups.length > 0 && [' of ', said(waiting.groups.join(' or '))]);
}

/** How many are missing. */
export function missing(waiting) {
  return Math.max(0, waiting.approvals - people(waiting));
}

/** Where it came from. */
export function origin(version) {
  const from = version.from?.is ?? version.from;
  if (from === 'file') return h('span', null, 'a file', version.from.gateway && [' of ', said(version.from.gateway)]);
  const who = version.proposed_by && said(version.proposed_by.operator);
  if (from === 'rollback') return h('span', null, who, ` back to version ${version.from.of}`);
  return who ?? 'operators';
}

const WORDS = {
  proposed: ['Proposed', ''], asked: ['Asked for', 'warn'], approved: ['Said yes', 'good'], recompared: ['Compared anew', 'warn'], activated: ['In force', 'good'],
  superseded: ['Superseded', ''], rejected: ['Rejected', 'bad'], withdrawn: ['Withdrawn', ''],
};

/** Who did what to it, and when. */
export function steps(version) {
  return h('ol', { class: 'timeline' }, version.history.map((step) => {
    const [name, tone] = WORDS[step.what] ?? [step.what, ''];
    const by = step.by ? said(step.by) : step.what === 'proposed' ? origin(version) : 'the gateway';
    return h('li', { class: tone && `step-${tone}` }, h('span', { class: 'timeline-name' }, name), h('span', { class: 'timeline-more' }, by, step.note && [' ', h('span', { class: 'quiet' }, '“', said(step.note), '”')]), h('span', { class: 'timeline-at' }, ago(step.at)));
  }));
}

/** The classes of a version as chips. */
export function standing(version) {
  return [version.in_force ? chip('in force', 'good') : chip(version.state), ' ', chip(version.class), version.shadow && version.state !== 'shadow' && [' ', chip('shadow', 'info')]];
}
