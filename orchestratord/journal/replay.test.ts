import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { stories, teller, toldJournal } from "./fixtures/told-journal.ts";
import type { Entry, Header } from "./format.ts";
import { readJournal, UnreadableJournal } from "./read.ts";
import { replay } from "./replay.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-journal-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const first = (folder: string) => join(folder, "0000000001.jsonl");
const linesOf = (path: string): string[] => readFileSync(path, "utf8").trimEnd().split("\n");

/** Changes one line of the first file. */
function forge<T>(folder: string, line: number, change: (value: T) => unknown): void {
  const lines = linesOf(first(folder));
  const index = line < 0 ? lines.length + line : line - 1;
  lines[index] = JSON.stringify(change(JSON.parse(lines[index] ?? "") as T));
  writeFileSync(first(folder), `${lines.join("\n")}\n`);
}

for (const story of stories()) {
  test(`the story ${story} replays to the same decisions out of its journal`, async (t) => {
    const folder = folderFor(t);
    await toldJournal(folder, story);
    const written = linesOf(first(folder)).slice(1);
    const effects = written.flatMap((line) => (JSON.parse(line) as Entry).effects);
    const replayed = await replay(readJournal(folder));
    assert.equal(replayed.difference, undefined);
    assert.deepEqual([replayed.events, replayed.effects], [written.length, effects.length]);
    assert.ok(replayed.effects > 0);
  });
}

test("the first decision that differs is shown with its place, both decisions, and what differs", async (t) => {
  const folder = folderFor(t);
  await toldJournal(folder, "crash-and-replay");
  const lines = linesOf(first(folder)).map((line) => JSON.parse(line) as Entry);
  const at = lines.findIndex(({ effects }) => effects?.some(({ type }) => type === "DispatchAttempt"));
  const dispatch = lines[at]?.effects?.findIndex(({ type }) => type === "DispatchAttempt");
  const { effects: today = [], event } = lines[at] as Entry;
  forge<Entry>(folder, at + 1, ({ effects = [], ...entry }) => ({
    ...entry,
    effects: effects.map((each) => (each.type === "DispatchAttempt" ? { ...each, replicaId: "r9" } : each)),
  }));
  const { difference } = await replay(readJournal(folder));
  assert.deepEqual(difference, {
    file: first(folder),
    line: at + 1,
    seq: event.seq,
    nowMs: event.nowMs,
    event,
    recorded: difference?.recorded,
    today,
    differs: [`effects[${dispatch}].replicaId: "r9" was recorded, today it is "r0"`],
  });
  assert.match(JSON.stringify(difference.recorded), /"r9"/);
});

test("one effect more or less is one line, whatever stands around it", async (t) => {
  const folder = folderFor(t);
  await toldJournal(folder, "happy-life");
  const line = linesOf(first(folder)).findIndex((each) => each.includes("DispatchAttempt")) + 1;
  const { effects = [] } = JSON.parse(linesOf(first(folder))[line - 1] ?? "") as Entry;
  assert.ok(effects.length > 2);
  const differs = async (recorded: unknown[]) => {
    forge<Entry>(folder, line, (entry) => ({ ...entry, effects: recorded }));
    return (await replay(readJournal(folder))).difference?.differs;
  };
  const shown = JSON.stringify(effects[0]);
  assert.deepEqual(await differs([{ type: "Note" }, ...effects]), [
    'effects[0]: {"type":"Note"} was recorded, today it is nothing',
  ]);
  assert.deepEqual(await differs(effects.slice(1)), [
    `effects[0]: nothing was recorded, today it is ${shown}`,
  ]);
  assert.deepEqual(await differs([{ type: "Note" }, ...effects.slice(1)]), [
    `effects[0]: {"type":"Note"} was recorded, today it is ${shown}`,
  ]);
  const many = { ...effects[0], ...Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`x${n}`, n])) };
  assert.deepEqual((await differs([many, ...effects.slice(1)]))?.slice(-2), [
    "effects[0].x7: 7 was recorded, today it is nothing",
    "and 1 more",
  ]);
});

