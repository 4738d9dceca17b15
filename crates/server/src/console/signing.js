// A yes that has to be signed: with a passkey or with an Ethereum key, so that a session alone moves nothing.

import { h } from './dom.js';
import { field } from './widgets.js';

/** Nothing was signed, and nothing was sent. */
export class Unsigned extends Error {}

function bytes(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** What a passkey says to a challenge of the gateway, in the form that it takes; null where nobody signed. */
export async function signedWithPasskey({ challenge, rpId, userVerification, timeout, allowCredentials }) {
  const publicKey = {
    challenge: bytes(challenge), rpId, userVerification, timeout,
    allowCredentials: allowCredentials.map(({ type, id }) => ({ type, id: bytes(id) })),
  };
  const credential = await navigator.credentials.get({ publicKey }).catch(() => null);
  if (!credential) return null;
  const { response } = credential;
  return {
    id: credential.id, rawId: text(credential.rawId), type: credential.type,
    response: {
      clientDataJSON: text(response.clientDataJSON), authenticatorData: text(response.authenticatorData), signature: text(response.signature),
      userHandle: response.userHandle && text(response.userHandle),
    },
  };
}

async function withPasskey(options) {
  const passkey = await signedWithPasskey(options);
  if (!passkey) throw new Unsigned('The passkey did not sign. Nothing was approved.');
  return { passkey };
}

async function withWallet(address, typed) {
  const signature = await window.ethereum.request({ method: 'eth_signTypedData_v4', params: [address, JSON.stringify(typed)] }).catch(() => null);
  if (!signature) throw new Unsigned('The wallet did not sign. Nothing was approved.');
  return { ethereum: signature };
}

function pasted(form) {
  const signature = String(form.get('signature') ?? '').trim();
  if (!/^0x[0-9a-fA-F]{130}$/.test(signature)) throw new Unsigned('A signature is 0x and 130 hex digits. Nothing was approved.');
  return { ethereum: signature };
}

/** How this operator may sign an entry: further fields for the question, and `sign(form)`, which signs nothing where no gate asks for it. */
export function ways({ signing }) {
  if (!signing) return { fields: [], sign: async () => null };
  const { address, ethereum, passkey } = signing;
  const offers = [
    passkey?.allowCredentials.length > 0 && window.PublicKeyCredential && ['passkey', 'Passkey'],
    address && ethereum && window.ethereum && ['wallet', 'Wallet of this browser'],
    address && ethereum && ['pasted', 'Signature made elsewhere'],
  ].filter(Boolean);
  if (offers.length === 0) {
    return {
      fields: h('p', { class: 'warn-text' }, 'A gate asks for a signature, and you have neither a passkey nor an address in the configuration.'),
      sign: async () => null,
    };
  }
  const elsewhere = h('div', { class: 'form', hidden: offers[0][0] !== 'pasted' },
    h('p', { class: 'quiet' }, 'Sign this typed data (EIP-712) with your key, and paste the signature.'),
    h('textarea', { class: 'mono', readonly: true, rows: 5, 'aria-label': 'Typed data to sign', value: JSON.stringify(ethereum) }),
    field('Signature', h('input', { name: 'signature', autocomplete: 'off', spellcheck: 'false', placeholder: '0x…' })));
  const pick = h('select', { name: 'way', on: { change: (event) => { elsewhere.hidden = event.target.value !== 'pasted'; } } }, offers.map(([value, name]) => h('option', { value }, name)));
  return {
    fields: [field('Sign with', pick), elsewhere],
    sign: async (form) => {
      switch (form.get('way')) {
        case 'passkey': return withPasskey(passkey);
        case 'wallet': return withWallet(address, ethereum);
        default: return pasted(form);
      }
    },
  };
}
