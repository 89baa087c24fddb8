// What a stream does while the disk refuses: it keeps its text, asks rarely, and goes on where it was.

import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Ring } from "./ring.ts";
import { Segments } from "./segments.ts";

const roomBytes = 4000;

/** Every append of a segment log whose folder can be taken away. */
function refusable(use: (parts: { ring: Ring; appended: number[]; refuse(yes: boolean): void }) => void) {
  const root = mkdtempSync(join(tmpdir(), "ring-"));
  const folder = join(root, "spill");
  // Each append needs a new file, so that a folder that is gone refuses all of them.
  const segments = Segments.open({ folder, segmentBytes: 1, onFailure: () => {} });
  const appended: number[] = [];
  const watched = Object.assign(Object.create(segments) as Segments, {
    append: (...args: Parameters<Segments["append"]>) => {
      appended.push(args[0].length);
      return segments.append(...args);
    },
    read: (extent: Parameters<Segments["read"]>[0]) => segments.read(extent),
    free: (extent: Parameters<Segments["free"]>[0]) => segments.free(extent),
  });
  const ring = new Ring({ roomBytes, segments: watched, label: "" });
  const refuse = (yes: boolean) =>
    yes ? renameSync(folder, `${folder}-gone`) : renameSync(`${folder}-gone`, folder);
  try {
    use({ ring, appended, refuse });
    ring.release();
    segments.close();
  } finally {
    rmSync(root, { recursive: true });
  }
}

const textOf = (ring: Ring): string => [...ring.entries()].map(({ text }) => text).join("");

test("a disk that refuses is asked once per room of new text, each time with one room of it", () => {
  refusable(({ ring, appended, refuse }) => {
    let text = "";
    const say = (times: number) => {
      for (let n = 0; n < times; n++) {
        const piece = `token ${n} `;
        text += piece;
        ring.append({ text: piece, count: 1, atMs: 0 });
      }
    };
    refuse(true);
    say(1000);
    const asked = appended.splice(0);
    assert.ok(asked.length <= ring.keptBytes / roomBytes, `${asked.length} times`);
    assert.ok(asked.length > 10);
    assert.ok(Math.max(...asked) <= 2 * roomBytes, `${Math.max(...asked)} bytes`);
    assert.equal(textOf(ring), text);
    refuse(false);
    say(40);
    assert.ok(ring.keptBytes <= roomBytes);
    assert.equal(textOf(ring), text);
  });
});

test("a stream that the disk refuses is overfull when it has filled its memory, and no other is", () => {
  refusable(({ ring, refuse }) => {
    const entry = { text: "x".repeat(roomBytes), count: 1, atMs: 0 };
    for (let n = 0; n < 600; n++) ring.append(entry);
    assert.equal(ring.isOverfull, false);
    refuse(true);
    for (let n = 0; n < 200; n++) ring.append(entry);
    assert.equal(ring.isOverfull, false);
    for (let n = 0; n < 100; n++) ring.append(entry);
    assert.equal(ring.isOverfull, true);
    refuse(false);
  });
});
