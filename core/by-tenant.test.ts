import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByTenant } from "./by-tenant.ts";

const name = fc.constantFrom("a", "b", "a/b", "");
const step = fc.record({
  kind: fc.constantFrom("set", "set", "delete"),
  tenantId: name,
  name,
  value: fc.nat(),
});

test("any putting in and taking out leaves what a map under both names would", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const named = new ByTenant<number>();
      const model = new Map<string, number>();
      for (const { kind, tenantId, name, value } of steps) {
        const key = JSON.stringify([tenantId, name]);
        if (kind === "set") {
          named.set(tenantId, name, value);
          model.set(key, value);
        } else {
          named.delete(tenantId, name);
          model.delete(key);
        }
        assert.equal(named.get(tenantId, name), model.get(key));
        assert.equal(named.size, model.size);
      }
      assert.deepEqual([...named.values()].sort(), [...model.values()].sort());
    }),
  );
});

test("what one tenant names is not found by another", () => {
  const named = new ByTenant<number>();
  named.set("one", "x", 1);
  assert.equal(named.get("other", "x"), undefined);
  named.delete("other", "x");
  assert.equal(named.get("one", "x"), 1);
});
