import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Named } from "./inventory.ts";
import { TranscriptLog, type TranscriptLogOptions } from "./transcript-log.ts";

const keeping = { transcriptsMs: 1000, transcriptsBytes: 1_000_000, uploadsBytes: 0 };

function named(text: string): Named {
  const piece = Buffer.from(text);
  const id = `sha256:${createHash("sha256").update(piece).digest("hex")}`;
  return { id, pieces: [piece], bytes: piece.length };
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(join(tmpdir(), "transcripts-"));
  try {
    await use(join(parent, "transcripts"));
  } finally {
    await rm(parent, { recursive: true });
  }
}

type More = Partial<TranscriptLogOptions>;

async function opened<T>(
  folder: string,
  use: (log: TranscriptLog) => Promise<T>,
  more: More = {},
): Promise<T> {
  const log = await TranscriptLog.open({ folder, keeping, ...more });
  try {
    return await use(log);
  } finally {
    await log.close();
  }
}

const putAll = (log: TranscriptLog, texts: readonly string[]) =>
  Promise.all(texts.map((text, n) => log.put("default", named(text), n)));

const textIn = async (log: TranscriptLog, text: string): Promise<string | undefined> =>
  (await log.get("default", named(text).id))?.toString();

async function onlyFile(folder: string): Promise<string> {
  const [name, ...others] = await readdir(folder);
  assert.deepEqual(others, []);
  return join(folder, name as string);
}

test("all that come while one group is being written are the next group, safe with one sync", () =>
  inFolder(async (folder) => {
    await opened(folder, (log) => putAll(log, ["first", "a", "b", "ü", "c"]));
    const content = await readFile(await onlyFile(folder), "latin1");
    const groups = [...content.matchAll(/"synced":(\d+)\}/g)].map(([, synced]) => Number(synced));
    assert.deepEqual(groups, [0, ...Array(4).fill(groups[1])]);
    assert.ok((groups[1] as number) > 0);
  }));

test("a transcript can be read while its group is still being written", () =>
  inFolder((folder) =>
    opened(folder, async (log) => {
      const safe = putAll(log, ["one", "two"]);
      assert.equal(await textIn(log, "two"), "two");
      await safe;
      assert.equal(await textIn(log, "two"), "two");
    }),
  ));

test("a restart finds every transcript of every file, with its time and tenant", () =>
  inFolder(async (folder) => {
    const texts = Array.from({ length: 40 }, (_, n) => `${n} `.repeat(n * 40));
    await opened(folder, async (log) => {
      for (const [n, text] of texts.entries()) await log.put(`tenant-${n % 3}`, named(text), n);
    });
    const more = { fileBytes: 4096 };
    for (const again of ["", "again"]) {
      await opened(
        folder,
        async (log) => {
          for (const [n, text] of texts.entries()) {
            const { id } = named(text);
            assert.equal((await log.get(`tenant-${n % 3}`, id))?.toString(), text);
            assert.equal(log.find(`tenant-${n % 3}`, id)?.createdMs, n);
            assert.equal(log.find(`tenant-${(n + 1) % 3}`, id), undefined);
          }
          for (const [n, text] of texts.entries()) await log.put("others", named(text + again), n);
        },
        more,
      );
    }
    assert.ok((await readdir(folder)).length > 10);
  }));

test("what a crash has left half written is cut off wherever it broke, and the rest is served", () =>
  inFolder(async (folder) => {
    await opened(folder, async (log) => {
      await putAll(log, ["safe"]);
      await putAll(log, ["first of its group", "second", "third"]);
    });
    const path = await onlyFile(folder);
    const whole = await readFile(path);
    const starts = [...whole.toString("latin1").matchAll(/\{"id"/g)].map(({ index }) => index);
    assert.equal(starts.length, 4);
    // Of the last byte nothing hangs: it is the newline behind the text.
    for (let end = starts[3] as number; end < whole.length - 1; end++) {
      await writeFile(path, Buffer.concat([whole.subarray(0, end), Buffer.alloc(end % 3)]));
      await opened(folder, async (log) => {
        assert.equal(await textIn(log, "second"), "second");
        assert.equal(await textIn(log, "third"), undefined);
      });
      assert.equal((await readFile(path)).length, starts[3]);
    }
  }));

test("a header that promises more than there is, is none", () =>
  inFolder(async (folder) => {
    await opened(folder, (log) => putAll(log, ["safe"]));
    const path = await onlyFile(folder);
    const whole = await readFile(path, "latin1");
    await writeFile(path, whole + whole.replace(/"bytes":4/, '"bytes":999999999999'), "latin1");
    await opened(folder, async (log) => assert.equal(await textIn(log, "safe"), "safe"));
    assert.equal(await readFile(path, "latin1"), whole);
  }));

test("a group that was never synced counts up to its first text that is not what its name says", () =>
  inFolder(async (folder) => {
    await opened(folder, async (log) => {
      await putAll(log, ["safe"]);
      await putAll(log, ["alone", "torn", "behind"]);
    });
    const path = await onlyFile(folder);
    const torn = (await readFile(path, "latin1")).replace("\ntorn", "\n\0\0\0\0");
    await writeFile(path, torn, "latin1");
    await opened(folder, async (log) => {
      assert.equal(await textIn(log, "safe"), "safe");
      for (const text of ["torn", "behind"]) assert.equal(await textIn(log, text), undefined);
      await log.put("default", named("torn"), 7);
      assert.equal(await textIn(log, "torn"), "torn");
    });
  }));

test("a text that the disk has changed is never served", () =>
  inFolder((folder) =>
    opened(folder, async (log) => {
      await putAll(log, ["precious"]);
      const path = await onlyFile(folder);
      await writeFile(path, (await readFile(path, "latin1")).replace("precious", "perverse"), "latin1");
      await assert.rejects(textIn(log, "precious"), /damaged/);
      await truncate(path);
      await assert.rejects(textIn(log, "precious"), /damaged/);
    }),
  ));

test("a file goes with the last transcript in it that is kept, and the last file does, too", () =>
  inFolder(async (folder) => {
    const texts = Array.from({ length: 20 }, (_, n) => `${n}`.padStart(200, "x"));
    await opened(
      folder,
      async (log) => {
        for (const [n, text] of texts.entries()) await log.put("default", named(text), n);
        assert.equal(await textIn(log, texts[9] as string), undefined);
        for (const text of texts.slice(10)) assert.equal(await textIn(log, text), text);
        await log.sweep(1014);
        assert.equal(await textIn(log, texts[14] as string), undefined);
        assert.equal((await readdir(folder)).length, 5);
        await log.sweep(2000);
        assert.deepEqual(await readdir(folder), []);
        await log.put("default", named("new"), 2000);
        assert.equal(await textIn(log, "new"), "new");
      },
      { keeping: { ...keeping, transcriptsBytes: 2000 } },
    );
  }));

test("where the disk refuses a group, its puts fail, and the next ones are tried anew", () =>
  inFolder((folder) =>
    opened(folder, async (log) => {
      // A file stands where the folder has to be.
      await writeFile(folder, "");
      const puts = ["a", "b"].map((text) => log.put("default", named(text), 0));
      for (const { status } of await Promise.allSettled(puts)) assert.equal(status, "rejected");
      assert.equal(await textIn(log, "a"), undefined);
      await rm(folder);
      await putAll(log, ["a", "b"]);
      assert.equal(await textIn(log, "a"), "a");
    }),
  ));
