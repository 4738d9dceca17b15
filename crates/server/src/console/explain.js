// How the text in the editor would judge one request, beside what the version in force says. Asking changes nothing.

import { get, post, Problem, withQuery } from './api.js';
import { balances, effects, verdicts } from './decoded.js';
import { h, replace } from './dom.js';
import { said } from './untrusted.js';
import { route } from './version.js';
import { button, chip, field, short } from './widgets.js';

const RECENT = 20;
const WORDS = { allow: 'allows it', park: 'asks people', deny: 'denies it' };

export class Explainer {
  constructor({ agent, app, text }) {
    Object.assign(this, { agent, text, asked: null, controller: null });
    this.looking = new AbortController();
    this.request = h('textarea', { name: 'request', class: 'mono', rows: 7, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', 'aria-describedby': 'explain-status' });
    this.chain = h('select', { name: 'chain' });
    this.trace = h('select', { name: 'trace' });
    this.onChain = h('div', { hidden: true }, field('Chain', this.chain));
    this.ofTraces = h('form', { class: 'explain-form', hidden: true, on: { submit: (event) => { event.preventDefault(); this.explainTrace(this.trace.value); } } },
      field('Or a recorded decision', this.trace, 'On the facts that it was decided from.'), h('div', { class: 'actions' }, button('Explain the decision', { type: 'submit', key: 'explain trace' })));
    this.status = h('p', { id: 'explain-status', role: 'status' });
    this.result = h('div', { class: 'explained', tabindex: '-1', role: 'region', 'aria-label': 'Both judgements', hidden: true });
    this.element = h('section', { class: 'card explain' }, h('h2', null, 'Explain a request'),
      h('p', { class: 'quiet' }, 'What the text above would say to it now, beside the version in force. Nothing is signed, reserved or kept.'),
      h('form', { class: 'explain-form', on: { submit: (event) => { event.preventDefault(); this.explainRequest(); } } },
        field('A call, typed data or a JSON-RPC request, as JSON', this.request, 'Without `from` it is the agent’s first account.'),
        this.onChain, h('div', { class: 'actions' }, button('Explain', { type: 'submit', key: 'explain' }))),
      this.ofTraces, this.status, this.result);
    this.offer(app);
  }

  /** What there is to choose from; without it the rest works all the same. */
  async offer(app) {
    const { signal } = this.looking;
    try {
      const [{ chains }, { items }] = await Promise.all([
        get('/overview', signal), get(withQuery(`/apps/${encodeURIComponent(app)}/traces`, { agent: this.agent, limit: RECENT }), signal),
      ]);
      this.chain.append(...chains.map(({ id, name }) => h('option', { value: id }, `${name} (${id})`)));
      this.onChain.hidden = chains.length < 2;
      const decided = items.filter((trace) => !trace.attestation && trace.facts);
      this.trace.append(...decided.map((trace) => h('option', { value: trace.traceHash }, `${trace.createdAt.slice(0, 19).replace('T', ' ')}, ${trace.status.replaceAll('_', ' ')}, ${short(trace.traceHash)}`)));
      this.ofTraces.hidden = decided.length === 0;
    } catch (error) {
      if (error.name !== 'AbortError' && !(error instanceof Problem)) console.error(error);
    }
  }

  explainRequest() {
    const chain = this.onChain.hidden ? {} : { chain: this.chain.value };
    return this.ask({ request: this.request.value, ...chain });
  }

  explainTrace(trace) {
    return this.ask({ trace });
  }

  async ask(question) {
    this.controller?.abort();
    const controller = this.controller = new AbortController();
    const text = this.text();
    this.tell('Judging…');
    this.element.setAttribute('aria-busy', 'true');
    try {
      const found = await post(route(this.agent, 'explain'), { text, ...question }, controller.signal);
      if (controller !== this.controller) return;
      this.asked = text;
      if (found.valid) this.draw(found);
      else this.refuse('The text is no policy yet: see what is wrong.');
    } catch (error) {
      if (error.name === 'AbortError' || controller !== this.controller) return;
      this.refuse(error instanceof Problem ? error.message : 'It could not be explained.');
      if (!(error instanceof Problem)) console.error(error);
    } finally {
      if (controller === this.controller) this.element.removeAttribute('aria-busy');
    }
  }

  tell(text, isBad = false) {
    this.status.className = isBad ? 'bad-text' : '';
    replace(this.status, said(text));
  }

  refuse(text) {
    this.asked = null;
    this.result.hidden = true;
    this.result.replaceChildren();
    this.tell(text, true);
  }

  draw(found) {
    const { version, in_force: inForce } = found;
    const same = version.outcome === inForce.outcome && version.code === inForce.code;
    this.tell(`The text ${WORDS[version.outcome]}; the version in force ${same ? 'says the same' : WORDS[inForce.outcome]}.`);
    this.result.hidden = false;
    replace(this.result,
      found.as_approved && h('p', { class: 'banner banner-warn' }, 'The text is a pact that nobody has said yes to: it is judged as if somebody had.'),
      found.recorded && h('p', { class: 'quiet' }, 'It was decided then: ', ending(found.recorded), ' Windows of limits that were not asked about then count as empty.'),
      h('h3', null, 'What it does'), effects(version.actions, version.tokens, version.usd),
      version.simulated && [h('h3', null, 'Balance change'), balances(version.simulated, version.tokens)],
      version.would_fail && h('p', { class: 'warn-text' }, 'The node says that it would fail: ', said(version.would_fail)),
      h('div', { class: 'columns' }, side('The text in the editor', version), side('The version in force', inForce)));
  }

  /** The text has moved on: what is shown was said of another. */
  typed() {
    if (this.asked !== null && this.text() !== this.asked) {
      this.asked = null;
      this.tell('The text has changed since: explain again.');
    }
  }

  leave() {
    this.looking.abort();
    this.controller?.abort();
    this.controller = null;
  }
}

function ending({ outcome, code }) {
  return h('span', null, chip(outcome), code && [' ', h('code', { class: 'break' }, said(code))], '.');
}

function side(title, judged) {
  return h('section', { class: 'column explain-side', 'aria-label': title }, h('h3', null, title),
    h('p', null, chip(judged.outcome), judged.code && [' ', h('code', { class: 'break' }, said(judged.code))], judged.reason && [' ', said(judged.reason)], judged.gates.length > 0 && [' Gates: ', said(judged.gates.join(', '))]),
    h('p', { class: 'quiet' }, `Risk ${judged.risk_score} of 100, approval mode ${judged.approval_mode ?? 'none'}`),
    verdicts(judged.verdicts, `Verdicts: ${title}`));
}
