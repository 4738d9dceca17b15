// How an operator comes in: a token, typed once, or a passkey. The gateway answers with a cookie that no script can read.

import { post } from './api.js';
import { h } from './dom.js';
import { signedWithPasskey } from './signing.js';
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

function meaning(error, what) {
  switch (error.code) {
    case 'unauthorised': return `No operator has this ${what}.`;
    case 'challenge_over': return 'That took too long. Try again.';
    case 'too_many_attempts': return 'Too many logins failed from here. Try again in a minute.';
    default: return error.message;
  }
}

/** A passkey is asked for by the pages of its own domain only. */
function isAtHome(domain) {
  return location.hostname === domain || location.hostname.endsWith(`.${domain}`);
}

async function withPasskey() {
  const options = await post('/session/challenge');
  if (!isAtHome(options.rpId)) throw new Error(`Passkeys are used at ${options.rpId}: open the console there.`);
  const passkey = await signedWithPasskey(options);
  if (!passkey) throw new Error('The passkey did not sign. Nobody is logged in.');
  return post('/session', { passkey });
}

/** The page for nobody in particular; `done(session)` when somebody has come in. */
export function login({ why, done }) {
  document.title = 'Log in · Countersign';
  const alert = h('div', { role: 'alert', class: 'login-alert' }, why && h('p', null, why));
  const token = h('input', { type: 'password', name: 'token', autocomplete: 'current-password', required: true, spellcheck: 'false', autocapitalize: 'off', id: 'token', 'aria-describedby': 'token-hint' });
  const enter = h('button', { type: 'submit', class: 'button button-primary' }, 'Log in');
  const passkey = window.PublicKeyCredential && h('button', { type: 'button', class: 'button', on: { click: () => comeIn('passkey', withPasskey) } }, 'Log in with a passkey');
  const buttons = [enter, passkey].filter(Boolean);
  const comeIn = async (what, ask) => {
    if (enter.disabled) return;
    buttons.forEach((button) => { button.disabled = true; });
    alert.replaceChildren();
    try {
      const session = await ask();
      token.value = '';
      done(session);
    } catch (error) {
      alert.replaceChildren(h('p', null, meaning(error, what)));
      buttons.forEach((button) => { button.disabled = false; });
      if (what === 'token') token.select();
    }
  };
  const submit = (event) => {
    event.preventDefault();
    comeIn('token', () => post('/session', { token: token.value }));
  };
  const page = h('main', { class: 'login' },
    h('form', { class: 'login-card', on: { submit } },
      h('img', { src: '/console/mark.svg', alt: '', width: 40, height: 40 }),
      h('h1', null, 'Countersign'),
      h('p', { class: 'quiet' }, 'The operators’ console.'),
      h('label', { class: 'field', for: 'token' }, h('span', { class: 'field-label' }, 'Operator’s token')), token,
      h('p', { class: 'field-hint', id: 'token-hint' }, 'It is sent once. This browser then has a session that ends by itself.'),
      alert, buttons),
    h('div', { class: 'login-foot' }, themeSwitch(), h('a', { href: '/openapi.json' }, 'API')));
  queueMicrotask(() => token.focus());
  return page;
}
