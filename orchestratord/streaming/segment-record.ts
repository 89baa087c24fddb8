// One record of the segment log as bytes: its length, a checksum, whose text it holds and where that stands
// in its stream. By that alone another process finds the streams of one that was killed. A log never leaves
// its machine, and a record of another form than today's is no record.

import { crc32 } from "node:zlib";
import { StreamDigest } from "@llama-orch/contract";

/** How a stream stands after some of its text: all that its writer needs to go on from there. */
export interface Mark {
  readonly frames: number;
  readonly tokensOut: number;
  readonly hasExactIds: boolean;
  /** The running digest over all frames so far. */
  readonly lanes: readonly [number, number];
}

export const beginning: Mark = {
  frames: 0,
  tokensOut: 0,
  hasExactIds: true,
  lanes: new StreamDigest().state(),
};

/** The stretch of a stream that a record holds. */
export interface Stretch {
  /** Job id of the stream. */
  readonly label: string;
  /** Places in its text. */
  readonly at: number;
  readonly end: number;
  readonly before: Mark["lanes"];
  readonly after: Mark;
}

export interface Packed {
  /** May be longer than the record, and is good until the next one is packed. */
  readonly bytes: Buffer;
  readonly length: number;
  /** Bytes before the text. */
  readonly head: number;
}

export interface Scanned {
  readonly stretch: Stretch;
  readonly from: number;
  readonly bytes: number;
  readonly head: number;
}

/** Bytes before the label; the first eight of them, length and checksum, are not in the checksum. */
const fixedBytes = 50;
const uncheckedBytes = 8;

/** Goes into every checksum; another number makes all older records unreadable. */
const form = 1;

/** @param scratch used again and again, so that a record of one batch costs no allocation of its size */
export function pack(scratch: Buffer, text: string, stretch?: Stretch): Packed {
  const head = fixedBytes + (stretch?.label.length ?? 0);
  const bytes =
    head + 3 * text.length <= scratch.length ? scratch : Buffer.allocUnsafe(head + Buffer.byteLength(text));
  const length = head + bytes.write(text, head);
  if (stretch === undefined) bytes.fill(0, uncheckedBytes, fixedBytes);
  else writeStretch(bytes, stretch);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt32LE(crc32(bytes.subarray(uncheckedBytes, length), form), 4);
  return { bytes, length, head };
}

function writeStretch(bytes: Buffer, { label, at, end, before, after }: Stretch): void {
  bytes.writeDoubleLE(at, 8);
  bytes.writeDoubleLE(end, 16);
  bytes.writeUInt32LE(after.frames, 24);
  bytes.writeUInt32LE(after.tokensOut, 28);
  bytes.writeUInt32LE(after.lanes[0], 32);
  bytes.writeUInt32LE(after.lanes[1], 36);
  bytes.writeUInt32LE(before[0], 40);
  bytes.writeUInt32LE(before[1], 44);
  bytes[48] = after.hasExactIds ? 1 : 0;
  bytes[49] = label.length;
  bytes.write(label, fixedBytes, "latin1");
}

/**
 * Tells every labelled record of a file, in order, up to the first that is not whole: there its process was
 * killed, or lost power.
 */
export function scan(file: Buffer, tell: (record: Scanned) => void): void {
  for (let from = 0; from + fixedBytes <= file.length; ) {
    const bytes = file.readUInt32LE(from);
    if (bytes < fixedBytes || from + bytes > file.length) return;
    const checked = file.subarray(from + uncheckedBytes, from + bytes);
    if (crc32(checked, form) !== file.readUInt32LE(from + 4)) return;
    const labelBytes = file[from + 49] as number;
    const head = fixedBytes + labelBytes;
    if (labelBytes > 0) tell({ stretch: readStretch(file, from, head), from, bytes, head });
    from += bytes;
  }
}

function readStretch(file: Buffer, from: number, head: number): Stretch {
  return {
    label: file.toString("latin1", from + fixedBytes, from + head),
    at: file.readDoubleLE(from + 8),
    end: file.readDoubleLE(from + 16),
    before: [file.readUInt32LE(from + 40), file.readUInt32LE(from + 44)],
    after: {
      frames: file.readUInt32LE(from + 24),
      tokensOut: file.readUInt32LE(from + 28),
      hasExactIds: file[from + 48] === 1,
      lanes: [file.readUInt32LE(from + 32), file.readUInt32LE(from + 36)],
    },
  };
}
