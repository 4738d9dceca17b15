// SHA-256 (FIPS 180-4) of bytes that come piece by piece: what browsers have digests a whole at once, and a document of
// evidence may be longer than memory.

const ROUNDS = new Uint32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const BLOCK = 64;

const turned = (word, by) => (word >>> by) | (word << (32 - by));

export class Sha256 {
  constructor() {
    this.state = new Uint32Array(START);
    this.words = new Uint32Array(64);
    this.rest = new Uint8Array(BLOCK);
    this.filled = 0;
    this.length = 0;
  }

  update(bytes) {
    this.length += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      if (this.filled === 0 && bytes.length - at >= BLOCK) {
        this.#block(bytes, at);
        at += BLOCK;
        continue;
      }
      const taken = bytes.subarray(at, at + BLOCK - this.filled);
      this.rest.set(taken, this.filled);
      this.filled += taken.length;
      at += taken.length;
      if (this.filled === BLOCK) {
        this.filled = 0;
        this.#block(this.rest, 0);
      }
    }
    return this;
  }

  /** The 32 bytes; nothing is taken in afterwards. */
  digest() {
    const bits = this.length * 8;
    const padding = new Uint8Array((this.filled < 56 ? 56 : 120) - this.filled);
    padding[0] = 0x80;
    const counted = new DataView(new ArrayBuffer(8));
    counted.setUint32(0, Math.floor(bits / 2 ** 32));
    counted.setUint32(4, bits >>> 0);
    this.update(padding).update(new Uint8Array(counted.buffer));
    const out = new DataView(new ArrayBuffer(32));
    this.state.forEach((word, index) => out.setUint32(4 * index, word));
    return new Uint8Array(out.buffer);
  }

  #block(bytes, at) {
    const { state, words } = this;
    for (let t = 0; t < 16; t += 1) {
      const from = at + 4 * t;
      words[t] = (bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
    }
    for (let t = 16; t < 64; t += 1) {
      const [near, far] = [words[t - 2], words[t - 15]];
      const one = turned(near, 17) ^ turned(near, 19) ^ (near >>> 10);
      const zero = turned(far, 7) ^ turned(far, 18) ^ (far >>> 3);
      words[t] = one + words[t - 7] + zero + words[t - 16];
    }
    let [a, b, c, d, e, f, g, i] = state;
    for (let t = 0; t < 64; t += 1) {
      const one = i + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[t] + words[t];
      const two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      i = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    [a, b, c, d, e, f, g, i].forEach((word, index) => { state[index] += word; });
  }
}

const UTF8 = new TextEncoder();

/** The digest of a text or of bytes. */
export function sha256(what) {
  return new Sha256().update(typeof what === 'string' ? UTF8.encode(what) : what).digest();
}

export function hexOf(bytes) {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
