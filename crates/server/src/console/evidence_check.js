// Verifies a document of evidence as docs/evidence.md describes it, here in the browser: the gateway that it came from is
// not asked, and not believed. Whatever is not as it was written is found where it is.

import { Broken, Pieces, byBytes, read, written } from './evidence_text.js';
import { hexOf, sha256 } from './sha256.js';

export { Broken };

const FORMAT = 'countersign-evidence/1';
const HASH = /^0x[0-9a-f]{64}$/;
const START = { sequence: 0, hash: `0x${'00'.repeat(32)}` };

const digestOf = (text) => hexOf(sha256(text));
const bytesOf = (hash) => Uint8Array.from({ length: 32 }, (_, n) => Number.parseInt(hash.slice(2 + 2 * n, 4 + 2 * n), 16));

/** The SHA-256 of two digests, one behind the other. */
function joined(one, other) {
  const both = new Uint8Array(64);
  both.set(bytesOf(one));
  both.set(bytesOf(other), 32);
  return digestOf(both);
}

/** Reads a value of a document; what is no JSON says so at its place. */
function readAt(text, at) {
  try {
    return read(text);
  } catch (error) {
    throw new Broken(at, `is unreadable: ${error.message}`);
  }
}

/** The members of an object that has exactly these, in this order. */
function members(node, names, at) {
  const found = node.kind === 'object' ? [...node.value.keys()] : null;
  if (JSON.stringify(found) !== JSON.stringify(names)) throw new Broken(at, 'is not as it was written');
  return Object.fromEntries(node.value);
}

/** A text in its one form. */
function plain(node, at) {
  if (node.kind !== 'text' || JSON.stringify(node.value) !== node.text) throw new Broken(at, 'is not as it was written');
  return node.value;
}

/** A text, or null. */
function perhaps(node, at) {
  return node.kind === 'word' && node.value === null ? null : plain(node, at);
}

function hash(node, at) {
  const text = plain(node, at);
  if (!HASH.test(text)) throw new Broken(at, 'is not as it was written');
  return text;
}

/** Milliseconds of an instant in its one form. */
function instant(text, at) {
  const [, whole, fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,2}[1-9]))?Z$/.exec(text) ?? [];
  const ms = whole === undefined ? Number.NaN : Date.parse(`${whole}.${fraction.padEnd(3, '0')}Z`);
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(whole)) throw new Broken(at, 'is not as it was written');
  return ms;
}

/** A head of a chain. */
function head(node, at) {
  const { hash: of, sequence } = members(node, ['hash', 'sequence'], at);
  if (sequence.kind !== 'number' || !/^(?:0|[1-9][0-9]{0,15})$/.test(sequence.value)) throw new Broken(at, 'is not as it was written');
  return { sequence: Number(sequence.value), hash: hash(of, at) };
}

const isNull = (node) => node.kind === 'word' && node.value === null;
const isSame = (one, other) => one.sequence === other.sequence && one.hash === other.hash;

/** A head that somebody kept: `GATEWAY:NUMBER:0xHASH`. */
export function anchor(text) {
  const [, gateway, sequence, of] = /^(.+):([1-9][0-9]{0,15}):(0x[0-9a-f]{64})$/.exec(text.trim()) ?? [];
  if (gateway === undefined) throw new Error(`“${text.trim()}” is no head: expected GATEWAY:NUMBER:0x and 64 hex digits.`);
  return { gateway, head: { sequence: Number(sequence), hash: of } };
}

function headerOf(text) {
  const at = 'the header';
  const { format, app, exported_at: made, durability, filter } = members(readAt(text, at), ['format', 'app', 'exported_at', 'durability', 'filter'], at);
  if (plain(format, at) !== FORMAT) throw new Broken(at, 'it is of another format than this page reads');
  if (!['A', 'B', 'D'].includes(plain(durability, at))) throw new Broken(at, 'it names a class of durability that there is not');
  const asked = members(filter, ['from', 'to', 'agent', 'session'], at);
  const [from, to, agent, session] = [asked.from, asked.to, asked.agent, asked.session].map((node) => perhaps(node, at));
  instant(plain(made, at), at);
  return {
    app: plain(app, at), exported_at: made.value, durability: durability.value,
    filter: { from, to, agent, session },
    asks: asking({ from: from && instant(from, at), to: to && instant(to, at), agent, session: session === null ? null : digestOf(session) }),
    isWhole: [from, to, agent, session].every((value) => value === null),
  };
}

/** Whether a decision, an attestation or an incident is asked for, by what it is about. */
function asking({ from, to, agent, session }) {
  return (about, at) => {
    const when = about.at === undefined ? null : instant(about.at, at);
    return (from === null || (when !== null && when >= from)) && (to === null || (when !== null && when < to))
      && (agent === null || about.agent === agent) && (session === null || about.session === session);
  };
}

