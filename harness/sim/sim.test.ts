import assert from "node:assert/strict";
import { test } from "node:test";
import { baseLoad, baseMix, basePool } from "./mix.ts";
import { failureText } from "./printed.ts";
import { keptSeeds } from "./seeds.ts";
import { simulate, type Verdict } from "./simulate.ts";
import { swarm } from "./swarm.ts";

const seedsPerRun = 60;

test("whatever goes wrong, every promise holds once it is healed", async () => {
  const seeds = Array.from({ length: seedsPerRun }, (_, i) => i + 1);
  assert.deepEqual(failuresIn(await swarm(seeds)), []);
});

test("every seed that failed once passes now", async () => {
  const seeds = keptSeeds();
  assert.ok(seeds.length > 0);
  assert.deepEqual(failuresIn(await swarm(seeds)), []);
});

test("the same seed has the same effects, to the last letter [OC-CORE-DET-1018]", () => {
  const [first, again, other] = [simulate(7), simulate(7), simulate(8)];
  assert.equal(first.digest, again.digest);
  assert.equal(first.events, again.events);
  assert.notEqual(first.digest, other.digest);
});

test("a violation names what broke and the command that repeats it", () => {
  const mix = baseMix(5, {
    settings: { ...baseMix(5).settings, pools: [basePool({ modelRef: "nobody-has-it" })] },
    load: { ...baseLoad, tasks: 3 },
  });
  const broken: Verdict = {
    ...simulate(5, mix),
    violation: { message: "It broke.", lately: ["> a", "  < b"] },
  };
  const text = failureText(broken);
  assert.match(text, /FAILED seed 5 .*It broke\./);
  assert.match(text, /npm run sim -- --seeds 1 --seed 5$/);
});

test("a kept seed is a line with a number, and anything else is said to be wrong", () => {
  assert.deepEqual(keptSeeds("# why\nseed=3 # it broke\n\nseed=12\n"), [3, 12]);
  assert.throws(() => keptSeeds("seed=x"), /no line of seeds\.txt/);
});

function failuresIn(verdicts: readonly Verdict[]): string[] {
  return verdicts
    .filter(({ violation }) => violation !== undefined)
    .map((verdict) => failureText(verdict, 12));
}
