import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Few } from "./few.ts";

test("any coming and going leaves what a set would, in the same order", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 60 }), (items) => {
      const few = new Few<number>();
      const model = new Set<number>();
      for (const item of items) {
        const known = model.has(item);
        if (known) model.delete(item);
        else model.add(item);
        if (known) few.delete(item);
        else few.add(item);
        assert.equal(few.has(item), !known);
        assert.equal(few.size, model.size);
        assert.deepEqual([...few], [...model]);
      }
      few.delete(99);
      assert.equal(few.size, model.size);
    }),
  );
});
