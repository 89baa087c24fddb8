import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { toldJournal } from "@llama-orch/orchestratord/fixtures/told-journal";
import { fileInspector } from "../doctor/inspector.ts";
import { MemoryTerminal } from "../fixtures/memory-terminal.ts";
import { runLlorch } from "../index.ts";

async function llorch(...args: string[]) {
  const terminal = new MemoryTerminal();
  const code = await runLlorch(args, {
    terminal,
    settings: {
      url: undefined,
      token: undefined,
      apiKey: undefined,
      dataDir: "/nowhere",
      listenAddress: undefined,
      isDumbTerminal: false,
      programFolders: [],
      libraryFolders: [],
    },
    inspector: fileInspector("/nowhere"),
    nodeVersion: "v24.0.0",
    start: () => Promise.reject(new Error("Nothing is started here.")),
  });
  return { code, out: terminal.out.text, err: terminal.err.text };
}

async function journalFor(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-replay-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await toldJournal(folder, "happy-life");
  const path = join(folder, "0000000001.jsonl");
  const change = (what: string | RegExp, by: string) =>
    writeFileSync(path, readFileSync(path, "utf8").replace(what, by));
  return { folder, path, change };
}

test("a journal that today's core decides the same is said to be identical, with what was in it", async (t) => {
  const { folder, path } = await journalFor(t);
  const { code, out, err } = await llorch("replay", folder);
  assert.match(
    out,
    /^\d+ events with \d+ effects, from 1970-01-01T00:00:00\.000Z to 1970-01-01T00:00:01\.125Z: identical\.\n$/,
  );
  assert.deepEqual([code, err], [0, ""]);
  assert.equal((await llorch("replay", path)).out, out);
});

test("the first difference is shown with its event and both decisions, and is a failure", async (t) => {
  const { folder, path, change } = await journalFor(t);
  change('"replicaId":"r0","epoch":1,"nodeId"', '"replicaId":"r\\u001b9","epoch":1,"nodeId"');
  const { code, out, err } = await llorch("replay", folder);
  assert.equal(code, 1);
  const lines = out.split("\n");
  assert.match(lines[0] ?? "", /^First difference: event 3, TaskSubmitted at 1970-.*, line 4 of /);
  assert.ok(lines[0]?.endsWith(path));
  assert.match(lines[2] ?? "", /^ {2}event {5}\{"seq":3,/);
  assert.match(lines[3] ?? "", /^ {2}recorded {2}\[\{"type":/);
  assert.match(lines[4] ?? "", /^ {2}today {5}\[\{"type":/);
  assert.equal(
    lines[1],
    '  differs   effects[3].replicaId: "r\\u001b9" was recorded, today it is "r0"',
    "a journal cannot steer the terminal",
  );
  assert.match(err, /^llorch: 3 events with \d+ effects, from .* to .*: different from event 3 on\.\n$/);
});

test("a journal of another core says so, and what a crash left out is said", async (t) => {
  const { folder, path, change } = await journalFor(t);
  change(/"core":"[0-9a-f]{16}"/, '"core":"0123456789abcdef"');
  appendFileSync(path, '{"event"');
  writeFileSync(
    join(folder, "0000000002.jsonl"),
    readFileSync(path, "utf8").split("\n")[0]?.replace('"afterSeq":0', '"afterSeq":90') ?? "",
  );
  appendFileSync(join(folder, "0000000002.jsonl"), "\n");
  const { code, out } = await llorch("replay", folder);
  assert.equal(code, 0);
  const lines = out.split("\n");
  assert.match(
    lines[0] ?? "",
    /^Written by another core: 0123456789abcdef of orchestratord 0\.0\.0; here is/,
  );
  assert.match(lines[1] ?? "", /0000000001\.jsonl ends in the middle of line \d+, as a crash leaves it\.$/);
  assert.match(lines[2] ?? "", /^Before .*0000000002\.jsonl the events \d+ to 90 were not written down\.$/);
  assert.match(lines[3] ?? "", /: identical\.$/);
});

test("a program gets all of it as JSON", async (t) => {
  const { folder, change } = await journalFor(t);
  const same = JSON.parse((await llorch("--json", "replay", folder)).out);
  assert.equal(same.identical, true);
  assert.deepEqual(same.cores, [same.core]);
  change('"replicaId":"r0","epoch":1,"nodeId"', '"replicaId":"r9","epoch":1,"nodeId"');
  const { code, out, err } = await llorch("--json", "replay", folder);
  const { identical, difference } = JSON.parse(out);
  assert.deepEqual([code, identical, difference.seq], [1, false, 3]);
  assert.match(JSON.parse(err).error.message, /different from event 3 on/);
});

test("what is no journal fails with a sentence, and no journal at all is a wrong call", async (t) => {
  const { folder } = await journalFor(t);
  const absent = await llorch("replay", join(folder, "nosuch"));
  assert.equal(absent.code, 1);
  assert.match(absent.err, /^llorch: .*nosuch cannot be read .* Name the folder journal of a data directory/);
  assert.equal((await llorch("replay")).code, 2);
});
