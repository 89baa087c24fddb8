import assert from "node:assert/strict";
import { test } from "node:test";
import type { AdmissionResponse, TaskState, TaskView } from "@llama-orch/contract";
import { Absence } from "./absence.ts";
import { type Life, newLife } from "./life.ts";
import { type Evidence, judgeTask } from "./outcomes.ts";
import { Received } from "./received.ts";

const token = (i: number, t = `w${i}`) =>
  `id: ${i}-00000000\nevent: token\ndata: ${JSON.stringify({ t, i })}\n\n`;
const tokens = (count: number) => Array.from({ length: count }, (_, i) => token(i)).join("");
const last = (event: string, data: object) => `id: end\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const done = last("end", { tokens_out: 3 });
const canceled = last("end", { tokens_out: 1, canceled: true });

function received(text: string): Received {
  const one = new Received();
  one.take(text);
  return one;
}

const task = { id: "t", atMs: 0, variant: 0, determinism: "strict", reading: { kind: "whole" } } as const;
const admission = { job_id: "j" } as AdmissionResponse;
const view = (state: string, more: object = {}) =>
  ({ task_id: "t", job_id: "j", state, attempt: 1, ...more }) as TaskView;

function evidence(more: Omit<Partial<Evidence>, "life"> & { readonly life?: Partial<Life> }): Evidence {
  const life: Life = { ...newLife(task), admission, received: received(tokens(3) + done), ...more.life };
  const rest = {
    expected: tokens(3),
    view: view("done"),
    again: received(tokens(3) + done),
    attempts: 1,
    isRemade: false,
    isMixed: false,
    startsMs: [],
    flips: false,
  };
  return { ...rest, ...more, life };
}

const verdicts = (more: Parameters<typeof evidence>[0]) =>
  judgeTask(evidence(more)).map(({ verdict }) => verdict);

test("a task with one outcome and the bytes of its undisturbed run is not blamed", () => {
  assert.deepEqual(verdicts({}), []);
});

test("a task without an outcome is lost, and so is one whose stream has no last frame", () => {
  assert.deepEqual(verdicts({ view: view("running") }), ["lost"]);
  assert.deepEqual(verdicts({ again: received(tokens(3)) }), ["lost"]);
  assert.deepEqual(verdicts({ again: received(tokens(3) + done + done) }), ["lost"]);
  assert.deepEqual(verdicts({ view: undefined, again: received("") }), ["lost"]);
});

test("a task that ended before the last restart is in no list, and its stream says how it ended", () => {
  assert.deepEqual(verdicts({ view: undefined }), []);
});

test("a task that is never taken in although everything is healed is found", () => {
  const refused = evidence({});
  delete refused.life.admission;
  assert.deepEqual(
    judgeTask(refused).map(({ verdict }) => verdict),
    ["wrong"],
  );
});

test("a task that has got another job_id is not the one that was admitted", () => {
  assert.deepEqual(verdicts({ view: view("done", { job_id: "other" }) }), ["wrong"]);
});

test("a list and a stream that tell different endings are both named", () => {
  assert.deepEqual(verdicts({ view: view("canceled") }), ["wrong"]);
});

test("a token that came twice is found, and one that came never", () => {
  const twice = received(tokens(2) + token(1) + token(2) + done);
  assert.ok(verdicts({ life: { received: twice } }).includes("duplicated"));
  const gap = received(token(0) + token(2) + done);
  assert.ok(verdicts({ life: { received: gap } }).includes("wrong"));
});

test("other bytes than those of the undisturbed run are a mismatch, for the reader and in the list", () => {
  const other = received(token(0) + token(1, "x") + token(2) + done);
  assert.deepEqual(verdicts({ again: other, life: { received: other } }), ["mismatched", "mismatched"]);
});

test("a cancel that nobody asked for is wrong, and so is a token after one that was", () => {
  const cut = { again: received(canceled), view: view("canceled") };
  assert.deepEqual(verdicts({ ...cut, life: { received: received(token(0)) } }), ["wrong"]);
  const wish = { ...task, cancelAfterMs: 1 };
  const told = (tokensThen: number, afterwards: Received) => ({
    ...cut,
    life: {
      task: wish,
      received: received(tokens(2) + canceled),
      canceled: { tokens: tokensThen, afterwards },
    },
  });
  assert.deepEqual(verdicts(told(2, received(canceled))), []);
  assert.deepEqual(verdicts(told(1, received(canceled))), ["wrong"]);
  assert.deepEqual(verdicts(told(2, received(token(0) + canceled))), ["wrong"]);
});

test("a cancel that was answered and then forgotten is found", () => {
  const wish = { ...task, cancelAfterMs: 1 };
  const cancel = (state: TaskState) => ({
    life: { task: wish, canceled: { tokens: 1, afterwards: received(done), state } },
  });
  assert.deepEqual(verdicts(cancel("canceled")), ["lost"]);
  assert.deepEqual(verdicts(cancel("running")), ["wrong"]);
  assert.deepEqual(verdicts(cancel("done")), []);
});

test("a position may be refused to whoever was told a lie, and to nobody else", () => {
  const liar = received(token(0, "lie"));
  const refused = (one: Received) => ({ flips: true, life: { received: one, isRefused: true } });
  assert.deepEqual(verdicts(refused(liar)), []);
  assert.deepEqual(verdicts(refused(received(token(0)))), ["mismatched"]);
  assert.deepEqual(verdicts({ ...refused(liar), flips: false }), ["mismatched"]);
});

test("a failure is nobody's mistake after three attempts, and a replay that differs only where engines lied", () => {
  const failed = (message: string) => {
    const text = received(token(0) + last("error", { code: "WORKER_RESET", message }));
    return { again: text, life: { received: text } };
  };
  const state = (attempt: number) => view("failed", { code: "WORKER_RESET", attempt });
  assert.deepEqual(verdicts({ ...failed("The engine was lost."), view: state(3) }), []);
  assert.deepEqual(verdicts({ ...failed("The engine was lost."), view: state(2) }), ["wrong"]);
  const differs = failed("A replay gave other text than was already delivered.");
  assert.deepEqual(verdicts({ ...differs, view: state(2) }), ["mismatched"]);
  assert.deepEqual(verdicts({ ...differs, view: state(2), flips: true }), []);
});

test("a stream that is kept is never shorter than what was read of it, and only a strict one may be", () => {
  const failed = last("error", { code: "WORKER_RESET", message: "The engine was lost." });
  const shorter = {
    view: view("failed", { code: "WORKER_RESET", attempt: 3 }),
    again: received(tokens(1) + failed),
    life: { received: received(tokens(2)) },
  };
  assert.deepEqual(verdicts({ ...shorter, isRemade: true }), []);
  assert.deepEqual(verdicts(shorter), ["mismatched"]);
});

test("a failed task may have a token that an engine made up for each attempt, and no more", () => {
  const failed = last("error", { code: "WORKER_RESET", message: "A replay gave other text." });
  const lying = (lies: number) => {
    const text = Array.from({ length: 8 }, (_, n) => token(n, n < lies ? "lie" : undefined)).join("");
    const state = view("failed", { code: "WORKER_RESET", attempt: 3 });
    const one = { again: received(text + failed), life: { received: received(text + failed) } };
    return verdicts({ ...one, expected: tokens(8), view: state, flips: true });
  };
  assert.deepEqual(lying(3), []);
  assert.deepEqual(lying(4), ["mismatched", "mismatched"]);
});

test("a reader who is away for long may lose its task, and has longer where it missed a restart", (t) => {
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const away = (ms: number) => {
    const absence = new Absence();
    nowMs = 0;
    absence.left();
    nowMs = ms;
    absence.came();
    return absence;
  };
  assert.equal(away(2999).mayHaveLost([], 3000), false);
  assert.equal(away(3000).mayHaveLost([], 3000), true);
  assert.equal(away(20_000).mayHaveLost([2000], 3000), false);
  assert.equal(away(20_000).mayHaveLost([3000], 3000), true);
  assert.equal(away(32_000).mayHaveLost([2000], 3000), true);
});

test("a text that a strict engine continued may have its lies, and has all of its tokens", () => {
  const lie = (count: number) =>
    received(token(0) + token(1, "lie") + tokens(count).slice(tokens(2).length) + done);
  const mixed = (one: Received) => ({ again: one, life: { received: one }, flips: true, isMixed: true });
  assert.deepEqual(verdicts(mixed(lie(3))), []);
  assert.deepEqual(verdicts(mixed(lie(2))), ["mismatched"]);
  assert.deepEqual(verdicts({ ...mixed(lie(3)), isMixed: false }), ["mismatched", "mismatched"]);
});
