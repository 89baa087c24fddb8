// The running digest of a stream: two 32-bit lanes over (index, byte length, UTF-8 bytes) of every token
// frame. It proves to a returning reader that both sides mean the same bytes. It guards against mix-ups, not
// against an attacker; the transcript's sha256 does that.
//
// For each frame the words u32(index), u32(byteLength) and the bytes of the text, four at a time as
// little-endian words with a zero-padded tail, go through both lanes in order. A lane takes a word w by
//     h = rotl(h ^ (w * m1), r) * 5 + k        (all modulo 2^32)
// with its own constants. The text form is lane A then lane B, each as 8 lower-case hex digits, after one
// final avalanche; the avalanche is applied to copies, so that the digest goes on.

const laneA = { start: 0x9747b28c, factor: 0xcc9e2d51, turn: 13, add: 0xe6546b64 } as const;
const laneB = { start: 0x3c6ef372, factor: 0x1b873593, turn: 17, add: 0x561ccd1b } as const;

export class StreamDigest {
  #a: number = laneA.start;
  #b: number = laneB.start;
  #tail = 0;
  #tailBytes = 0;

  /** Takes one frame in. A lone surrogate counts as U+FFFD, exactly as it leaves on the wire. */
  add(index: number, text: string): void {
    this.#word(index);
    this.#word(utf8Length(text));
    for (let at = 0; at < text.length; at++) {
      const code = codePoint(text, at);
      if (code > 0xffff) at++;
      this.#codePoint(code);
    }
    while (this.#tailBytes > 0) this.#byte(0);
  }

  /** 16 hex digits; the frame id carries the first 8. */
  hex(): string {
    return this.short() + hex8(avalanche(this.#b));
  }

  /** The first lane alone, which is all a frame id shows. */
  short(): string {
    return hex8(avalanche(this.#a));
  }

  /** The lanes as integers, so that a journal can carry them and another process can go on. */
  state(): readonly [number, number] {
    return [this.#a >>> 0, this.#b >>> 0];
  }

  static from(state: readonly [number, number]): StreamDigest {
    const digest = new StreamDigest();
    [digest.#a, digest.#b] = state;
    return digest;
  }

  #codePoint(code: number): void {
    if (code < 0x80) {
      this.#byte(code);
      return;
    }
    if (code < 0x800) this.#byte(0xc0 | (code >> 6));
    else if (code < 0x10000) this.#byte(0xe0 | (code >> 12));
    else this.#byte(0xf0 | (code >> 18));
    if (code >= 0x10000) this.#byte(0x80 | ((code >> 12) & 63));
    if (code >= 0x800) this.#byte(0x80 | ((code >> 6) & 63));
    this.#byte(0x80 | (code & 63));
  }

  #byte(value: number): void {
    this.#tail |= value << (8 * this.#tailBytes++);
    if (this.#tailBytes < 4) return;
    this.#word(this.#tail);
    this.#tail = 0;
    this.#tailBytes = 0;
  }

  #word(word: number): void {
    const a = this.#a ^ Math.imul(word, laneA.factor);
    const b = this.#b ^ Math.imul(word, laneB.factor);
    this.#a = (Math.imul((a << laneA.turn) | (a >>> (32 - laneA.turn)), 5) + laneA.add) | 0;
    this.#b = (Math.imul((b << laneB.turn) | (b >>> (32 - laneB.turn)), 5) + laneB.add) | 0;
  }
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at++) {
    const code = codePoint(text, at);
    if (code > 0xffff) at++;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function codePoint(text: string, at: number): number {
  const code = text.codePointAt(at) as number;
  return code >= 0xd800 && code <= 0xdfff ? 0xfffd : code;
}

function avalanche(lane: number): number {
  let h = lane;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Of every byte: a table of all 65 536 halves falls out of the caches and is ten times slower. */
const pairs = Array.from({ length: 0x100 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const hex8 = (word: number): string =>
  `${pairs[word >>> 24]}${pairs[(word >>> 16) & 255]}${pairs[(word >>> 8) & 255]}${pairs[word & 255]}`;
