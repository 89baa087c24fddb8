import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { type Extent, Segments } from "./segments.ts";

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

const bytesOf = (n: number, size: number): Buffer => Buffer.alloc(size, n);

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
        const live: { extent: Extent; bytes: Buffer }[] = [];
        for (const [n, act] of list.entries()) {
          if ("size" in act) {
            const bytes = bytesOf(n, act.size);
            live.push({ extent: segments.append(bytes) as Extent, bytes });
          } else if (live.length > 0) {
            const [gone] = live.splice(act.free % live.length, 1);
            segments.free((gone as { extent: Extent }).extent);
          }
          const liveBytes = live.reduce((sum, { bytes }) => sum + bytes.length, 0);
          assert.equal(segments.liveBytes, liveBytes);
          assert.ok(segments.diskBytes <= 4 * liveBytes + 3 * 1000, `${segments.diskBytes} for ${liveBytes}`);
        }
        for (const { extent, bytes } of live) assert.deepEqual(segments.read(extent), bytes);
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
      kept.push(segments.append(bytesOf(n, 100)) as Extent);
      const others = Array.from({ length: 10 }, () => segments.append(bytesOf(0, 990)) as Extent);
      for (const other of others) segments.free(other);
    }
    assert.ok(segments.diskBytes <= 4 * 20_000 + 30_000);
    for (const [n, extent] of kept.entries()) assert.deepEqual(segments.read(extent), bytesOf(n, 100));
    segments.close();
  }),
);

test(
  "a start removes what a crashed process left, and its files are for nobody else",
  inFolder((folder) => {
    const crashed = Segments.open({ folder, onFailure: raise });
    crashed.append(bytesOf(1, 100));
    writeFileSync(join(folder, "not-ours"), "");
    const segments = Segments.open({ folder, onFailure: raise });
    assert.deepEqual(readdirSync(folder), ["not-ours"]);
    segments.append(bytesOf(1, 100));
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.equal(statSync(join(folder, "0.segment")).mode & 0o777, 0o600);
    segments.close();
  }),
);

test(
  "a disk that takes no more is told once per outage, and what was written before stays readable",
  inFolder((folder) => {
    const failures: Error[] = [];
    const segments = Segments.open({ folder, segmentBytes: 100, onFailure: (error) => failures.push(error) });
    const extent = segments.append(bytesOf(1, 100)) as Extent;
    rmSync(folder, { recursive: true });
    assert.equal(segments.append(bytesOf(2, 100)), undefined);
    assert.equal(segments.append(bytesOf(2, 100)), undefined);
    assert.match((failures[0] as Error).message, /ENOENT/);
    assert.equal(failures.length, 1);
    assert.deepEqual(segments.read(extent), bytesOf(1, 100));
    mkdirSync(folder);
    assert.notEqual(segments.append(bytesOf(3, 100)), undefined);
    rmSync(folder, { recursive: true });
    segments.append(bytesOf(4, 100));
    assert.equal(failures.length, 2);
    segments.close();
  }),
);