test("the order of fields makes no difference", async (t) => {
  const folder = folderFor(t);
  await toldJournal(folder, "happy-life");
  const turned = (value: object) => Object.fromEntries(Object.entries(value).reverse());
  forge<Entry>(folder, 4, ({ effects = [], ...entry }) => ({ ...entry, effects: effects.map(turned) }));
  assert.equal((await replay(readJournal(folder))).difference, undefined);
});

test("a bug of the core is in the journal, and is met again", async (t) => {
  const folder = folderFor(t);
  const { journal, tell } = teller(folder);
  const wrong = { type: "NoSuchEvent" } as never;
  assert.throws(() => tell(wrong), /is not a function/);
  await journal.close();
  assert.equal((await replay(readJournal(folder))).difference, undefined);
  forge<Entry>(folder, -1, ({ event }) => ({
    event: { ...event, type: "ShutdownBegan" },
    threw: "Error: gone",
  }));
  const { difference } = await replay(readJournal(folder));
  assert.deepEqual(difference?.differs, ['effects: {"threw":"Error: gone"} was recorded, today it is []']);
});

test("every file is taken from its own state, whatever lay before it", async (t) => {
  const folder = folderFor(t);
  const { journal, story, tell } = teller(folder, { fileBytes: 64 * 1024 });
  story("preemption");
  await journal.flush();
  for (let n = 0; n < 1000; n++) {
    tell({ type: "StorageChanged", full: n % 2 === 0 });
    if (n % 50 === 0) await journal.flush();
  }
  await journal.close();
  const whole = await replay(readJournal(folder));
  assert.ok(whole.files > 1);
  rmSync(first(folder));
  const rest = await replay(readJournal(folder));
  assert.deepEqual([whole.difference, whole.gaps], [undefined, []]);
  assert.equal(rest.files, whole.files - 1);
  assert.ok(rest.events < whole.events);
  assert.deepEqual([rest.difference, rest.gaps], [undefined, []]);
});

test("a line that is not whole ends its file, and that is said", async (t) => {
  const folder = folderFor(t);
  await toldJournal(folder, "happy-life");
  const { events } = await replay(readJournal(folder));
  appendFileSync(first(folder), '{"event":{"seq":');
  const torn = await replay(readJournal(folder));
  assert.deepEqual([torn.events, torn.torn], [events, [{ file: first(folder), line: events + 2 }]]);
  // A crash of the machine may leave the length of a line without its bytes.
  appendFileSync(first(folder), `${"\0".repeat(9)}\n`);
  assert.deepEqual((await replay(readJournal(folder))).torn, torn.torn);
  writeFileSync(join(folder, "0000000002.jsonl"), "");
  assert.deepEqual((await replay(readJournal(folder))).torn[1], {
    file: join(folder, "0000000002.jsonl"),
    line: 1,
  });
});

test("a file with a hole, without a header, of another format or with another state is refused in a sentence", async (t) => {
  const folder = folderFor(t);
  const refused = async (says: RegExp) =>
    assert.rejects(
      replay(readJournal(folder)),
      (error) => error instanceof UnreadableJournal && says.test(error.message),
    );
  await toldJournal(folder, "happy-life");
  const whole = readFileSync(first(folder), "utf8");
  const lines = whole.trimEnd().split("\n");
  writeFileSync(first(folder), `${lines.filter((_, n) => n !== 5).join("\n")}\n`);
  await refused(/^Line 6 of .* has event 6 where 5 belongs: the file has a hole\.$/);
  writeFileSync(first(folder), `${lines.with(5, "{").join("\n")}\n`);
  await refused(/^Line 6 of .* is no event with its effects/);
  writeFileSync(first(folder), `${lines.with(5, '{"event":{"seq":5}}').join("\n")}\n`);
  await refused(/^Line 6 of .* is no event with its effects/);
  writeFileSync(first(folder), `${lines.slice(1).join("\n")}\n`);
  await refused(/does not begin as a journal does\. Name the folder/);
  writeFileSync(first(folder), whole);
  forge<Header>(folder, 1, (header) => ({ ...header, snapshot: { version: 1 } }));
  await refused(/^Today's core cannot take over the state in .* Replay it with core [0-9a-f]{16}\.$/);
  forge<Header>(folder, 1, (header) => ({ ...header, journal: 2 }));
  await refused(/is a journal of version 2, and this llorch reads version 1/);
  rmSync(first(folder));
  await refused(/^There is no journal in/);
});