const MEMBERS = {
  policy: [['canonical', 'policy']],
  decision: [['decision', 'status', 'traceHash']],
  attestation: [['decision', 'status', 'traceHash'], ['decision', 'posted', 'status', 'traceHash']],
  update: [['traceHash', 'update']],
};

/** What an entry must be about, from what it says. */
function aboutOf(kind, body) {
  const text = (node, name) => node?.value.get(name);
  const put = (name, node) => (node === undefined || isNull(node) ? [] : [[name, node.value]]);
  const decision = body.value.get('decision');
  const entries = {
    policy: () => put('policy', text(body, 'policy')),
    update: () => put('trace', text(body, 'traceHash')),
    incident: () => [
      ...put('agent', text(body, 'agent')), ...put('at', text(body, 'createdAt')), ...put('id', text(body, 'id')),
      ...put('session', text(body, 'session')).map(([name, value]) => [name, digestOf(value)]), ...put('trace', text(body, 'traceHash')),
    ],
  };
  const ofDecision = () => [
    ...put('agent', text(decision, 'agentId')), ...put('at', text(decision, 'createdAt')),
    ...put('session', text(decision, 'sessionKeyHash')), ...put('trace', text(body, 'traceHash')),
  ];
  return Object.fromEntries([['kind', kind], ...(entries[kind] ?? ofDecision)()].sort(([one], [other]) => byBytes(one, other)));
}

class Chain {
  constructor(gateway, known) {
    this.gateway = gateway;
    this.known = known;
    this.head = START;
    this.pinned = new Set();
  }

  /** What stands here must be what is known to have stood here. */
  isAnchored(at) {
    if (this.known.some((known) => known.sequence === this.head.sequence && !isSame(known, this.head))) {
      throw new Broken(at, 'another entry is anchored in its place');
    }
  }

  /** The text of a decision is what its hash names, under policies that stand before it. */
  decided(decision, named, at) {
    this.hashed(decision, named, at);
    const policies = [...(decision.value.get('guards')?.value ?? []), decision.value.get('policy')].filter((node) => node && !isNull(node));
    if (policies.some(({ value }) => !this.pinned.has(value))) throw new Broken(at, 'a policy that it was decided under is not in the chain');
  }

  hashed(decision, named, at) {
    if (decision?.kind !== 'object' || named?.value !== digestOf(decision.text)) throw new Broken(at, 'it is not what its trace hash names');
  }

  said(kind, body, at) {
    const part = (name) => body.value.get(name);
    if (kind === 'policy') {
      const [name, canonical] = [part('policy'), part('canonical')].map((node) => plain(node, at));
      if (name !== `sha256:${digestOf(canonical).slice(2)}`) throw new Broken(at, 'the policy is not the one that it is called');
      this.pinned.add(name);
    } else if (kind === 'decision') {
      this.decided(part('decision'), part('traceHash'), at);
    } else if (kind === 'attestation') {
      this.hashed(part('decision'), part('traceHash'), at);
    } else if (kind === 'update') {
      const again = part('update').kind === 'object' ? part('update').value.get('again') : undefined;
      if (again?.kind === 'object') this.decided(again.value.get('decision'), again.value.get('decisionHash'), at);
    }
  }
}

class Reading {
  constructor(header, anchors) {
    this.header = header;
    this.anchors = anchors;
    this.asked = new Set();
    this.leftOut = new Set();
    this.entries = {};
    this.withheld = 0;
  }

  async chain(pieces) {
    await pieces.expect('{"gateway":');
    const gateway = plain(readAt(await pieces.value(), 'the name of a gateway'), 'the name of a gateway');
    await pieces.expect(',"anchored":');
    const node = readAt(await pieces.value(), gateway);
    const anchored = isNull(node) ? null : head(node, gateway);
    const kept = this.anchors.filter((known) => known.gateway === gateway).map((known) => known.head);
    const chain = new Chain(gateway, anchored ? [...kept, anchored] : kept);
    await pieces.expect(',"entries":[');
    chain.isAnchored(gateway);
    while (await pieces.item(chain.head.sequence === 0)) {
      const text = await pieces.value();
      const at = `${gateway}, entry ${chain.head.sequence + 1}`;
      this.readable(chain, text, at);
      chain.isAnchored(at);
    }
    if (chain.head.sequence === 0 || anchored?.sequence === 0) throw new Broken(gateway, 'no journal is empty, and none is anchored before its first entry');
    await pieces.expect(',"head":');
    const end = head(readAt(await pieces.value(), gateway), gateway);
    await pieces.expect('}');
    if (!isSame(end, chain.head)) throw new Broken(gateway, 'its entries do not lead to its head');
    if (anchored && anchored.sequence > end.sequence) throw new Broken(gateway, 'it ends before the head that is anchored');
    return { gateway, head: end, anchored };
  }

