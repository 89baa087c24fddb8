// A disk that is full, with everything on it: store, transcripts, logged streams and uploads.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Client, framesIn, lastOf, tokensOf } from "./fixtures/client.ts";
import { Killable } from "./fixtures/killable.ts";
import { type SmallDisk, smallDisk } from "./fixtures/small-disk.ts";
import { Segments } from "./streaming/segments.ts";

const reserveBytes = 2 ** 20;
const megabytes = 24;

const reserveOf = ({ outside }: SmallDisk) => join(outside, "data/store/reserve");

/** A daemon on a small disk, with its reserve made. */
async function onSmallDisk(t: TestContext, pool: object = {}) {
  const disk = await smallDisk(t, megabytes);
  if (disk === undefined) return undefined;
  const daemon = await Killable.start(t, {
    // Paced, so that a test comes in between two tokens.
    engines: [{ tokensPerSecond: 200 }],
    pool,
    config: {
      data_dir: join(disk.path, "data"),
      store: { reserve_bytes: reserveBytes },
      journal: { max_bytes: 0 },
    },
    prefix: disk.prefix,
  });
  await daemon.ready();
  // A piece of it is made every tenth of a second.
  const size = () => statSync(reserveOf(disk), { throwIfNoEntry: false })?.size;
  while (size() !== reserveBytes) await daemon.client.get("/v2/pools");
  return { disk, daemon };
}

/** Not even what was held is left. */
function useUp(disk: SmallDisk): void {
  disk.fill();
  rmSync(reserveOf(disk), { force: true });
  disk.fill();
}

/** Whoever is stalled is running, and ends when it is cancelled. */
async function stalled({ client, engines }: Killable, taskId: string) {
  await engines[0]?.faults({ stall_after: 2 });
  await client.submit({ task_id: taskId });
  const reading = await client.follow(taskId);
  await reading.tokens(2);
  return reading;
}

async function accepted(client: Client, fields: object): Promise<void> {
  for (;;) {
    const { status, body } = await client.submit(fields);
    if (status === 202) return;
    assert.equal(body.policy_label, "storage");
  }
}

test("on a full disk what was admitted ends with its transcript, in the room that is held for it", async (t) => {
  const { disk, daemon } = (await onSmallDisk(t)) ?? {};
  if (disk === undefined || daemon === undefined) return;
  const { client, log } = daemon;
  await client.submit({ task_id: "ends", max_tokens: 200 });
  const reading = await client.follow("ends");
  await reading.tokens(1);
  disk.fill();
  const end = lastOf(framesIn(await reading.rest()));
  assert.equal(end.event, "end");
  assert.equal((await client.get(`/v1/artifacts/${end.data.transcript}`)).status, 200);
  assert.equal(existsSync(reserveOf(disk)), false);
  assert.deepEqual(log.of("trouble"), []);

  // The rest of that room is for other tasks, and for nobody's upload.
  const document = { text: "x".repeat(1000) };
  assert.equal((await client.submit({ task_id: "later" })).body.policy_label, "storage");
  const upload = await client.call("POST", "/v1/artifacts", document);
  assert.equal(upload.status, 507);
  assert.equal(upload.body.code, "ARTIFACT_STORE_FULL");
  assert.match(upload.body.message, /Make room on its disk, then store the document again\.$/);
  assert.deepEqual(
    log.of("storage_refused").map(({ level }) => level),
    ["warn"],
  );

  disk.empty();
  await log.until(({ event, level }) => event === "storage_recovered" && level === "info");
  await accepted(client, { task_id: "later" });
  assert.equal((await client.call("POST", "/v1/artifacts", document)).status, 201);
});

