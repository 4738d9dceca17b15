// A document of evidence, verified in this page: what it proves, and what it does not.

import { open } from './api.js';
import { announce } from './dialogs.js';
import { h, replace } from './dom.js';
import { Broken, anchor, verify } from './evidence_check.js';
import { said } from './untrusted.js';
import { plural } from './version_parts.js';
import { card, field, hex, pairs, table } from './widgets.js';

const KINDS = {
  policy: ['policy', 'policies'], decision: ['decision'], attestation: ['attestation of a client', 'attestations of clients'],
  update: ['thing that came of a decision', 'things that came of decisions'], incident: ['version of an incident', 'versions of incidents'],
};

const CHAINS_MAX = 100;
const TOLD_MAX = 500;

/** The bytes of a stream, piece by piece; `tell` hears how many there were. */
function piecesOf(stream, tell) {
  const reader = stream.getReader();
  let bytes = 0;
  return async () => {
    const { done, value } = await reader.read();
    if (done) return null;
    bytes += value.length;
    tell(bytes);
    return value;
  };
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function asked({ from, to, agent, session }) {
  const parts = [from && `from ${from}`, to && `before ${to}`, agent && `of agent ${agent}`, session && `of session ${session}`].filter(Boolean);
  return parts.length > 0 ? parts.join(', ') : 'everything';
}

function proved(name, { app, exported_at: made, filter, chains, entries, withheld }, anchors) {
  const kept = (chain) => anchors.filter(({ gateway }) => gateway === chain.gateway).length;
  const heads = table('Chains', [
    ['Gateway', (chain) => said(cut(chain.gateway))],
    ['Entries', (chain) => String(chain.head.sequence)],
    ['Head', (chain) => hex(`${chain.gateway}:${chain.head.sequence}:${chain.head.hash}`)],
    ['Held against', (chain) => [kept(chain) > 0 ? `${plural(kept(chain), 'head')} you gave` : null, chain.anchored ? `entry ${chain.anchored.sequence} in the ledger’s log` : null].filter(Boolean).join(', ') || 'nothing'],
  ], chains.slice(0, CHAINS_MAX));
  return [
    h('p', { class: 'good-text' }, said(cut(name)), ': whole and unchanged.'),
    pairs([
      ['Of', said(cut(app))], ['Made', made], ['Asked for', said(cut(asked(filter)))],
      ['Shown', Object.entries(entries).map(([kind, count]) => plural(count, ...KINDS[kind])).join(', ') || 'nothing'],
      ['Without their words', withheld > 0 ? `${withheld}, which nobody asked for` : 'none'],
    ]), heads, chains.length > CHAINS_MAX && h('p', { class: 'quiet' }, `and ${plural(chains.length - CHAINS_MAX, 'chain')} more`),
    h('p', null, 'Proved here: no entry was edited, deleted, moved or put in between; every decision is the text that its trace names, under policies that are in the document; nothing that was asked for is missing.'),
    h('p', { class: 'quiet' }, anchors.length > 0
      ? 'Not proved: that the facts in it were true.'
      : 'Not proved: that the facts in it were true; and that this is the history which it was, unless you hold its heads against heads that you noted before. Note these.'),
    h('p', { class: 'quiet' }, '`countersign trace verify` says the same; `countersign trace replay` decides every record again.'),
  ];
}

/** What a hostile document says about itself is not longer than a page. */
const cut = (text) => (text.length > TOLD_MAX ? `${text.slice(0, TOLD_MAX)}…` : text);

function refused(name, error) {
  const what = error instanceof Broken ? `${name} proves nothing. ${error.at}: ${error.what}.` : `${name} could not be read: ${error.message}`;
  return h('p', { class: 'form-alert' }, said(cut(what)));
}

/** A card that verifies a file which is chosen or dropped. `leave()` ends what is under way; `stream(name, path)` verifies an answer. */
export function verification() {
  const told = h('div', { role: 'status', 'aria-live': 'polite', class: 'evidence-told' });
  const heads = h('textarea', { name: 'heads', rows: 2, spellcheck: 'false', autocomplete: 'off', class: 'mono', placeholder: 'gateway-1:4711:0x…' });
  const file = h('input', { type: 'file', name: 'document', accept: '.json,application/json', on: { change: () => file.files[0] && chosen(file.files[0]) } });
  let current = new AbortController();

  const check = async (name, bytes) => {
    current.abort();
    const controller = new AbortController();
    current = controller;
    const show = (children) => { if (!controller.signal.aborted) replace(told, children); };
    try {
      const anchors = heads.value.split('\n').filter((line) => line.trim()).map(anchor);
      const progress = h('p', { class: 'quiet' }, `Verifying ${name}…`);
      show(progress);
      const next = piecesOf(await bytes(controller.signal), (read) => {
        controller.signal.throwIfAborted();
        progress.textContent = `Verifying ${name}: ${size(read)}…`;
      });
      show(proved(name, await verify(next, anchors), anchors));
      announce('The document is whole and unchanged', 'good');
    } catch (error) {
      show(refused(name, error));
    }
  };
  const chosen = (found) => check(found.name, async () => found.stream());

  const drop = (event) => {
    event.preventDefault();
    place.classList.remove('evidence-over');
    const [found] = event.dataTransfer.files;
    if (found) chosen(found);
  };
  const over = (event) => {
    event.preventDefault();
    place.classList.toggle('evidence-over', event.type === 'dragover');
  };
  const place = h('div', { class: 'form evidence-drop', on: { dragover: over, dragleave: over, drop } },
    field('Document (or drop it here)', file), field('Heads that you noted before, one a line (optional)', heads), told);
  return {
    element: card('Verify', h('p', null, 'A document proves itself: it is read here, in this page, and neither sent nor asked about.'), place,
      h('p', { class: 'quiet' }, 'Whoever distrusts this page, which a gateway served, does the same elsewhere:'),
      h('pre', { class: 'source', tabindex: '0', role: 'region', 'aria-label': 'The same elsewhere' }, 'countersign trace verify countersign-evidence.json')),
    answer: (name, path) => check(name, (signal) => open(path, signal, 'application/json')),
    leave: () => current.abort(),
  };
}
