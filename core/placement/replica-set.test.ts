import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { facts, pool, settings, World } from "../fixtures/world.ts";
import type { Replica, SetKey } from "../state.ts";
import { setIdOf, stableHash } from "./replica-set.ts";

const field = fc.record({
  engine: fc.constantFrom("llamacpp", "vllm" as const),
  modelDigest: fc.constantFrom("sha256:1", "sha256:2"),
  quant: fc.constantFrom("q4", "q8"),
  ctxMax: fc.constantFrom(2048, 4096),
  engineVersion: fc.constantFrom("b1", "b2"),
  samplerProfile: fc.constantFrom("default", "other" as const),
  determinism: fc.constantFrom("strict", "best_effort" as const),
  computeFingerprint: fc.constantFrom("f1", "f2"),
});
type Fields = typeof field extends fc.Arbitrary<infer F> ? F : never;

/** What must be equal, spelt out: of the compute fingerprint only where the pool is strict. */
const tuple = ({ computeFingerprint, ...rest }: Fields) =>
  JSON.stringify([rest, rest.determinism === "strict" ? computeFingerprint : ""]);

/** The sets that a core puts these replicas into, each in a pool of its own. */
function setsOf(given: readonly Fields[]): string[] {
  const pools = given.map(({ engine, samplerProfile, determinism }, i) =>
    pool({ id: `p${i}`, engine, samplerProfile: samplerProfile as "default", determinism }),
  );
  const world = new World({ settings: settings({ pools }), ready: false });
  for (const [i, { modelDigest, quant, ctxMax, engineVersion, computeFingerprint }] of given.entries()) {
    const of = facts({ modelDigest, quant, ctxMax, engineVersion, computeFingerprint, slotsTotal: i + 1 });
    world.replica(`p${i}`, "r", { facts: of });
  }
  const replica = (i: number) => world.orchestrator.state.pools.get(`p${i}`)?.replicas.get("r") as Replica;
  return given.map((_, i) => replica(i).setId);
}

test("replicas are in one set exactly when all that can change a result is equal [ORCH-3007]", () => {
  fc.assert(
    fc.property(fc.array(field, { minLength: 2, maxLength: 6 }), (given) => {
      const sets = setsOf(given);
      for (const [i, one] of given.entries()) {
        for (const [j, other] of given.entries()) {
          assert.equal(sets[i] === sets[j], tuple(one) === tuple(other), `${tuple(one)} ${tuple(other)}`);
        }
      }
      assert.deepEqual(setsOf(given), sets, "the same in every process");
    }),
  );
});

test("every single difference puts two replicas into different sets [ORCH-3007]", () => {
  const base: Fields = {
    engine: "llamacpp",
    modelDigest: "sha256:1",
    quant: "q4",
    ctxMax: 4096,
    engineVersion: "b1",
    samplerProfile: "default",
    determinism: "strict",
    computeFingerprint: "f1",
  };
  const changes: readonly Partial<Fields>[] = [
    { engine: "vllm" },
    { modelDigest: "sha256:2" },
    { quant: "q8" },
    { ctxMax: 2048 },
    { engineVersion: "b2" },
    { samplerProfile: "other" },
    { determinism: "best_effort" },
    { computeFingerprint: "f2" },
  ];
  const sets = setsOf([base, ...changes.map((change) => ({ ...base, ...change }))]);
  assert.equal(new Set(sets).size, changes.length + 1);
  const loose = { ...base, determinism: "best_effort" } as const;
  assert.equal(new Set(setsOf([loose, { ...loose, computeFingerprint: "f2" }])).size, 1);
});

/** Ids are written down: a change here makes every stored one wrong. */
test("the id of a set is a stable hash of its key [ORCH-3007]", () => {
  const key: SetKey = {
    engine: "llamacpp",
    modelDigest: "sha256:1",
    quant: null,
    ctx: 4096,
    engineVersion: "b1",
    samplerProfile: "default",
    determinism: "strict",
    computeFingerprint: "f",
  };
  assert.equal(setIdOf(key), setIdOf(Object.fromEntries(Object.entries(key).reverse()) as unknown as SetKey));
  assert.equal(setIdOf(key), "rs-c89797b95681f5a6");
  assert.equal(stableHash(""), "811d0a20cbf29ce4");
});

test("a hundred thousand names have a hundred thousand hashes", () => {
  const hashes = new Set(Array.from({ length: 100_000 }, (_, i) => stableHash(`tenant/session-${i}`)));
  assert.equal(hashes.size, 100_000);
});
