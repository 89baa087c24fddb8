import assert from "node:assert/strict";
import { test } from "node:test";
import { errorTable, type Task } from "@llama-orch/contract";
import type { Effect } from "../effects.ts";
import type { TaskSubmitted } from "../events.ts";
import { type Body, facts, only, pool, settings, World } from "../fixtures/world.ts";
import type { Settings } from "../settings.ts";

/** One thing that is wrong: with the request, with what is configured, or with the moment. */
interface Flaw {
  readonly name: string;
  readonly task?: Partial<Task>;
  readonly event?: Partial<Body<TaskSubmitted>>;
  readonly pool?: Partial<Settings["pools"][number]>;
  readonly settings?: Partial<Settings>;
  readonly happened?: (world: World) => void;
  readonly code: string;
  readonly label?: string;
  readonly says: RegExp;
}

const pinned = {
  mode: "pin",
  pinPoolId: "nowhere",
  preferPools: [],
  avoidPools: [],
  allowFallback: true,
} as const;

/** In the order of the checks. */
const flaws: readonly Flaw[] = [
  {
    name: "an id with other fields",
    task: { taskId: "x" },
    event: { fingerprint: "other" },
    code: "TASK_CONFLICT",
    says: /other fields/,
  },
  { name: "an unknown pin", task: { placement: pinned }, code: "INVALID_PARAMS", says: /pin_pool_id/ },
  { name: "too much context", task: { ctx: 4097 }, code: "INVALID_PARAMS", says: /^ctx: given 4097/ },
  {
    name: "too much output",
    task: { maxTokens: 501 },
    pool: { maxTokensOut: 500 },
    code: "INVALID_PARAMS",
    says: /^max_tokens: given 501/,
  },
  {
    name: "too many tokens",
    task: { maxTokens: 400 },
    event: { promptTokens: 3697 },
    code: "INVALID_PARAMS",
    says: /3697 prompt tokens/,
  },
  {
    name: "strict without a strict pool",
    task: { determinism: "strict" },
    pool: { determinism: "best_effort" },
    code: "INVALID_PARAMS",
    says: /determinism/,
  },
  { name: "a deadline in the past", task: { deadlineMs: 0 }, code: "DEADLINE_UNMET", says: /already passed/ },
  {
    name: "a retired model",
    happened: (world) => world.say({ type: "ModelChanged", modelRef: "m", digest: null, state: "Retired" }),
    code: "POOL_UNAVAILABLE",
    label: "retry",
    says: /retired/,
  },
  {
    name: "too many requests",
    event: { client: "hasty" },
    code: "ADMISSION_REJECT",
    label: "rate-limit",
    says: /a second/,
  },
  {
    name: "a policy's verdict",
    event: { verdict: { kind: "reject", reason: "no" } },
    code: "ADMISSION_REJECT",
    label: "reject",
    says: /policy/,
  },
  {
    name: "a tenant's quota",
    pool: { tenants: { default: { weight: 1, maxConcurrent: 2 } } },
    code: "ADMISSION_REJECT",
    label: "quota",
    says: /live tasks/,
  },
  {
    name: "too many turns",
    task: { sessionId: "x" },
    settings: { session: { ...settings().session, maxTurns: 1 } },
    code: "INVALID_PARAMS",
    says: /session_max_turns/,
  },
  {
    name: "a budget",
    task: { maxTokens: 200 },
    settings: { tenantBudgets: { default: { tokens: 100 } } },
    code: "INVALID_PARAMS",
    label: "budget",
    says: /tokens left/,
  },
  {
    name: "shutdown",
    happened: (world) => world.say({ type: "ShutdownBegan" }),
    code: "POOL_UNAVAILABLE",
    label: "retry",
    says: /shutting down/,
  },
  {
    name: "a full disk",
    happened: (world) => world.say({ type: "StorageChanged", full: true }),
    code: "POOL_UNAVAILABLE",
    label: "storage",
    says: /disk/,
  },
  {
    name: "a draining pool",
    happened: (world) => world.say({ type: "DrainRequested", poolId: "p", deadlineMs: 1000 }),
    code: "POOL_UNREADY",
    says: /draining/,
  },
  {
    name: "a full queue",
    pool: { capacity: 1 },
    code: "ADMISSION_REJECT",
    label: "reject",
    says: /queue of pool p is full/,
  },
  {
    name: "a deadline too near",
    task: { deadlineMs: 1 },
    code: "DEADLINE_UNMET",
    says: /would finish in about/,
  },
];

