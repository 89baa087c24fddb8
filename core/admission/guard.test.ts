import assert from "node:assert/strict";
import { test } from "node:test";
import { errorTable, type ModelState, type Placement, type Task } from "@llama-orch/contract";
import fc from "fast-check";
import type { TaskSubmitted } from "../events.ts";
import { type Body, facts, only, pool, settings, World } from "../fixtures/world.ts";
import { noSettings } from "../settings.ts";

type Fields = Partial<Task>;
type Sent = Partial<Body<TaskSubmitted>>;

const verdict = (world: World, id: string, fields: Fields = {}, event: Sent = {}) =>
  only(world.submit(id, fields, event), "RefuseTask")[0]?.code ?? "accepted";

/** Each request to a world of its own. */
const judged = (rows: readonly (readonly [Fields, Sent, string])[]) => () => {
  for (const [i, [fields, event, expected]] of rows.entries()) {
    const world = new World({ settings: settings({ pools: [pool({ maxTokensOut: 4000 })] }) });
    const given = JSON.stringify([fields, event]);
    assert.equal(verdict(world, `${i}`, fields, event), expected, given);
    assert.equal(world.orchestrator.state.jobs.size, expected === "accepted" ? 1 : 0, given);
  }
};

test(
  "ctx may be as large as the model's and no larger; 0 means the model's own [OC-CORE-1020, ORCH-3014]",
  judged([
    [{ ctx: 0 }, {}, "accepted"],
    [{ ctx: 4095 }, {}, "accepted"],
    [{ ctx: 4096 }, {}, "accepted"],
    [{ ctx: 4097 }, {}, "INVALID_PARAMS"],
    [{ ctx: 0, maxTokens: 4000 }, { promptTokens: 96 }, "accepted"],
  ]),
);

test(
  "prompt and output together must fit the context, whether asked for or the model's own [OC-CORE-1021]",
  judged([
    [{ maxTokens: 1000 }, { promptTokens: 3096 }, "accepted"],
    [{ maxTokens: 1000 }, { promptTokens: 3097 }, "INVALID_PARAMS"],
    [{ ctx: 100, maxTokens: 10 }, { promptTokens: 90 }, "accepted"],
    [{ ctx: 100, maxTokens: 11 }, { promptTokens: 90 }, "INVALID_PARAMS"],
    [{ ctx: 100, maxTokens: 100 }, { promptTokens: 0 }, "accepted"],
    [{ maxTokens: 4000 }, {}, "accepted"],
    [{ maxTokens: 4001 }, {}, "INVALID_PARAMS"],
  ]),
);

test(
  "an uncounted prompt is taken by its bytes + 2; one that might not fit must be counted first",
  judged([
    [{ ctx: 100, maxTokens: 10 }, { promptBytes: 88 }, "accepted"],
    [{ ctx: 100, maxTokens: 10 }, { promptBytes: 89 }, "POOL_UNREADY"],
    [{ ctx: 100, maxTokens: 10 }, { promptBytes: 5000, promptTokens: 90 }, "accepted"],
    [{ ctx: 100, maxTokens: 10 }, { promptBytes: 5000, promptTokens: 91 }, "INVALID_PARAMS"],
  ]),
);

test("a model without any replica yet is taken to hold 32768 tokens [ORCH-3014]", () => {
  const world = new World({ ready: false });
  assert.equal(verdict(world, "1", { ctx: 32_769 }), "INVALID_PARAMS");
  assert.equal(verdict(world, "2", { ctx: 32_768 }), "POOL_UNAVAILABLE");
});

test("strict where no pool of the model is strict is refused, and the message says what to configure", () => {
  const world = new World({ settings: settings({ pools: [pool({ determinism: "best_effort" })] }) });
  const [refused] = only(world.submit("1", { determinism: "strict" }), "RefuseTask");
  assert.equal(refused?.code, "INVALID_PARAMS");
  assert.match(refused?.message ?? "", /^determinism: .*pool/);
  assert.equal(verdict(world, "2", { determinism: "best_effort" }), "accepted");
  assert.equal(verdict(world, "3"), "accepted");
  assert.equal(verdict(new World(), "4", { determinism: "strict" }), "accepted");
  assert.equal(verdict(new World(), "5", { determinism: "best_effort" }), "accepted", "it may run anywhere");
});

const pin = (pinPoolId?: string): { placement: Placement } => ({
  placement: {
    mode: "pin",
    ...(pinPoolId !== undefined && { pinPoolId }),
    preferPools: [],
    avoidPools: [],
    allowFallback: true,
  },
});

