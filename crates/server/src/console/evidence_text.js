// JSON as a document of evidence has it: what counts is the text of each value, not what a program would write for it.

import { Sha256, hexOf } from './sha256.js';

/** Why a document proves nothing: where, and what is wrong there. */
export class Broken extends Error {
  constructor(at, what) {
    super(`${at}: ${what}`);
    this.at = at;
    this.what = what;
  }
}

const [TAB, LINE, RETURN, SPACE, QUOTE, COMMA, BACKSLASH] = [9, 10, 13, 32, 34, 44, 92];
const [OPEN, CLOSE, BEGIN, END] = [0x5b, 0x5d, 0x7b, 0x7d];
const isSpace = (byte) => byte === SPACE || byte === LINE || byte === RETURN || byte === TAB;

/** The longest value, and the deepest: no journal writes larger ones. */
const VALUE_BYTES_MAX = 64 << 20;
const DEPTH_MAX = 256;

const ASCII = new TextEncoder();

/** A document, piece by piece: white space outside texts falls away, and a digest runs over the rest. */
export class Pieces {
  /** `next()` gives the next bytes, or null at the end. */
  constructor(next) {
    this.next = next;
    this.chunk = new Uint8Array();
    this.at = 0;
    this.inText = false;
    this.escaped = false;
    this.counted = 0;
    this.sha = new Sha256();
  }

  wrong(what) {
    return new Broken(`byte ${this.counted} without white space`, what);
  }

  async #more() {
    while (this.at >= this.chunk.length) {
      const chunk = await this.next();
      if (chunk === null) return false;
      this.chunk = chunk;
      this.at = 0;
    }
    return true;
  }

  /** The next byte that counts, not yet taken; null at the end. */
  async peek() {
    while (await this.#more()) {
      const byte = this.chunk[this.at];
      if (this.inText || !isSpace(byte)) return byte;
      this.at += 1;
    }
    return null;
  }

  #take() {
    const byte = this.chunk[this.at];
    this.at += 1;
    this.counted += 1;
    if (!this.inText) this.inText = byte === QUOTE;
    else if (this.escaped) this.escaped = false;
    else if (byte === BACKSLASH) this.escaped = true;
    else if (byte === QUOTE) this.inText = false;
    return byte;
  }

  async #literal(text, otherwise) {
    for (const expected of ASCII.encode(text)) {
      const byte = await this.peek();
      if (byte === null) throw this.wrong('it ends too early');
      if (this.#take() !== expected) throw this.wrong(otherwise);
    }
  }

  /** Takes exactly these characters. */
  async expect(text) {
    await this.#literal(text, `\`${text}\` is expected`);
    this.sha.update(ASCII.encode(text));
  }

  /** Whether a list goes on; takes the comma before the next item or the list's end. */
  async item(isFirst) {
    if (await this.peek() === CLOSE) return this.expect(']').then(() => false);
    if (!isFirst) await this.expect(',');
    return true;
  }

  /** Takes one value, as it stands but for white space. */
  async value() {
    let [bytes, size, depth, last] = [new Uint8Array(1024), 0, 0, 0];
    for (;;) {
      if (!this.inText && depth === 0 && size > 0) {
        if (last === END || last === CLOSE || last === QUOTE) break;
        const byte = await this.peek();
        if (byte === null || byte === COMMA || byte === END || byte === CLOSE) break;
      }
      if (await this.peek() === null) throw this.wrong('it ends too early');
      // all that lies here at once: whoever waits for each byte waits for ever
      do {
        if (!this.inText && isSpace(this.chunk[this.at])) {
          this.at += 1;
          continue;
        }
        const wasText = this.inText;
        last = this.#take();
        if (size === bytes.length) bytes = grown(bytes);
        bytes[size] = last;
        size += 1;
        if (!wasText && (last === BEGIN || last === OPEN)) depth += 1;
        if (!wasText && (last === END || last === CLOSE)) depth -= 1;
        if (depth < 0) throw this.wrong('a value is expected');
        if (size > VALUE_BYTES_MAX || depth > DEPTH_MAX) throw this.wrong('a value is larger than any journal writes');
      } while (this.at < this.chunk.length && (this.inText || depth > 0));
    }
    const whole = bytes.subarray(0, size);
    this.sha.update(whole);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(whole);
    } catch {
      throw this.wrong('it is not UTF-8');
    }
  }

  /** Takes the end: the digest over everything before it, and nothing behind it. */
  async end() {
    await this.#literal(`,"digest":"${hexOf(this.sha.digest())}"}`, 'the digest over everything before it is expected');
    if (await this.peek() !== null) throw this.wrong('something follows its end');
  }
}

