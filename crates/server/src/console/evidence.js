// A bundle of traces, incidents and approvals for somebody who was not here; it is verified without the gateway.

import { get, stream, withQuery } from './api.js';
import { announce } from './dialogs.js';
import { h } from './dom.js';
import { verification } from './evidence_report.js';
import { now } from './time.js';
import { button, card, choice, field, heading } from './widgets.js';

function day(ms) {
  return new Date(ms).toISOString().slice(0, 10);
}

function asked(form) {
  const given = new FormData(form);
  const text = (name) => String(given.get(name) ?? '').trim();
  const [from, to] = [text('from'), text('to')];
  return {
    format: text('format'), agent: text('agent'), session: text('session'),
    from: from && `${from}T00:00:00Z`,
    // until the end of that day
    to: to && new Date(Date.parse(`${to}T00:00:00Z`) + 86_400_000).toISOString(),
  };
}

function meaning(error) {
  if (error.status === 404 && error.code === 'not_found') return 'This gateway does not export evidence, or there is no agent of that name.';
  return error.message;
}

export const evidence = {
  title: 'Evidence',
  mount(main) {
    const alert = h('div', { role: 'alert' });
    const agent = h('select', { name: 'agent' }, h('option', { value: '' }, 'All agents'));
    const save = h('button', { type: 'submit', class: 'button button-primary' }, 'Export');
    const check = verification();
    const wanted = async (what) => {
      if (save.disabled) return;
      save.disabled = true;
      alert.replaceChildren();
      const query = asked(form);
      try {
        if (query.from && query.to && query.from >= query.to) throw new Error('The first day is after the last.');
        await what(query);
      } catch (error) {
        alert.replaceChildren(h('p', { class: 'form-alert' }, meaning(error)));
      } finally {
        save.disabled = false;
      }
    };
    const submit = (event) => {
      event.preventDefault();
      wanted(async (query) => {
        await stream(withQuery('/evidence', query), `countersign-evidence.${query.format}`);
        announce('The export is on its way', 'good');
      });
    };
    const here = () => wanted((query) => check.answer('What this gateway has', withQuery('/evidence', { ...query, format: 'json' })));
    const form = h('form', { class: 'form', on: { submit } },
      h('div', { class: 'form-row' }, field('From (UTC)', h('input', { type: 'date', name: 'from', value: day(now() - 7 * 86_400_000) })), field('Until and with (UTC)', h('input', { type: 'date', name: 'to', value: day(now()) }))),
      h('div', { class: 'form-row' }, field('Agent', agent), field('Session', h('input', { name: 'session', autocomplete: 'off', maxlength: 200, placeholder: 'any' }))),
      field('Format', choice('format', [['json', 'JSON: the bundle that can be verified'], ['csv', 'CSV: for a spreadsheet']], 'json')),
      alert, h('div', { class: 'actions' }, save, button('Verify without saving', { press: here })));
    main.append(heading('Evidence'), h('div', { class: 'columns' },
      h('div', { class: 'column' }, card('Export', form)),
      h('div', { class: 'column' }, check.element)));
    const controller = new AbortController();
    get('/agents', controller.signal).then((page) => agent.append(...page.items.map(({ id }) => h('option', { value: id }, id))), () => null);
    return { leave: () => { controller.abort(); check.leave(); } };
  },
};
