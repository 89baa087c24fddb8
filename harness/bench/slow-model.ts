// Writes a model that takes long for each token: the demo model's vocabulary and settings around random
// weights two hundred times as many. It says nothing; it is there to be waited for.

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const shape = {
  "llama.block_count": 8,
  "llama.embedding_length": 1024,
  "llama.feed_forward_length": 2816,
  "llama.attention.head_count": 16,
  "llama.attention.head_count_kv": 16,
  "llama.rope.dimension_count": 64,
};
const width = shape["llama.embedding_length"];
const inner = shape["llama.feed_forward_length"];

/** Types of tensors, by GGUF's numbers. */
const f32 = 0;
const f16 = 1;
const alignment = 32;

interface Tensor {
  readonly name: string;
  readonly dimensions: readonly number[];
  readonly type: typeof f32 | typeof f16;
}

export function writeSlowModel(haiku: string, path: string): void {
  const source = readFileSync(haiku);
  const { settings, count, vocabulary } = reshaped(source);
  const tensors = tensorsFor(vocabulary);
  const head = Buffer.concat([header(tensors.length, count), settings, ...describe(tensors)]);
  const file = openSync(path, "w");
  try {
    writeSync(file, Buffer.concat([head, Buffer.alloc(padding(head.length))]));
    const random = randomHalves();
    const ones = Buffer.from(new Float32Array(width).fill(1).buffer);
    for (const tensor of tensors) {
      if (tensor.type === f32) writeSync(file, ones);
      else
        for (let left = bytesOf(tensor); left > 0; left -= random.length)
          writeSync(file, random, 0, Math.min(left, random.length));
    }
  } finally {
    closeSync(file);
  }
}

function header(tensors: number, settings: number): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.write("GGUF");
  bytes.writeUInt32LE(3, 4);
  bytes.writeBigUInt64LE(BigInt(tensors), 8);
  bytes.writeBigUInt64LE(BigInt(settings), 16);
  return bytes;
}

/** The settings of the source, byte for byte but for the numbers of the shape. */
function reshaped(source: Buffer): { settings: Buffer; count: number; vocabulary: number } {
  const bytes = Buffer.from(source);
  const count = Number(bytes.readBigUInt64LE(16));
  let vocabulary = 0;
  let at = 24;
  for (let left = count; left > 0; left--) {
    const length = Number(bytes.readBigUInt64LE(at));
    const key = bytes.toString("utf8", at + 8, at + 8 + length);
    const type = bytes.readUInt32LE(at + 8 + length);
    const value = at + 12 + length;
    if (key in shape) bytes.writeUInt32LE(shape[key as keyof typeof shape], value);
    if (key === "tokenizer.ggml.tokens") vocabulary = Number(bytes.readBigUInt64LE(value + 4));
    at = endOf(bytes, type, value);
  }
  return { settings: bytes.subarray(24, at), count, vocabulary };
}

const sizes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const text = 8;
const list = 9;

function endOf(bytes: Buffer, type: number, at: number): number {
  if (type === text) return at + 8 + Number(bytes.readBigUInt64LE(at));
  if (type !== list) return at + (sizes[type] as number);
  const inner = bytes.readUInt32LE(at);
  let end = at + 12;
  for (let left = Number(bytes.readBigUInt64LE(at + 4)); left > 0; left--) end = endOf(bytes, inner, end);
  return end;
}

function tensorsFor(vocabulary: number): Tensor[] {
  const matrix = (name: string, ...dimensions: number[]): Tensor => ({ name, dimensions, type: f16 });
  const norm = (name: string): Tensor => ({ name, dimensions: [width], type: f32 });
  const blocks = Array.from({ length: shape["llama.block_count"] }, (_, at) => [
    norm(`blk.${at}.attn_norm.weight`),
    matrix(`blk.${at}.attn_q.weight`, width, width),
    matrix(`blk.${at}.attn_k.weight`, width, width),
    matrix(`blk.${at}.attn_v.weight`, width, width),
    matrix(`blk.${at}.attn_output.weight`, width, width),
    norm(`blk.${at}.ffn_norm.weight`),
    matrix(`blk.${at}.ffn_gate.weight`, width, inner),
    matrix(`blk.${at}.ffn_up.weight`, width, inner),
    matrix(`blk.${at}.ffn_down.weight`, inner, width),
  ]);
  const ends = [norm("output_norm.weight"), matrix("output.weight", width, vocabulary)];
  return [matrix("token_embd.weight", width, vocabulary), ...blocks.flat(), ...ends];
}

function describe(tensors: readonly Tensor[]): Buffer[] {
  let offset = 0;
  return tensors.map((tensor) => {
    const { name, dimensions, type } = tensor;
    const bytes = Buffer.alloc(8 + name.length + 4 + 8 * dimensions.length + 12);
    bytes.writeBigUInt64LE(BigInt(name.length), 0);
    bytes.write(name, 8);
    let at = bytes.writeUInt32LE(dimensions.length, 8 + name.length);
    for (const size of dimensions) at = bytes.writeBigUInt64LE(BigInt(size), at);
    at = bytes.writeUInt32LE(type, at);
    bytes.writeBigUInt64LE(BigInt(offset), at);
    // Every size of ours is a multiple of the alignment, so tensors follow each other without a gap.
    offset += bytesOf(tensor);
    return bytes;
  });
}

function bytesOf({ dimensions, type }: Tensor): number {
  return dimensions.reduce((product, size) => product * size, type === f32 ? 4 : 2);
}

function padding(length: number): number {
  return (alignment - (length % alignment)) % alignment;
}

/** A megabyte of small numbers of both signs. */
function randomHalves(): Buffer {
  const halves = new Uint16Array(1 << 19);
  let state = 1;
  for (let at = 0; at < halves.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const sign = (state >>> 31) << 15;
    halves[at] = sign | (9 << 10) | ((state >>> 10) & 0x3ff);
  }
  return Buffer.from(halves.buffer);
}
