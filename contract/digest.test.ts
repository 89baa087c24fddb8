import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StreamDigest } from "./digest.ts";

/** The definition in the file's header, written down a second time over Buffers and BigInt. */
function byDefinition(texts: readonly string[]): string {
  const mod = 2n ** 32n;
  const lane = (start: bigint, factor: bigint, turn: bigint, add: bigint): string => {
    let h = start;
    for (const word of words(texts)) {
      const x = h ^ ((word * factor) % mod);
      h = ((((x << turn) % mod) | (x >> (32n - turn))) * 5n + add) % mod;
    }
    h = ((h ^ (h >> 16n)) * 0x85ebca6bn) % mod;
    h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) % mod;
    return (h ^ (h >> 16n)).toString(16).padStart(8, "0");
  };
  return lane(0x9747b28cn, 0xcc9e2d51n, 13n, 0xe6546b64n) + lane(0x3c6ef372n, 0x1b873593n, 17n, 0x561ccd1bn);
}

function* words(texts: readonly string[]): Generator<bigint> {
  for (const [index, text] of texts.entries()) {
    const bytes = Buffer.from(text, "utf8");
    yield BigInt(index);
    yield BigInt(bytes.length);
    const padded = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
    for (let at = 0; at < padded.length; at += 4) yield BigInt(padded.readUInt32LE(at));
  }
}

function digestOf(texts: readonly string[]): string {
  const digest = new StreamDigest();
  for (const [index, text] of texts.entries()) digest.add(index, text);
  return digest.hex();
}

test("known streams have known digests", () => {
  const vectors: [string[], string][] = [
    [[], "ebb6c2283cd6e3f3"],
    [[""], "6820942e229de6be"],
    [["Moon"], "2002651b7c78dc79"],
    [["The", " moon", " rises"], "00166ee928337055"],
    [["ä", "→", "\u{1f319}"], "722a07488727d881"],
  ];
  for (const [texts, hex] of vectors) assert.equal(digestOf(texts), hex, JSON.stringify(texts));
});

test("the digest is the one its definition gives, for any text", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    fc.constantFrom("\ud800", "a\udc00b", "\u{1f319}"),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 8 }), (texts) => {
      assert.equal(digestOf(texts), byDefinition(texts));
    }),
  );
});

test("the same bytes cut at other places are another stream", () => {
  const streams = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"], ["abc\0"]];
  assert.equal(new Set(streams.map(digestOf)).size, streams.length);
});

test("a digest goes on in another process from its state", () => {
  const whole = digestOf(["a", "b", "c"]);
  const first = new StreamDigest();
  first.add(0, "a");
  first.add(1, "b");
  const second = StreamDigest.from(JSON.parse(JSON.stringify(first.state())));
  second.add(2, "c");
  assert.equal(second.hex(), whole);
  assert.equal(second.short(), whole.slice(0, 8));
});