  /** What has another form than any entry is refused like what is no JSON. */
  readable(chain, text, at) {
    try {
      this.entry(chain, text, at);
    } catch (error) {
      if (error instanceof TypeError) throw new Broken(at, 'is unreadable: it has the form of no entry');
      throw error;
    }
  }

  entry(chain, text, at) {
    const node = readAt(text, at);
    const word = node.kind === 'object' && node.value.has('withheld') ? 'withheld' : 'said';
    const parts = members(node, ['about', 'hash', word], at);
    const named = hash(parts.hash, at);
    const rest = word === 'said' ? parts.said.text : `"${hash(parts.withheld, at)}"`;
    if (text !== `{"about":${parts.about.text},"hash":"${named}","${word}":${rest}}`) throw new Broken(at, 'is not as it was written');
    const words = word === 'said' ? digestOf(rest) : parts.withheld.value;
    const next = joined(chain.head.hash, joined(digestOf(parts.about.text), words));
    chain.head = { sequence: chain.head.sequence + 1, hash: next };
    if (next !== named) throw new Broken(at, 'does not follow from the entries before it');
    if (word === 'withheld') this.left(parts.about, at);
    else this.said(chain, parts.about, parts.said, at);
  }

  said(chain, about, said, at) {
    const [kind, ...more] = said.kind === 'object' ? said.value.keys() : [];
    const body = said.value.get?.(kind);
    const known = kind === 'incident' ? null : MEMBERS[kind];
    if (known === undefined || more.length > 0 || body.kind !== 'object') throw new Broken(at, 'is unreadable: it is of no known kind');
    if (known && !known.some((names) => JSON.stringify(names) === JSON.stringify([...body.value.keys()]))) throw new Broken(at, 'says what no journal writes');
    chain.said(kind, body, at);
    if (kind !== 'attestation' && written(said) !== said.text) throw new Broken(at, 'says what no journal writes');
    const must = aboutOf(kind, body);
    if (about.text !== JSON.stringify(must)) throw new Broken(at, 'is about something else than it says');
    this.entries[kind] = (this.entries[kind] ?? 0) + 1;
    const isDecision = kind === 'decision' || kind === 'attestation';
    if (isDecision && !this.header.isWhole && this.header.asks(must, at)) this.asked.add(must.trace);
  }

  /** An entry without its words must be one that nobody asked for. */
  left(node, at) {
    this.withheld += 1;
    const about = node.kind === 'object' ? Object.fromEntries([...node.value].map(([name, { value }]) => [name, value])) : {};
    const isKnown = ['policy', 'decision', 'attestation', 'update', 'incident'].includes(about.kind);
    if (!isKnown || written(node) !== node.text) throw new Broken(at, 'is not as it was written');
    if (about.kind === 'update') this.leftOut.add(about.trace);
    const isAsked = about.kind === 'policy' || (about.kind === 'update' ? this.header.isWhole : this.header.asks(about, at));
    if (isAsked) throw new Broken(at, 'was asked for, and its words are missing');
  }

  /** What came of a decision may stand in another chain, before it. */
  isWhole() {
    const missing = [...this.leftOut].find((trace) => this.asked.has(trace));
    if (missing) throw new Broken(missing, 'something that came of it is missing');
  }
}

/**
 * Verifies a document, every byte of it. `next()` gives its next bytes, or null at its end; `anchors` are heads that are
 * known from elsewhere. Answers what it holds, or throws [`Broken`].
 */
export async function verify(next, anchors = []) {
  const pieces = new Pieces(next);
  await pieces.expect('{"evidence":');
  const header = headerOf(await pieces.value());
  const reading = new Reading(header, anchors);
  await pieces.expect(',"chains":[');
  const chains = [];
  while (await pieces.item(chains.length === 0)) {
    const chain = await reading.chain(pieces);
    if (chains.length > 0 && byBytes(chains.at(-1).gateway, chain.gateway) >= 0) throw new Broken(chain.gateway, 'chains are not in order of their names');
    chains.push(chain);
  }
  await pieces.end();
  reading.isWhole();
  for (const { gateway, head: known } of anchors) {
    const chain = chains.find((found) => found.gateway === gateway);
    if (!chain || chain.head.sequence < known.sequence) throw new Broken(gateway, `it ends before its anchored entry ${known.sequence}`);
  }
  const { app, exported_at, durability, filter } = header;
  return { app, exported_at, durability, filter, chains, entries: reading.entries, withheld: reading.withheld };
}
