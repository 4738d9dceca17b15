// One version of an agent's policy: what it does, what is said of it, and the words that may be said to it.

import { get, post, Problem } from './api.js';
import { announce, ask, isAsking } from './dialogs.js';
import { difference } from './diff.js';
import { EXPLAINED, scores } from './evaluations.js';
import { h, replace } from './dom.js';
import { here } from './keyboard.js';
import { go, path } from './router.js';
import { source } from './source.js';
import { ago, stamp } from './time.js';
import { said } from './untrusted.js';
import { backTest, changes, CLASS, flips, gateWords, missing, origin, plural, signature, standing, steps, tests, waitsFor } from './version_parts.js';
import { button, card, chip, field, heading, hex, link, pairs, region, table } from './widgets.js';

const PATIENT_MS = 10_000;

/** The route of a version, or of a word to it. */
export function route(agent, ...more) {
  return ['/api/agents', agent, 'policies', ...more].map((part, index) => (index === 0 ? part : encodeURIComponent(part))).join('/');
}

/** What an answer other than yes means for who said the word. */
export function explain(error) {
  if (!(error instanceof Problem)) return { text: 'The page met something that it does not understand.', final: true };
  const final = (text) => ({ text, final: true });
  const again = (text) => ({ text, final: false });
  switch (error.code) {
    case 'version_stands': return final(`Meanwhile it is ${error.body.state ?? 'decided'}: nothing leads on from there. Nothing of yours was recorded.`);
    case 'version_compared': return final('Another version came into force meanwhile: this one was compared with what is gone. Nothing of yours was recorded; look at it again.');
    case 'digest_mismatch': return final('It is not what you looked at any more. Nothing was approved; look at it again.');
    case 'version_waits': return final('It waits already: for people, or for its time.');
    case 'version_not_asked': return final('It waits for nobody: activate it.');
    case 'not_in_gate': return final('You are in none of the groups that may let a policy be loosened. Nothing was recorded.');
    case 'requester': return final('You proposed it, or own this agent: somebody else must say yes. Nothing was recorded.');
    case 'not_proposer': return final('Only whoever proposed it takes it back: reject it instead. Nothing was recorded.');
    case 'role_missing': return final('Your roles do not include `policy`. Nothing was recorded.');
    case 'too_many_versions': return final('Too many versions of this agent are open: reject or withdraw one of them first.');
    case 'allows_too_much': return final('Its back-test newly allows more than the configuration lets anybody ask for: it stays a draft.');
    case 'falls_behind': return final(`${error.message}. Nothing was recorded.`);
    case 'policy_unsigned': return again('Keys are pinned: the text must be signed (`countersign policy sign`), and proposed with its signature.');
    case 'signature_invalid': return again(`${error.message}${error.message.endsWith('.') ? '' : '.'} Nothing was recorded.`);
    case 'sequence_old': return again(`${error.message}: sign the text again. Nothing was recorded.`);
    case 'policy_invalid': return final(`It is no policy for this agent any more: ${error.message}`);
    case 'unreachable': return { text: `${error.message} Whether your word was recorded is not known: look at the version again before you repeat it.`, final: false };
    default: return { text: `${error.message} (${error.code})`, final: error.status >= 400 && error.status < 500 };
  }
}

/** What a word has made of a version, in a sentence. */
function now({ version, state, in_force: isInForce, waiting }) {
  if (state === 'active') return isInForce ? `Version ${version} is in force` : `Version ${version} was activated; the gateways follow within a second or two`;
  if (waiting?.not_before) return `Version ${version} comes into force when its time is over`;
  if (waiting) return `Version ${version} waits: ${plural(missing(waiting), 'yes is', 'yeses are')} missing`;
  return `Version ${version} is ${state}`;
}

