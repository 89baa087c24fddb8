import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Backlog } from "./backlog.ts";

test("what comes in goes out in the same order, however the two alternate", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (comings) => {
      const backlog = new Backlog<number>();
      const model: number[] = [];
      for (const [i, comes] of comings.entries()) {
        if (comes) {
          backlog.push(i);
          model.push(i);
        } else {
          assert.equal(backlog.shift(), model.shift());
        }
        assert.equal(backlog.size, model.length);
        assert.deepEqual(backlog.items(), model);
      }
    }),
  );
});