/** A world with one task running, one waiting and a hasty client, in which the flaws then hold. */
function broken(given: readonly Flaw[]): World {
  const classes = { interactive: { weight: 8, rateLimitRps: 1 }, batch: { weight: 1 } };
  const world = new World({ settings: settings({ pools: [pool({ classes })] }), ready: false });
  world.replica("p", "r0", { facts: facts({ speed: { tokensPerS: 10 } }) });
  for (const id of ["x", "y"]) world.submit(id, {}, { client: "hasty" });
  const changed = { classes, ...Object.assign({}, ...given.map((flaw) => flaw.pool)) };
  const rest = Object.assign({}, ...given.map((flaw) => flaw.settings));
  world.say({ type: "Configured", settings: settings({ pools: [pool(changed)], ...rest }) });
  for (const flaw of given) flaw.happened?.(world);
  return world;
}

/** Of flaws that concern the same field the first one counts. */
function send(world: World, given: readonly Flaw[]): Effect[] {
  const [last, first] = [given.at(-1), given[0]] as [Flaw, Flaw];
  const { taskId = "new", ...fields } = { ...last.task, ...first.task };
  return world.submit(taskId, fields, { ...last.event, ...first.event });
}

function assertRefused(effects: readonly Effect[], flaw: Flaw, context: string): void {
  assert.deepEqual(
    effects.map(({ type }) => type),
    ["RefuseTask"],
    context,
  );
  const [refused] = only(effects, "RefuseTask");
  assert.equal(refused?.code, flaw.code, context);
  assert.equal(refused?.details.policy_label, flaw.label, context);
  assert.match(refused?.message ?? "", flaw.says, context);
  assert.equal(refused?.details.engine, "llamacpp", context);
}

test("without any flaw the same request is accepted", () => {
  const world = broken([]);
  assert.equal(only(world.submit("new"), "AcceptTask").length, 1);
});

test("of two reasons to refuse, the one that is checked first is told, for every two [OC-CTRL-2010]", () => {
  for (const [i, first] of flaws.entries()) {
    for (const second of flaws.slice(i + 1)) {
      const both = [first, second];
      assertRefused(send(broken(both), both), first, `${first.name} and ${second.name}`);
    }
  }
});

test("a refusal changes nothing but the caller's rate-limit bucket [OC-CTRL-2010]", () => {
  for (const flaw of flaws) {
    const world = broken([flaw]);
    const before = world.orchestrator.snapshot();
    assertRefused(send(world, [flaw]), flaw, flaw.name);
    const after = world.orchestrator.snapshot();
    assert.deepEqual({ ...after, rateBuckets: [] }, { ...before, rateBuckets: [] }, flaw.name);
    const others = (given: typeof before) => given.rateBuckets.filter(([key]) => !key.startsWith("client "));
    assert.deepEqual(others(after), others(before), flaw.name);
  }
});

test("checks that come before the rate limit do not even take the caller's token", () => {
  for (const flaw of flaws.slice(
    0,
    flaws.findIndex(({ label }) => label === "rate-limit"),
  )) {
    const world = broken([flaw]);
    const before = world.orchestrator.snapshot();
    send(world, [flaw]);
    assert.deepEqual(world.orchestrator.snapshot(), before, flaw.name);
  }
});

test("a refused id is not remembered: once the flaw is gone the same id is accepted", () => {
  for (const flaw of flaws.filter(({ settings, pool }) => settings !== undefined || pool !== undefined)) {
    const world = broken([flaw]);
    send(world, [flaw]);
    const roomy = pool({ capacity: 50 });
    world.say({ type: "Configured", settings: settings({ pools: [roomy] }) });
    assert.equal(only(world.submit("new"), "AcceptTask").length, 1, flaw.name);
  }
});

test("a deadline that cannot be met is refused with the earliest finish [ORCH-3079]", () => {
  const world = new World({ ready: false });
  world.replica("p", "r0", { facts: facts({ speed: { tokensPerS: 10, firstTokenMs: 50 } }) });
  world.submit("runs");
  world.submit("waits");
  const ahead = 2 * 1050;
  const [refused] = only(world.submit("late", { deadlineMs: ahead + 1049 }), "RefuseTask");
  assert.equal(refused?.code, "DEADLINE_UNMET");
  assert.equal(refused?.details.earliest_finish_ms, ahead + 1050);
  assert.equal(refused?.details.predicted_start_ms, ahead);
  assert.equal(only(world.submit("in time", { deadlineMs: ahead + 1050 }), "AcceptTask").length, 1);
  for (const deadlineMs of [0, -1]) {
    assert.equal(only(world.submit("past", { deadlineMs }), "RefuseTask")[0]?.code, "DEADLINE_UNMET");
  }
});