/** Why this operator's yes would not count; null where it would. */
function silence(version, { session, owner }) {
  if (version.proposed_by?.person === session.person) return 'You proposed it: somebody else must say yes.';
  if (owner === session.person) return 'You own this agent: somebody else must say yes.';
  const { waiting } = version;
  if (waiting && waiting.groups.length > 0 && !waiting.groups.some((group) => session.groups.includes(group))) return 'You are in none of the groups that may say yes.';
  if (waiting?.votes.some((vote) => vote.person === session.person)) return waiting.not_before ? 'You said yes.' : 'You said yes; others are missing.';
  return null;
}

function question(version) {
  return pairs([
    ['Does', h('span', null, chip(version.class), ' ', CLASS[version.class])],
    ['Changes', plural(version.changes.length, 'change')],
    ['Lately', version.back_test && `of ${plural(version.back_test.decisions, 'decision')} it ${flips(version.back_test)}`],
    ['Proposed by', origin(version)],
    ['Digest', h('code', { class: 'break', id: 'ask-digest' }, version.digest)],
  ]);
}

const NOTE = () => field('Note (kept in its history)', h('input', { name: 'note', maxlength: 1000, autocomplete: 'off' }));
const noted = (form) => (form.get('note') ? { note: form.get('note') } : {});

class VersionPage {
  constructor(main, { parts: [agent, number], session }) {
    Object.assign(this, { agent, number, session, version: null, owner: null, asking: null, shadowAt: 0 });
    const place = h('div');
    this.actions = h('div', { class: 'inbox-actions' });
    main.append(heading(`Version ${number}`, link(path(['policies', agent]), '← Policies of ', said(agent))), place, this.actions);
    this.shown = region(place, (signal) => this.load(signal), (seen) => this.draw(seen));
    here([
      ['a', 'activate, or say yes', () => this.forward()],
      ['r', 'reject', () => this.reject()],
      ['w', 'withdraw what you proposed', () => this.withdraw()],
      ['b', 'roll back to it', () => this.rollBack()],
      ['e', 'edit it', () => this.edit()],
    ]);
  }

  async load(signal) {
    this.shadowAt = Date.now();
    const [version, { items: [grant] }, { items: agents }] = await Promise.all([
      get(route(this.agent, this.number), signal), get(`${route(this.agent)}?limit=1`, signal), get('/agents', signal),
    ]);
    const wasInForce = ['active', 'superseded'].includes(version.state);
    const evaluation = wasInForce ? await get(route(this.agent, this.number, 'evaluation'), signal) : null;
    // its times move with every question
    const { from: _from, to: _to, ...did } = evaluation ?? {};
    return { version, grant, evaluation: evaluation && did, owner: agents.find(({ id }) => id === this.agent)?.owner ?? null };
  }

  /** A version that nothing was done to is the same; what a shadow says grows with each decision, and costs to ask. */
  changed(happened) {
    const isOld = this.version?.shadow_run && Date.now() - this.shadowAt > PATIENT_MS;
    if (isOld || [...happened].some((name) => name !== 'operation' && name !== 'overview')) this.shown.refresh();
  }

