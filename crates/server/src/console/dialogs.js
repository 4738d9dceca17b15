// Questions before something happens, and words after it did.

import { freshId, h } from './dom.js';

let polite = null;
let toasts = null;

/** Where words appear: heard by assistive technology, seen for a moment. */
export function places() {
  polite = h('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
  toasts = h('div', { class: 'toasts', 'aria-hidden': 'true' });
  return [polite, toasts];
}

/** Says a sentence. */
export function announce(sentence, tone = 'quiet') {
  polite.textContent = '';
  polite.textContent = sentence;
  const toast = h('p', { class: ['toast', `toast-${tone}`] }, sentence);
  toasts.append(toast);
  while (toasts.children.length > 4) toasts.firstChild.remove();
  setTimeout(() => toast.remove(), 6000);
}

/** Whether a dialog is open. */
export function isAsking() {
  return document.querySelector('dialog[open]') !== null;
}

/** Closes whatever is open. */
export function closeAll() {
  document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close());
}

/**
 * Asks before something is done. `act(form)` does it and may throw: what it throws is said in the dialog, which stays.
 * The answer has `say(text)` to warn, `stop(text)` to take the possibility away, and `closed`, which is kept when the
 * dialog is over, with whether it was done.
 */
export function ask({ title, body, fields = [], yes, kind = 'primary', act, explain }) {
  const id = freshId('dialog');
  const alert = h('div', { class: 'dialog-alert', role: 'alert' });
  const confirm = h('button', { type: 'submit', class: ['button', `button-${kind}`] }, yes);
  const cancel = h('button', { type: 'button', class: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  let isDone = false;
  const submit = async (event) => {
    event.preventDefault();
    if (confirm.disabled) return;
    confirm.disabled = true;
    confirm.setAttribute('aria-busy', 'true');
    alert.replaceChildren();
    try {
      await act(new FormData(form));
      isDone = true;
      dialog.close();
    } catch (error) {
      const { text, final } = explain?.(error) ?? { text: error.message, final: false };
      alert.replaceChildren(h('p', null, text));
      confirm.disabled = final;
      if (final) cancel.textContent = 'Close';
    } finally {
      confirm.removeAttribute('aria-busy');
    }
  };
  const form = h('form', { method: 'dialog', on: { submit } }, h('h2', { id }, title), body, fields, alert,
    h('div', { class: 'dialog-actions' }, cancel, confirm));
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': id }, form);
  const closed = new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(isDone);
    });
  });
  document.body.append(dialog);
  dialog.showModal();
  (form.querySelector('input:not([type=hidden]),textarea') ?? confirm).focus();
  return {
    closed,
    stop(text) {
      if (isDone) return;
      alert.replaceChildren(h('p', null, text));
      confirm.disabled = true;
      cancel.textContent = 'Close';
    },
  };
}

/** Shows something that is only read. */
export function show(title, ...body) {
  const id = freshId('dialog');
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': id },
    h('form', { method: 'dialog' }, h('h2', { id }, title), body,
      h('div', { class: 'dialog-actions' }, h('button', { type: 'submit', class: 'button button-primary' }, 'Close'))));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
