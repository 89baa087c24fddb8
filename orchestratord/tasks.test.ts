import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrchError, TaskState } from "@llama-orch/contract";
import { aRecord } from "./fixtures/records.ts";
import type { TaskStream } from "./streaming/task-stream.ts";
import type { TaskRecord } from "./task-record.ts";
import { isOpen, type Row, Tasks, viewOf } from "./tasks.ts";

const keepMs = 1000;

function filled(count: number, more: (n: number) => Parameters<typeof aRecord>[0] = () => ({})): Tasks {
  const tasks = new Tasks(keepMs);
  for (let n = 0; n < count; n++) {
    tasks.add(aRecord({ jobId: `j${n}`, taskId: `t${n}`, submittedAtMs: 10 * n, ...more(n) }));
  }
  return tasks;
}

function end(tasks: Tasks, jobId: string, atMs: number, state: TaskState = "done"): void {
  const record = tasks.job(jobId) as TaskRecord;
  record.state = state;
  record.endedAtMs = atMs;
  tasks.ended(record, atMs);
}

const jobs = (rows: readonly Row[]) => rows.map(({ jobId }) => jobId);

test("pages go from the newest to the oldest, without a gap and without a repeat", () => {
  const tasks = filled(7);
  const pages: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = tasks.page({ limit: 3, ...(cursor !== undefined && { cursor }) }, undefined);
    pages.push(jobs(page.rows));
    cursor = page.next;
    tasks.add(aRecord({ jobId: `new${pages.length}`, taskId: `new${pages.length}`, submittedAtMs: 1000 }));
  } while (cursor !== undefined);
  assert.deepEqual(pages, [["j6", "j5", "j4"], ["j3", "j2", "j1"], ["j0"]]);
});

test("a page that is exactly full at the end has no next one", () => {
  const { rows, next } = filled(3).page({ limit: 3 }, undefined);
  assert.equal(rows.length, 3);
  assert.equal(next, undefined);
});

test("a cursor whose row is forgotten goes on with what is older, and never from the start", () => {
  const tasks = filled(4);
  const { next } = tasks.page({ limit: 2 }, undefined);
  end(tasks, "j2", 100);
  end(tasks, "j3", 100 + keepMs);
  assert.equal(tasks.job("j2"), undefined);
  const page = tasks.page({ limit: 9, ...(next !== undefined && { cursor: next }) }, undefined);
  assert.deepEqual(jobs(page.rows), ["j1", "j0"]);
});

test("tasks that ended in an earlier process are listed where they belong, and found by their names", () => {
  const view = (n: number) => ({ ...viewOf(aRecord({ jobId: `p${n}`, taskId: `p${n}` }), undefined) });
  const past = [3, 1].map((n) => ({ ...view(n), submitted_at_ms: 10 * n + 5, state: "done" as const }));
  const tasks = new Tasks(keepMs, past);
  for (let n = 1; n < 4; n++) tasks.add(aRecord({ jobId: `j${n}`, taskId: `t${n}`, submittedAtMs: 10 * n }));
  const { rows, next } = tasks.page({ limit: 3 }, undefined);
  assert.deepEqual(jobs(rows), ["p3", "j3", "j2"]);
  assert.deepEqual(jobs(tasks.page({ limit: 9, cursor: next as string }, undefined).rows), ["p1", "j1"]);
  assert.deepEqual(jobs(tasks.page({ state: "done" }, undefined).rows), ["p3", "p1"]);
  assert.deepEqual(jobs(tasks.page({ tenant: "other" }, undefined).rows), []);
  assert.equal(tasks.past("default", "p1")?.view, past[1]);
  assert.equal(tasks.past(undefined, "p3")?.view, past[0]);
  assert.equal(tasks.past("other", "p1"), undefined);
});