  draw({ version, grant, evaluation, owner }) {
    Object.assign(this, { version, owner });
    this.drawActions();
    this.warn();
    const isCompared = version.base === grant.id && version.id !== grant.id;
    return [
      h('section', { class: 'card', 'aria-label': `Version ${version.version}` },
        h('div', { class: 'card-head' }, h('h2', null, said(version.name)), standing(version)),
        pairs([
          ['Came from', h('span', null, origin(version), ' ', ago(version.proposed_at))],
          ['Note', version.note && said(version.note)],
          ['Waits for', waitsFor(version)],
          ['In force since', version.activated && stamp(version.activated.at)],
          ['Format', version.format && said(version.format)],
          ['Policy', hex(version.id, { whole: true })],
          ['Compared with', h('span', null, hex(version.base), version.base === grant.id ? ' in force' : ' which is not in force any more')],
          ['Digest', hex(version.digest, { whole: true })],
        ])),
      version.waiting && this.gate(version.waiting),
      h('div', { class: 'columns' },
        h('div', { class: 'column' }, card('What changes', h('p', { class: 'quiet' }, CLASS[version.class]), changes(version.changes)), card('Steps', steps(version))),
        h('div', { class: 'column' }, card('Back-test', backTest(version.back_test)),
          version.shadow_run && card('Shadow', backTest(version.shadow_run, { since: 'since it was proposed' })),
          card('Tests', tests(version.tests)))),
      evaluation && card('How the agent did under it', evaluation.decisions === 0 ? h('p', { class: 'quiet' }, 'It asked for nothing in the last seven days that it was in force.') : [
        h('div', { class: 'sideways', tabindex: '0', role: 'region', 'aria-label': 'Evaluation', 'data-scroll': 'evaluation' }, table('How the agent did under this version', scores, [evaluation])),
        h('p', { class: 'quiet' }, 'The last seven days that it was in force. ', EXPLAINED, evaluation.truncated && ' There were more; the newest were looked at.')]),
      isCompared && card('Text, against the version in force', difference('Lines that differ', grant.source, version.source)),
      card('Text', source(`Text of version ${version.version}`, version.source)),
    ];
  }

  gate(waiting) {
    const vote = (one) => h('li', null, chip('yes', 'good'), ' ', h('strong', null, said(one.operator)), one.note && [' ', said(one.note)], ' ', h('span', { class: 'quiet' }, ago(one.at)));
    return card('Who lets it', h('p', null, `It waits for ${gateWords(waiting)}. Whoever proposed it and whoever owns the agent do not count.`),
      waiting.not_before ? h('p', null, 'Enough people said yes. It comes into force ', stamp(waiting.not_before), '; until then anybody may reject it.') : h('p', { class: 'warn-text' }, `${missing(waiting)} missing`),
      waiting.votes.length > 0 && h('ul', { class: 'votes' }, waiting.votes.map(vote)));
  }

  /** Which words may be said to it now. */
  words() {
    const { version, session } = this;
    if (!version || !session.can('policy')) return {};
    const isOpen = ['draft', 'shadow', 'waiting'].includes(version.state);
    return {
      activate: ['draft', 'shadow'].includes(version.state),
      approve: version.state === 'waiting' && !silence(version, this),
      reject: isOpen,
      withdraw: isOpen && version.proposed_by?.person === session.person,
      rollBack: !isOpen && !version.in_force,
    };
  }

  drawActions() {
    const { version, session } = this;
    const may = this.words();
    replace(this.actions,
      may.activate && button(version.class === 'loosening' ? 'Ask for it' : 'Activate', { kind: 'primary', press: () => this.forward(), key: 'forward', shortcut: 'a' }),
      may.approve && button('Approve', { kind: 'primary', press: () => this.forward(), key: 'forward', shortcut: 'a' }),
      may.reject && button('Reject', { kind: 'bad', press: () => this.reject(), key: 'reject', shortcut: 'r' }),
      may.withdraw && button('Withdraw', { press: () => this.withdraw(), key: 'withdraw', shortcut: 'w' }),
      may.rollBack && button('Roll back to it', { press: () => this.rollBack(), key: 'rollback', shortcut: 'b' }),
      session.can('policy') && button('Edit', { press: () => this.edit(), key: 'edit', shortcut: 'e' }),
      !session.can('policy') && h('p', { class: 'quiet' }, 'You may look, but your roles do not include `policy`.'),
      session.can('policy') && version.state === 'waiting' && h('p', { class: 'quiet' }, silence(version, this)));
  }

  /** Tells an open question that its ground has moved. */
  warn() {
    const { asking, version } = this;
    if (!asking) return;
    if (version.state !== asking.state) asking.dialog.stop(`Meanwhile somebody else was faster: it is ${version.state}.`);
    else if (version.digest !== asking.digest) asking.dialog.stop('Meanwhile another version came into force, and this one is compared with it. Look at it again.');
  }

