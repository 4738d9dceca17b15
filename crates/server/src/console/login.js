// How an operator comes in: a token, typed once. The gateway answers with a cookie that no script can read.

import { post } from './api.js';
import { h } from './dom.js';
import { themeSwitch } from './theme_switch.js';

const KEPT = 'countersign.signed-in';

/** Whether it is worth asking who is logged in: the cookie itself cannot be seen. */
export function mayBeSignedIn() {
  try {
    return localStorage.getItem(KEPT) === '1';
  } catch {
    return true;
  }
}

export function noteSignedIn(is) {
  try {
    if (is) localStorage.setItem(KEPT, '1');
    else localStorage.removeItem(KEPT);
  } catch { /* then it is asked each time */ }
}

function meaning(error) {
  switch (error.code) {
    case 'unauthorised': return 'No operator has this token.';
    case 'too_many_attempts': return 'Too many logins failed from here. Try again in a minute.';
    default: return error.message;
  }
}

/** The page for nobody in particular; `done(session)` when somebody has come in. */
export function login({ why, done }) {
  document.title = 'Log in · Countersign';
  const alert = h('div', { role: 'alert', class: 'login-alert' }, why && h('p', null, why));
  const token = h('input', { type: 'password', name: 'token', autocomplete: 'current-password', required: true, spellcheck: 'false', autocapitalize: 'off', id: 'token', 'aria-describedby': 'token-hint' });
  const enter = h('button', { type: 'submit', class: 'button button-primary' }, 'Log in');
  const submit = async (event) => {
    event.preventDefault();
    if (enter.disabled) return;
    enter.disabled = true;
    alert.replaceChildren();
    try {
      const session = await post('/session', { token: token.value });
      token.value = '';
      done(session);
    } catch (error) {
      alert.replaceChildren(h('p', null, meaning(error)));
      enter.disabled = false;
      token.select();
    }
  };
  const page = h('main', { class: 'login' },
    h('form', { class: 'login-card', on: { submit } },
      h('img', { src: '/console/mark.svg', alt: '', width: 40, height: 40 }),
      h('h1', null, 'Countersign'),
      h('p', { class: 'quiet' }, 'The operators’ console.'),
      h('label', { class: 'field', for: 'token' }, h('span', { class: 'field-label' }, 'Operator’s token')), token,
      h('p', { class: 'field-hint', id: 'token-hint' }, 'It is sent once. This browser then has a session that ends by itself.'),
      alert, enter),
    h('div', { class: 'login-foot' }, themeSwitch(), h('a', { href: '/openapi.json' }, 'API')));
  queueMicrotask(() => token.focus());
  return page;
}
