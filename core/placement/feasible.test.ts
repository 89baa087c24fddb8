import assert from "node:assert/strict";
import { test } from "node:test";
import { candidate, requirements } from "../fixtures/places.ts";
import { facts, World } from "../fixtures/world.ts";
import type { Live } from "../state.ts";
import { type Candidate, has, type Infeasible, infeasible, type Requirements, suits } from "./feasible.ts";

type Edge = readonly [
  edge: string,
  task: Partial<Requirements>,
  place: Partial<Candidate>,
  reason: Infeasible | undefined,
];

const edges: readonly Edge[] = [
  ["ctx below the limit", { ctx: 4095 }, { ctxMax: 4096 }, undefined],
  ["ctx equal to the limit", { ctx: 4096 }, { ctxMax: 4096 }, undefined],
  ["ctx above the limit", { ctx: 4097 }, { ctxMax: 4096 }, "INSUFFICIENT_CTX"],
  ["exactly enough memory", { memoryBytes: 1000 }, { vramFreeBytes: 1000 }, undefined],
  ["memory one byte short", { memoryBytes: 1000 }, { vramFreeBytes: 999 }, "NO_CAPACITY"],
  ["extra bytes that still fit", { memoryBytes: 600 }, { vramFreeBytes: 1000, extraBytes: 400 }, undefined],
  ["extra bytes one too many", { memoryBytes: 600 }, { vramFreeBytes: 999, extraBytes: 400 }, "NO_CAPACITY"],
  ["unknown need of memory", { memoryBytes: 0 }, { vramFreeBytes: 0, extraBytes: 400 }, undefined],
  ["an equal compute capability", { computeCapability: "8.6" }, { computeCapability: "8.6" }, undefined],
  ["a greater minor version", { computeCapability: "8.6" }, { computeCapability: "8.9" }, undefined],
  ["a greater major version", { computeCapability: "8.6" }, { computeCapability: "12.0" }, undefined],
  ["two digits are no fraction", { computeCapability: "8.9" }, { computeCapability: "8.10" }, undefined],
  [
    "a smaller minor version",
    { computeCapability: "8.6" },
    { computeCapability: "8.0" },
    "EXTENSIONS_UNSATISFIED",
  ],
  [
    "a smaller major version",
    { computeCapability: "8.6" },
    { computeCapability: "7.9" },
    "EXTENSIONS_UNSATISFIED",
  ],
  [
    "an unknown capability",
    { computeCapability: "8.6" },
    { computeCapability: undefined },
    "EXTENSIONS_UNSATISFIED",
  ],
  ["the same quantisation", { quant: "q4" }, { quant: "q4" }, undefined],
  ["another quantisation", { quant: "q4" }, { quant: "q8" }, "EXTENSIONS_UNSATISFIED"],
  ["an unknown quantisation", { quant: "q4" }, { quant: undefined }, "EXTENSIONS_UNSATISFIED"],
  ["all extensions there", { extensions: ["a", "b"] }, { features: ["c", "b", "a"] }, undefined],
  ["one extension missing", { extensions: ["a", "b"] }, { features: ["a"] }, "EXTENSIONS_UNSATISFIED"],
  ["a free slot", {}, { slotsFree: 1 }, undefined],
  ["no free slot", {}, { slotsFree: 0 }, "NO_CAPACITY"],
  ["more running than slots", {}, { slotsFree: -1 }, "NO_CAPACITY"],
  ["not ready", {}, { ready: false }, "POOL_UNREADY"],
  ["the pinned pool", { pinPoolId: "p" }, { poolId: "p" }, undefined],
  ["another than the pinned pool", { pinPoolId: "p" }, { poolId: "q" }, "MASK_UNSATISFIED"],
  ["an avoided pool", { avoidPools: ["q", "p"] }, { poolId: "p" }, "MASK_UNSATISFIED"],
  ["an equal device mask", { requireDeviceMask: "0,1" }, { deviceMask: "0,1" }, undefined],
  ["a part of the device mask", { requireDeviceMask: "0" }, { deviceMask: "0,1" }, "MASK_UNSATISFIED"],
  ["more than the device mask", { requireDeviceMask: "0,1" }, { deviceMask: "0" }, "MASK_UNSATISFIED"],
  ["a place to be kept apart", {}, { keptApart: true }, "MASK_UNSATISFIED"],
  [
    "a replica that failed it too often",
    { exhausted: (key) => key === "p/r" },
    { key: "p/r" },
    "MASK_UNSATISFIED",
  ],
];

for (const [edge, task, place, reason] of edges) {
  test(`${edge}: ${reason ?? "feasible"} [ORCH-3251, OC-CORE-DET-1040]`, () => {
    assert.equal(infeasible(requirements(task), candidate(place)), reason);
  });
}

test("of several reasons the first of a fixed order is told [OC-CORE-DET-1040]", () => {
  const inOrder: readonly (readonly [Infeasible, Partial<Requirements>, Partial<Candidate>])[] = [
    ["POOL_UNREADY", {}, { ready: false }],
    ["MASK_UNSATISFIED", { avoidPools: ["p"] }, {}],
    ["INSUFFICIENT_CTX", { ctx: 5000 }, {}],
    ["EXTENSIONS_UNSATISFIED", { extensions: ["x"] }, {}],
    ["NO_CAPACITY", {}, { slotsFree: 0 }],
  ];
  for (const [i, [reason]] of inOrder.entries()) {
    const rest = inOrder.slice(i);
    const task = requirements(Object.assign({}, ...rest.map(([, fields]) => fields)));
    const place = candidate(Object.assign({}, ...rest.map(([, , fields]) => fields)));
    assert.equal(infeasible(task, place), reason);
  }
});

test("a place suits a task that it could run when it is ready and has room, and only then", () => {
  for (const [edge, task, place, reason] of edges) {
    const passing = reason === "POOL_UNREADY" || reason === "NO_CAPACITY";
    assert.equal(suits(requirements(task), candidate(place)), reason === undefined || passing, edge);
  }
});

test("what catalog and adapter do not say of a model stays unknown: nothing is guessed, and no place is ruled out by it [OC-CORE-1014]", () => {
  const said = { extensions: ["lora"], quant: "q4", computeCapability: "8.6" };
  const bare = { features: [] };
  for (const unknown of [{}, { quant: undefined, computeCapability: undefined, extensions: [] }]) {
    for (const place of [bare, { features: ["lora"], quant: "q8", computeCapability: "7.0" }]) {
      assert.equal(has(requirements(unknown), place), true);
    }
  }
  for (const [need, value] of Object.entries(said)) {
    const offer = need === "extensions" ? { features: ["lora"] } : { features: [], [need]: value };
    assert.equal(has(requirements({ [need]: value }), offer), true, `${need} is there`);
    assert.equal(has(requirements({ [need]: value }), bare), false, `${need} is not known to be there`);
  }
  const world = new World();
  world.submit("plain");
  world.replica("p", "r1", { facts: facts({ features: ["lora"], quant: "q4", computeCapability: "9.0" }) });
  world.submit("said", {}, said);
  const kept = (id: string) => {
    const { extensions, quant, computeCapability } = world.orchestrator.state.jobs.get(`job-${id}`) as Live;
    return { extensions, quant, computeCapability };
  };
  assert.deepEqual(kept("plain"), { extensions: [], quant: undefined, computeCapability: undefined });
  assert.deepEqual(kept("said"), said);
});