  async say(asking, done = now) {
    if (isAsking()) return;
    const { state, digest } = this.version;
    let answer = null;
    const dialog = ask({
      ...asking,
      act: async (form) => { answer = await asking.act(form); },
      explain: (error) => { this.shown.refresh(); return explain(error); },
    });
    this.asking = { state, digest, dialog };
    const isDone = await dialog.closed;
    this.asking = null;
    if (isDone) announce(done(answer), 'good');
    if (isDone && answer.version !== this.version.version) go(path(['policies', this.agent, String(answer.version)]));
    else await this.shown.refresh();
  }

  forward() {
    const { version } = this;
    const may = this.words();
    if (may.activate) {
      const isLoose = version.class === 'loosening';
      this.say({
        title: isLoose ? `Ask for version ${version.version}?` : `Put version ${version.version} in force?`,
        body: [question(version), h('p', { class: 'quiet' }, isLoose ? 'It may allow more: others are asked, and it comes into force later.' : 'It is in force on every gateway within a second or two. What has begun keeps the policy that it began with.')],
        fields: NOTE(), yes: isLoose ? 'Ask' : 'Activate',
        act: (form) => post(route(this.agent, this.number, 'activate'), noted(form)),
      });
    } else if (may.approve) {
      const { digest } = version;
      this.say({
        title: `Approve version ${version.version}?`,
        body: [question(version), h('p', { class: 'quiet' }, 'You approve exactly this digest: this text, for this agent, compared with what is in force.')],
        fields: NOTE(), yes: 'Approve',
        act: (form) => post(route(this.agent, this.number, 'approve'), { digest, ...noted(form) }),
      });
    }
  }

  reject() {
    if (!this.words().reject) return;
    this.say({
      title: `Reject version ${this.number}?`, body: question(this.version),
      fields: field('Reason (kept in its history)', h('input', { name: 'reason', required: true, maxlength: 1000, autocomplete: 'off' })),
      yes: 'Reject', kind: 'bad',
      act: (form) => post(route(this.agent, this.number, 'reject'), { reason: form.get('reason') }),
    });
  }

  withdraw() {
    if (!this.words().withdraw) return;
    this.say({
      title: `Withdraw version ${this.number}?`, body: h('p', null, 'It never comes into force. The same text may be proposed again.'),
      fields: NOTE(), yes: 'Withdraw',
      act: (form) => post(route(this.agent, this.number, 'withdraw'), noted(form)),
    });
  }

  /** Where keys are pinned the old text needs a signature of its own, with a newer number. */
  async needsSignature() {
    const { source: text, format } = this.version;
    const found = await post(route(this.agent, 'check'), { text, ...(format ? { format } : {}) }).catch(() => null);
    return found?.needs_signature === true;
  }

  async rollBack() {
    if (!this.words().rollBack || isAsking()) return;
    const signed = await this.needsSignature() ? signature() : null;
    if (!this.words().rollBack) return;
    this.say({
      title: `Roll back to version ${this.number}?`,
      body: h('p', null, 'Its text is proposed again, as a new version that is judged like any other: if it can only narrow what is in force, you activate it at once; if it may allow more, others are asked.'),
      fields: [NOTE(), signed?.place], yes: 'Propose it again',
      act: (form) => post(route(this.agent, this.number, 'rollback'), { ...noted(form), ...signed?.given() }),
    }, (answer) => `Version ${answer.version} is proposed: the text of version ${this.number}`);
  }

  edit() {
    if (this.session.can('policy')) go(path(['policies', this.agent, 'edit'], { from: this.number }));
  }
}

/** The page of one version. */
export function mountVersion(main, given) {
  const page = new VersionPage(main, given);
  return { changed: (happened) => page.changed(happened), leave: page.shown.leave };
}