test("a pin to nothing, to another engine or against the configuration is 400; to a pool that is not ready 503 [OC-CORE-1019]", () => {
  const two = [pool(), pool({ id: "v", engine: "vllm" }), pool({ id: "down" })];
  const world = new World({ settings: settings({ pools: two }) });
  assert.equal(verdict(world, "1", pin("nowhere")), "INVALID_PARAMS");
  assert.equal(verdict(world, "2", pin()), "INVALID_PARAMS");
  assert.equal(verdict(world, "3", pin("v")), "INVALID_PARAMS");
  assert.equal(verdict(world, "4", pin("down")), "POOL_UNREADY");
  assert.equal(verdict(world, "5", pin("p")), "accepted");
  const placement = { strategy: "least-loaded", allowPin: false } as const;
  const forbidden = new World({ settings: settings({ placement }) });
  assert.equal(verdict(forbidden, "1", pin("p")), "INVALID_PARAMS");
  assert.equal(verdict(forbidden, "2"), "accepted");
});

const life = (world: World, state: ModelState, untrusted?: string) =>
  world.say({ type: "ModelChanged", modelRef: "m", digest: null, state, ...(untrusted && { untrusted }) });

test("models take new work by their state: active and canary ones do, drafts and retired ones never", () => {
  for (const [state, expected] of [
    ["Draft", "POOL_UNAVAILABLE"],
    ["Active", "accepted"],
    ["Canary", "accepted"],
    ["Deprecated", "MODEL_DEPRECATED"],
    ["Retired", "POOL_UNAVAILABLE"],
  ] as const) {
    const world = new World();
    assert.equal(verdict(world, "before"), "accepted");
    life(world, state);
    assert.equal(verdict(world, "after"), expected, state);
    life(world, "Active");
    assert.equal(verdict(world, "after"), "accepted", "and back");
  }
});

test("a deprecated model blocks new sessions unless override is set; existing ones finish", () => {
  const world = new World();
  world.submit("1", { sessionId: "old" });
  life(world, "Deprecated");
  assert.equal(verdict(world, "2", { sessionId: "new" }), "MODEL_DEPRECATED");
  assert.equal(verdict(world, "3", { sessionId: "old" }), "accepted");
  assert.equal(verdict(world, "4", { sessionId: "new", override: true }), "accepted");
  assert.equal(verdict(world, "5", { sessionId: "new" }), "accepted", "it is an existing one now");
});

test("an untrusted model is refused in every state, with the reason", () => {
  for (const state of ["Active", "Deprecated", "Retired"] as const) {
    const world = new World();
    life(world, state, "unsigned");
    const [refused] = only(world.submit("1", { override: true }), "RefuseTask");
    assert.equal(refused?.code, "UNTRUSTED_ARTIFACT");
    assert.equal(refused?.details.reason, "unsigned");
  }
});

test("an engine that has no pool of the model is refused before anything is queued [OC-CORE-1016]", () => {
  const world = new World();
  world.replica("p", "r0", { facts: facts({ slotsTotal: 4 }) });
  assert.equal(verdict(world, "1", { engine: "vllm" }), "POOL_UNAVAILABLE");
  assert.equal(verdict(world, "2", { modelRef: "other" }), "POOL_UNAVAILABLE");
  assert.equal(world.orchestrator.state.jobs.size, 0);
});

test("a slot's whole context is offered, and what the template adds to a prompt counts as part of it [OC-CORE-1015]", () => {
  const ctxMax = 4096;
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2000 }),
      fc.integer({ min: 0, max: 500 }),
      fc.integer({ min: -3, max: 3 }),
      fc.boolean(),
      (text, template, beyond, counted) => {
        const rendered = text + template;
        const prompt = counted
          ? { promptTokens: rendered, promptBytes: 4 * rendered }
          : { promptBytes: rendered };
        const tokens = counted ? rendered : rendered + 2;
        const fits = beyond <= 0;
        const given = verdict(new World(), "t", { maxTokens: ctxMax - tokens + beyond }, prompt);
        const refused = counted || rendered === 0 ? "INVALID_PARAMS" : "POOL_UNREADY";
        assert.equal(given, fits ? "accepted" : refused);
      },
    ),
  );
});

test("pins are followed by default, to that pool alone; one nobody can follow answers 400, one to a pool that is not ready 503 [OC-CTRL-2013, OC-CTRL-2014]", () => {
  assert.equal(noSettings.placement.allowPin, true);
  const pools = [pool({ id: "free" }), pool({ id: "busy" }), pool({ id: "down" })];
  const answers = (allowPin: boolean) => {
    const placement = { ...noSettings.placement, allowPin };
    const world = new World({ settings: settings({ pools, placement }), ready: false });
    for (const id of ["free", "busy"]) world.replica(id, "r");
    return ["busy", "busy", "down", "nowhere"].map((poolId, i) => {
      const effects = world.submit(`${i}`, pin(poolId));
      const [refused] = only(effects, "RefuseTask");
      return refused === undefined ? only(effects, "AcceptTask")[0]?.poolId : errorTable[refused.code].status;
    });
  };
  assert.deepEqual(answers(true), ["busy", "busy", 503, 400]);
  assert.deepEqual(answers(false), [400, 400, 400, 400]);
});
