import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { beginning, type Stretch } from "./segment-record.ts";
import { type Extent, type Found, Segments } from "./segments.ts";

function inFolder(use: (folder: string) => void): () => void {
  return () => {
    const folder = mkdtempSync(join(tmpdir(), "segments-"));
    try {
      use(join(folder, "spill"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

function raise(error: Error): never {
  throw error;
}

const textOf = (n: number, size: number): string => String.fromCharCode(33 + (n % 90)).repeat(size);

/** What a record costs that belongs to no stream. */
const headBytes = 50;

/** @param from stands for the digest before it, and `to` for the one after it; 0 is that of no text */
function stretchOf(label: string, at: number, end: number, from = 0, to = from): Stretch {
  const lanes = (n: number) => (n === 0 ? beginning.lanes : ([n, n] as const));
  const after = { frames: end, tokensOut: end, hasExactIds: true, lanes: lanes(to) };
  return { label, at, end, before: lanes(from), after };
}

const acts = fc.array(
  fc.oneof(
    fc.record({ size: fc.integer({ min: 1, max: 700 }) }),
    fc.record({ size: fc.integer({ min: 1, max: 700 }) }),
    fc.record({ free: fc.nat() }),
  ),
  { maxLength: 200, size: "max" },
);

test(
  "whatever is appended and freed, the rest can be read, and the disk stays within a multiple of it",
  inFolder((folder) => {
    fc.assert(
      fc.property(acts, (list) => {
        const segments = Segments.open({ folder, segmentBytes: 1000, onFailure: raise });
        const live: { extent: Extent; text: string }[] = [];
        for (const [n, act] of list.entries()) {
          if ("size" in act) {
            const text = textOf(n, act.size);
            live.push({ extent: segments.append(text) as Extent, text });
          } else if (live.length > 0) {
            const [gone] = live.splice(act.free % live.length, 1);
            segments.free((gone as { extent: Extent }).extent);
          }
          const liveBytes = live.reduce((sum, { text }) => sum + headBytes + text.length, 0);
          assert.equal(segments.liveBytes, liveBytes);
          assert.ok(segments.diskBytes <= 4 * liveBytes + 3 * 1000, `${segments.diskBytes} for ${liveBytes}`);
        }
        for (const { extent, text } of live) assert.equal(segments.read(extent), text);
        const onDisk = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
        assert.equal(onDisk, segments.diskBytes);
        segments.close();
        assert.deepEqual(readdirSync(folder), []);
      }),
      { numRuns: 100 },
    );
  }),
);

test(
  "a long task that holds a little of every segment does not hold them all",
  inFolder((folder) => {
    const segments = Segments.open({ folder, segmentBytes: 10_000, onFailure: raise });
    const kept: Extent[] = [];
    for (let n = 0; n < 200; n++) {
      kept.push(segments.append(textOf(n, 100)) as Extent);
      const others = Array.from({ length: 10 }, () => segments.append(textOf(0, 990)) as Extent);
      for (const other of others) segments.free(other);
    }
    assert.ok(segments.diskBytes <= 4 * 200 * (headBytes + 100) + 30_000);
    for (const [n, extent] of kept.entries()) assert.equal(segments.read(extent), textOf(n, 100));
    segments.close();
  }),
);

test(
  "of a crashed process only what belongs to a stream is kept, and its files are for nobody else",
  inFolder((folder) => {
    const crashed = Segments.open({ folder, segmentBytes: 1000, onFailure: raise });
    crashed.append(textOf(1, 900));
    crashed.append("abc", stretchOf("a", 0, 3));
    crashed.append(textOf(1, 900));
    writeFileSync(join(folder, "not-ours"), "");
    const segments = Segments.open({ folder, onFailure: raise });
    assert.deepEqual(readdirSync(folder).sort(), ["1.segment", "not-ours"]);
    assert.deepEqual([...segments.labels()], ["a"]);
    const [found] = segments.claim("a");
    assert.equal(segments.read((found as Found).extent), "abc");
    assert.deepEqual([...segments.labels()], []);
    assert.deepEqual(segments.claim("a"), []);
    segments.append("def", stretchOf("a", 3, 6));
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    for (const name of ["1.segment", "3.segment"]) {
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    }
    segments.close();
    assert.deepEqual(readdirSync(folder).sort(), ["1.segment", "3.segment", "not-ours"]);
  }),
);

test(
  "what nobody claims is forgotten, and its files go",
  inFolder((folder) => {
    const crashed = Segments.open({ folder, segmentBytes: 100, onFailure: raise });
    for (const label of ["a", "b", "c"]) crashed.append(textOf(1, 90), stretchOf(label, 0, 90));
    const segments = Segments.open({ folder, segmentBytes: 100, onFailure: raise });
    segments.claim("b");
    assert.equal(readdirSync(folder).length, 3);
    segments.forgetUnclaimed();
    assert.deepEqual(readdirSync(folder), ["1.segment"]);
    assert.deepEqual([...segments.labels()], []);
    segments.close();
  }),
);

test(
  "half a record at the end of a file, or another byte in it, takes nothing of what stands before it",
  inFolder((folder) => {
    const crashed = Segments.open({ folder, onFailure: raise });
    crashed.append("abc", stretchOf("a", 0, 3));
    crashed.append("def", stretchOf("a", 3, 6));
    const file = join(folder, "0.segment");
    const whole = readFileSync(file);
    const half = whole.length / 2;
    for (let at = half; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] as number) ^ 4;
      const zeroes = Buffer.alloc(whole.length).fill(whole.subarray(0, half), 0, half);
      for (const bytes of [whole.subarray(0, at), flipped, zeroes]) {
        writeFileSync(file, bytes);
        const segments = Segments.open({ folder, onFailure: raise });
        const texts = segments.claim("a").map(({ extent }) => segments.read(extent));
        assert.deepEqual(texts, ["abc"]);
        segments.close();
      }
    }
  }),
);

test(
  "what moved and what was replaced by a larger record is found once, as it was last",
  inFolder((folder) => {
    const segments = Segments.open({ folder, segmentBytes: 1000, onFailure: raise });
    const small = [0, 1, 2].map((n) => segments.append(`${n}`, stretchOf("a", n, n + 1)) as Extent);
    segments.append("012", stretchOf("a", 0, 3));
    for (const extent of small) segments.free(extent);
    segments.append("3", stretchOf("a", 3, 4));
    for (let n = 0; n < 40; n++) {
      segments.free(segments.append(textOf(n, 770)) as Extent);
      segments.append(textOf(n, 120));
    }
    assert.ok(!readdirSync(folder).includes("0.segment"), "What was in the first file has moved.");
    const next = Segments.open({ folder, onFailure: raise });
    assert.deepEqual(
      next.claim("a").map(({ extent }) => next.read(extent)),
      ["012", "3"],
    );
    next.close();
    segments.close();
  }),
);

test(
  "a stream is found up to its first gap, and never goes on with what was written after another text",
  inFolder((folder) => {
    const first = Segments.open({ folder, onFailure: raise });
    first.append("ab", stretchOf("a", 0, 2, 0, 1));
    first.append("??", stretchOf("a", 4, 6, 2, 3));
    first.append("x", stretchOf("b", 1, 2));
    const second = Segments.open({ folder, onFailure: raise });
    assert.deepEqual([...second.labels()], ["a"]);
    assert.equal(second.claim("a").length, 1);
    second.append("cd", stretchOf("a", 2, 4, 1, 9));
    const third = Segments.open({ folder, onFailure: raise });
    assert.deepEqual(
      third.claim("a").map(({ extent }) => third.read(extent)),
      ["ab", "cd"],
    );
    for (const segments of [first, second, third]) segments.close();
  }),
);

test(
  "a hundred megabytes of other processes' records are read in well under a second",
  inFolder((folder) => {
    const crashed = Segments.open({ folder, onFailure: raise });
    const text = textOf(1, 30_000);
    for (let n = 0; n < 2500; n++) crashed.append(text, stretchOf("a", n, n + 1, n, n + 1));
    for (let n = 0; n < 100_000; n++) {
      crashed.append(textOf(1, 300), stretchOf(`b${n % 512}`, n >> 9, (n >> 9) + 1, n >> 9, (n >> 9) + 1));
    }
    const before = process.cpuUsage();
    const segments = Segments.open({ folder, onFailure: raise });
    const { user, system } = process.cpuUsage(before);
    assert.equal([...segments.labels()].length, 513);
    assert.ok(segments.diskBytes > 100e6);
    assert.ok(user + system < 1e6, `It took ${user + system} µs of a processor.`);
    segments.close();
    crashed.close();
  }),
);

test(
  "the room that is held is left alone where room would not help",
  inFolder((folder) => {
    let failures = 0;
    let asked = 0;
    const segments = Segments.open({
      folder,
      onFailure: () => failures++,
      makeRoom: () => ++asked > 0,
    });
    rmSync(folder, { recursive: true });
    assert.equal(segments.append(textOf(2, 100), stretchOf("a", 0, 100)), undefined);
    assert.deepEqual([failures, asked], [1, 0]);
    segments.close();
  }),
);

test(
  "a disk that takes no more is told once per outage, and what was written before stays readable",
  inFolder((folder) => {
    const failures: Error[] = [];
    const segments = Segments.open({ folder, segmentBytes: 100, onFailure: (error) => failures.push(error) });
    const extent = segments.append(textOf(1, 100)) as Extent;
    rmSync(folder, { recursive: true });
    assert.equal(segments.append(textOf(2, 100)), undefined);
    assert.equal(segments.append(textOf(2, 100)), undefined);
    assert.match((failures[0] as Error).message, /ENOENT/);
    assert.equal(failures.length, 1);
    assert.equal(segments.read(extent), textOf(1, 100));
    mkdirSync(folder);
    assert.notEqual(segments.append(textOf(3, 100)), undefined);
    rmSync(folder, { recursive: true });
    segments.append(textOf(4, 100));
    assert.equal(failures.length, 2);
    segments.close();
  }),
);