test("a cursor that no page has given out is refused by its name", () => {
  const tasks = filled(4);
  for (const cursor of ["zzz", "", "12", "1.", ".j1", "x.j1"]) {
    assert.throws(
      () => tasks.page({ cursor }, undefined),
      (error: OrchError) => error.code === "INVALID_PARAMS" && error.message.startsWith("cursor: "),
      cursor,
    );
  }
});

test("a page shows what is asked for: a state, a tenant, and for a bound caller its own alone", () => {
  const tasks = filled(6, (n) => ({ tenantId: n % 2 === 0 ? "even" : "odd" }));
  end(tasks, "j4", 500);
  assert.deepEqual(jobs(tasks.page({ state: "done" }, undefined).rows), ["j4"]);
  assert.deepEqual(jobs(tasks.page({ tenant: "odd" }, undefined).rows), ["j5", "j3", "j1"]);
  assert.deepEqual(jobs(tasks.page({ tenant: "odd" }, "even").rows), ["j4", "j2", "j0"]);
});

test("an ended task is forgotten when its time is over, a live one never", () => {
  const tasks = filled(3);
  assert.equal(tasks.live, 3);
  end(tasks, "j0", 0);
  end(tasks, "j1", keepMs - 1);
  assert.ok(tasks.job("j0"));
  end(tasks, "j2", keepMs);
  assert.equal(tasks.job("j0"), undefined);
  assert.equal(tasks.find("default", "t0"), undefined);
  assert.equal(tasks.findAny("t0"), undefined);
  assert.ok(tasks.job("j1"));
  assert.equal(tasks.live, 0);
});

test("of ended tasks there are never more than ten thousand", () => {
  const tasks = filled(10_001);
  for (let n = 0; n < 10_001; n++) end(tasks, `j${n}`, 0);
  assert.equal(tasks.job("j0"), undefined);
  assert.ok(tasks.job("j1"));
});

test("a name that is used again is the newer task, and forgetting the older one leaves it", () => {
  const tasks = filled(1);
  end(tasks, "j0", 0);
  tasks.add(aRecord({ jobId: "again", taskId: "t0" }));
  assert.equal(tasks.find("default", "t0")?.jobId, "again");
  end(tasks, "again", 2 * keepMs);
  assert.equal(tasks.job("j0"), undefined);
  assert.equal(tasks.find("default", "t0")?.jobId, "again");
});

test("who is bound to no tenant gets the default one's task first, else whoever's has the name", () => {
  const tasks = new Tasks(keepMs);
  tasks.add(aRecord({ jobId: "a", taskId: "t", tenantId: "default" }));
  tasks.add(aRecord({ jobId: "b", taskId: "t", tenantId: "other" }));
  tasks.add(aRecord({ jobId: "c", taskId: "u", tenantId: "other" }));
  assert.equal(tasks.findAny("t")?.jobId, "a");
  assert.equal(tasks.findAny("u")?.jobId, "c");
  assert.equal(tasks.find("default", "u"), undefined);
});

test("a view shows a task as it is: nulls while it waits, and its place in the queue only then", () => {
  const record = aRecord({ jobId: "j", taskId: "t", submittedAtMs: 5 });
  const waiting = viewOf(record, { position: 3, predictedStartMs: 40 });
  assert.deepEqual(
    [
      waiting.state,
      waiting.queue_position,
      waiting.predicted_start_ms,
      waiting.pool_id,
      waiting.started_at_ms,
    ],
    ["waiting", 3, 40, null, null],
  );
  assert.equal(waiting.deadline_at_ms, 5 + record.task.deadlineMs);
  const running = { ...record, state: "running", stream: { tokensOut: 3 } as TaskStream } as const;
  assert.equal(viewOf(running, undefined).tokens_out, 3);
  record.state = "failed";
  record.code = "WORKER_RESET";
  assert.equal(viewOf(record, undefined).code, "WORKER_RESET");
  assert.equal(viewOf(record, undefined).queue_position, null);
  assert.deepEqual((["waiting", "running", "done", "failed", "canceled"] as const).map(isOpen), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