test("feasibility adds first token and tokens ÷ rate to the start; without hints the start alone counts [ORCH-3083]", () => {
  const hinted = new World({ ready: false });
  hinted.replica("p", "r0", { facts: facts({ speed: { tokensPerS: 100, firstTokenMs: 30 } }) });
  const accepted = (world: World, id: string, fields: Partial<Task>) =>
    only(world.submit(id, fields), "AcceptTask").length === 1;
  assert.equal(accepted(hinted, "a", { maxTokens: 50, deadlineMs: 529 }), false);
  assert.equal(accepted(hinted, "b", { maxTokens: 50, expectedTokens: 20, deadlineMs: 229 }), false);
  assert.equal(accepted(hinted, "c", { maxTokens: 50, expectedTokens: 20, deadlineMs: 230 }), true);
  const blind = new World();
  assert.equal(accepted(blind, "runs", { deadlineMs: 1 }), true);
  assert.equal(accepted(blind, "first", { deadlineMs: 1 }), true);
  assert.equal(accepted(blind, "second", { deadlineMs: 99 }), false);
  assert.equal(accepted(blind, "third", { deadlineMs: 100 }), true);
});

test("of the wished targets the first in time is chosen; where none is, the soonest finish is told", () => {
  const pools = ["p", "q"].map((id) => pool({ id }));
  const world = new World({ settings: settings({ pools }), ready: false });
  for (const id of ["p", "q"]) {
    const declared = { speed: { tokensPerS: id === "p" ? 20 : 10 }, computeFingerprint: id };
    world.replica(id, "r", { facts: facts(declared) });
  }
  const placement = { mode: "prefer", preferPools: ["p"], avoidPools: [], allowFallback: true } as const;
  world.submit("busy", { maxTokens: 100, placement });
  const send = (id: string, deadlineMs: number) => world.submit(id, { deadlineMs, placement });
  const [refused] = only(send("late", 999), "RefuseTask");
  assert.equal(refused?.code, "DEADLINE_UNMET");
  assert.equal(refused?.details.earliest_finish_ms, 1000, "q, not p with 5500");
  assert.equal(only(send("hasty", 1000), "AcceptTask")[0]?.poolId, "q");
  assert.equal(only(send("patient", 5500), "AcceptTask")[0]?.poolId, "p");
});

test("room comes before the deadline: full pools are told, and who makes room goes only for a task in time", () => {
  const pools = ["p", "q"].map((id) => pool({ id, capacity: 1, fullPolicy: "drop-lru" }));
  const world = new World({ settings: settings({ pools: pools.slice(0, 1) }), ready: false });
  world.replica("p", "r", { facts: facts({ speed: { tokensPerS: 10 } }) });
  for (const id of ["runs", "waits"]) world.submit(id);
  assert.equal(
    only(world.batch("less urgent", { deadlineMs: 1 }), "RefuseTask")[0]?.code,
    "QUEUE_FULL_DROP_LRU",
  );
  const late = world.submit("late", { deadlineMs: 1 });
  assert.equal(only(late, "RefuseTask")[0]?.code, "DEADLINE_UNMET");
  assert.equal(world.outcome("waits"), undefined);
  world.say({ type: "Configured", settings: settings({ pools }) });
  world.replica("q", "r", { facts: facts({ speed: { tokensPerS: 1 }, computeFingerprint: "q" }) });
  const effects = world.submit("in time only on p", { deadlineMs: 3000 });
  assert.equal(only(effects, "AcceptTask")[0]?.poolId, "p");
  assert.equal(world.outcome("waits")?.kind, "failed");
});

test("a deadline that cannot be met is told as final, with the predicted finish and the deadline [ORCH-3084]", () => {
  const world = new World({ ready: false });
  world.replica("p", "r0", { facts: facts({ speed: { tokensPerS: 10 } }) });
  world.submit("runs");
  for (const [deadlineMs, finishMs] of [
    [1999, 2000],
    [1, 2000],
    [0, 1],
    [-5, 1],
  ]) {
    const [refused] = only(world.submit("late", { deadlineMs: deadlineMs as number }), "RefuseTask");
    assert.ok(refused?.code === "DEADLINE_UNMET");
    assert.equal(errorTable[refused.code].retriable, false);
    assert.match(refused.message, new RegExp(`\\b${finishMs} ms`));
    assert.match(refused.message, new RegExp(`deadline of ${deadlineMs} ms`));
  }
});