test("a cancel that the disk refuses is answered 503 and told to nobody until it is kept", async (t) => {
  const { disk, daemon } = (await onSmallDisk(t)) ?? {};
  if (disk === undefined || daemon === undefined) return;
  const { client, log } = daemon;
  const reading = await stalled(daemon, "canceled");
  useUp(disk);
  for (let n = 0; n < 2; n++) {
    const { status, body } = await client.cancel("canceled");
    assert.equal(status, 503);
    assert.equal(body.policy_label, "storage");
  }
  const rest = reading.rest();
  assert.equal((await client.get("/v2/tasks/canceled")).body.state, "canceled", "the gate is shut");
  assert.ok(!reading.text.includes("event: end"));
  assert.equal((await client.submit()).status, 503);
  disk.empty();
  const end = lastOf(framesIn(await rest));
  assert.equal(end.data.canceled, true);
  assert.equal((await client.get(`/v1/artifacts/${end.data.transcript}`)).status, 200);
  assert.equal((await client.cancel("canceled")).status, 204);
  assert.deepEqual(log.of("trouble"), []);
  await daemon.kill();
  await daemon.start();
  await daemon.ready();
  assert.equal((await daemon.client.get("/v2/tasks/canceled")).body.state, "canceled");
});

test("what is not kept when the daemon stops is cut off, and runs again at the next start", async (t) => {
  const { disk, daemon } = (await onSmallDisk(t)) ?? {};
  if (disk === undefined || daemon === undefined) return;
  const reading = await stalled(daemon, "cut");
  useUp(disk);
  assert.equal((await daemon.client.cancel("cut")).status, 503);
  await Promise.all([daemon.kill("SIGTERM"), assert.rejects(reading.rest())]);
  assert.ok(!reading.text.includes("event: end"));
  disk.empty();
  await daemon.engines[0]?.faults({});
  await daemon.start();
  const end = lastOf(await daemon.client.frames("cut"));
  assert.deepEqual([end.event, end.data.canceled], ["end", undefined]);
});

test("a best-effort stream on a full disk is kept as it is delivered, also across a kill", async (t) => {
  const { disk, daemon } = (await onSmallDisk(t, { determinism: "best_effort" })) ?? {};
  if (disk === undefined || daemon === undefined) return;
  const { body } = await daemon.client.submit({ task_id: "logged", max_tokens: 200 });
  const reading = await daemon.client.follow("logged");
  let tokens = tokensOf(await reading.tokens(1)).length;
  disk.fill();
  // The frame that took the reserve is the first that might be missing.
  while (existsSync(reserveOf(disk))) await reading.tokens(++tokens);
  await daemon.kill();
  await assert.rejects(reading.rest());
  disk.empty();
  const had = tokensOf(framesIn(reading.text));
  const segments = Segments.open({ folder: join(disk.outside, "data/segments"), onFailure() {} });
  const logged = segments.claim(body.job_id).at(-1)?.stretch.after.frames ?? 0;
  segments.close();
  assert.ok(logged >= had.length, `${logged} of ${had.length} frames`);
  await daemon.start();
  const lastEventId = had.at(-1)?.id as string;
  const rest = tokensOf(framesIn(await daemon.client.read("logged", { lastEventId })));
  assert.deepEqual(
    [...had, ...rest].map(({ data }) => data.i),
    Array.from({ length: 200 }, (_, n) => n),
  );
});

test("a holder for whose name there is no room is unknown to the next one", async (t) => {
  const disk = await smallDisk(t, 1);
  if (disk === undefined) return;
  disk.fill();
  const program = `
    import { takeDataDirectory } from ${JSON.stringify(join(import.meta.dirname, "data-directory.ts"))};
    takeDataDirectory(${JSON.stringify(join(disk.path, "data"))});
    takeDataDirectory(${JSON.stringify(join(disk.path, "data"))});`;
  const [command = "", ...args] = [...disk.prefix, process.execPath, "--input-type=module-typescript"];
  const { stderr } = spawnSync(command, [...args, "-e", program], { encoding: "utf8" });
  assert.match(stderr, /is in use by process unknown\. Stop that/);
  assert.equal(existsSync(join(disk.outside, "data/daemon.pid")), false);
});
