import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { AdmissionShares } from "./admission-shares.ts";

const windowMs = 60_000;

function sharesOn(clock: FakeClock): AdmissionShares {
  return new AdmissionShares(windowMs, () => clock.nowMs());
}

const shareOf = (shares: AdmissionShares, tenant: string) =>
  shares.now().find((each) => each.tenant === tenant)?.share;

test("each share is the faded cost of its flow by that of all", () => {
  const steps = fc.array(
    fc.record({
      waitMs: fc.nat(40_000),
      tenant: fc.constantFrom("a", "b", "c"),
      cost: fc.integer({ min: 1, max: 999 }),
    }),
    { minLength: 1, maxLength: 40 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const clock = new FakeClock();
      const shares = sharesOn(clock);
      const costs: { atMs: number; tenant: string; cost: number }[] = [];
      for (const { waitMs, tenant, cost } of all) {
        clock.advance(waitMs);
        shares.dispatched(tenant, "interactive", cost);
        costs.push({ atMs: clock.nowMs(), tenant, cost });
      }
      const left = (only?: string) =>
        costs
          .filter(({ tenant }) => only === undefined || tenant === only)
          .reduce((sum, { atMs, cost }) => sum + cost * Math.exp((atMs - clock.nowMs()) / windowMs), 0);
      for (const { tenant, share } of shares.now()) {
        assert.ok(Math.abs(share - left(tenant) / left()) < 1e-9, `${tenant} ${share}`);
      }
    }),
  );
});

test("what was dispatched a window ago counts for a third of what is dispatched now", () => {
  const clock = new FakeClock();
  const shares = sharesOn(clock);
  shares.dispatched("before", "interactive", 100);
  clock.advance(windowMs);
  shares.dispatched("now", "interactive", 100);
  assert.equal(shareOf(shares, "before")?.toFixed(3), (1 / (1 + Math.E)).toFixed(3));
});

test("tenants that send nothing any more make room for those that do", () => {
  const clock = new FakeClock();
  const shares = sharesOn(clock);
  for (let n = 0; n < 600; n++) shares.dispatched(`gone-${n}`, "batch", 1 + (n % 7));
  shares.dispatched("newest", "batch", 1);
  assert.equal(shares.now().length, 512);
  assert.ok(shareOf(shares, "newest") !== undefined);
  clock.advance(11 * windowMs);
  shares.dispatched("here", "interactive", 5);
  assert.deepEqual(shares.now(), [{ tenant: "here", priority: "interactive", share: 1 }]);
});

test("nothing dispatched is no share at all", () => {
  assert.deepEqual(sharesOn(new FakeClock()).now(), []);
});
