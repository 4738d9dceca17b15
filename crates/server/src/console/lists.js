// Filters and pages of long lists; both are part of the address, so that what is seen can be passed on.

import { h } from './dom.js';
import { note, path } from './router.js';
import { button } from './widgets.js';

/**
 * The filters above a list. `fields` are `[name, label, options?]`; without options it is a text, and `from` and `to`
 * are days. `changed` is called when something else is asked for.
 */
export function filters(query, page, fields, changed) {
  let cursor = query.get('cursor') ?? '';
  const controls = fields.map(([name, label, options]) => {
    const value = query.get(name) ?? '';
    const control = options
      ? h('select', { name }, options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)))
      : h('input', { name, value, type: name === 'from' || name === 'to' ? 'date' : 'text', autocomplete: 'off', spellcheck: 'false', maxlength: 200 });
    return [name, control, h('label', { class: 'field' }, h('span', { class: 'field-label' }, label), control)];
  });
  const texts = () => Object.fromEntries(controls.map(([name, control]) => [name, control.value.trim()]));
  const again = () => {
    note(path([page], { ...texts(), cursor }));
    changed();
  };
  const element = h('form', {
    class: 'filters', role: 'search', 'aria-label': `Filter ${page}`,
    on: {
      change: () => { cursor = ''; again(); },
      submit: (event) => { event.preventDefault(); cursor = ''; again(); },
    },
  }, controls.map(([, , label]) => label), h('button', { type: 'submit', class: 'visually-hidden' }, 'Filter'));
  return {
    element,
    isFirst: () => cursor === '',
    values: () => ({ ...texts(), cursor }),
    turn(to) {
      cursor = to;
      again();
    },
  };
}

/** From one page to the next, and back to the newest. */
export function paging(bar, page) {
  if (!page.next_cursor && bar.isFirst()) return null;
  return h('nav', { class: 'paging', 'aria-label': 'Further entries' },
    button('Newest', { press: () => bar.turn(''), disabled: bar.isFirst() }),
    button('Older', { press: () => bar.turn(page.next_cursor), disabled: !page.next_cursor }));
}