function grown(bytes) {
  const larger = new Uint8Array(bytes.length * 2);
  larger.set(bytes);
  return larger;
}

/** As deep as whoever writes these documents reads. */
const NESTED_MAX = 128;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;

/**
 * Reads a value without white space, strictly: no key twice. A node is `{kind, text, value}`; the value of an object is
 * a map of nodes, of a list an array of them, of a number its own text.
 */
export function read(text) {
  const reader = { text, at: 0, depth: 0 };
  const node = value(reader);
  if (reader.at !== text.length) throw new SyntaxError('something follows a value');
  return node;
}

function value(reader) {
  const begin = reader.at;
  const [kind, found] = whole(reader);
  return { kind, value: found, text: reader.text.slice(begin, reader.at) };
}

function whole(reader) {
  switch (reader.text[reader.at]) {
    case '{': return ['object', inside(reader, object)];
    case '[': return ['list', inside(reader, list)];
    case '"': return ['text', string(reader)];
    case 't': case 'f': case 'n': return ['word', JSON.parse(matched(reader, WORD))];
    default: return ['number', matched(reader, NUMBER)];
  }
}

function inside(reader, what) {
  reader.depth += 1;
  if (reader.depth > NESTED_MAX) throw new SyntaxError('it is nested too deeply');
  reader.at += 1;
  const found = what(reader);
  reader.depth -= 1;
  return found;
}

function object(reader) {
  const members = new Map();
  if (next(reader, '}')) return members;
  do {
    if (reader.text[reader.at] !== '"') throw new SyntaxError('a key is expected');
    const key = string(reader);
    if (members.has(key)) throw new SyntaxError(`the key \`${key}\` is there twice`);
    if (!next(reader, ':')) throw new SyntaxError('`:` is expected');
    members.set(key, value(reader));
  } while (next(reader, ','));
  if (!next(reader, '}')) throw new SyntaxError('`}` is expected');
  return members;
}

function list(reader) {
  const items = [];
  if (next(reader, ']')) return items;
  do items.push(value(reader)); while (next(reader, ','));
  if (!next(reader, ']')) throw new SyntaxError('`]` is expected');
  return items;
}

function next(reader, character) {
  if (reader.text[reader.at] !== character) return false;
  reader.at += 1;
  return true;
}

function string(reader) {
  const found = JSON.parse(matched(reader, TEXT));
  if (/\p{Surrogate}/u.test(found)) throw new SyntaxError('a text is no Unicode');
  return found;
}

function matched(reader, form) {
  form.lastIndex = reader.at;
  const found = form.exec(reader.text);
  if (!found) throw new SyntaxError('it is no JSON');
  reader.at = form.lastIndex;
  return found[0];
}

/** Orders texts by their bytes, which is not the order of their UTF-16. */
export function byBytes(one, other) {
  const [left, right] = [Array.from(one), Array.from(other)];
  for (let n = 0; n < Math.min(left.length, right.length); n += 1) {
    const difference = left[n].codePointAt(0) - right[n].codePointAt(0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** The text of a value as every journal writes it: members in the order of their names, each text in its one form. */
export function written(node) {
  switch (node.kind) {
    case 'object': return `{${[...node.value].sort(([one], [other]) => byBytes(one, other)).map(([key, item]) => `${JSON.stringify(key)}:${written(item)}`).join(',')}}`;
    case 'list': return `[${node.value.map(written).join(',')}]`;
    case 'text': return JSON.stringify(node.value);
    case 'number': return node.value;
    default: return String(node.value);
  }
}
