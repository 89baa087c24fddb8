import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Recent } from "./recent.ts";

const key = fc.constantFrom("a", "b", "c", "d", "e", "f");
const step = fc.record({
  kind: fc.constantFrom("set", "set", "delete", "oldest", "drop"),
  key,
  value: fc.nat(9),
});

test("any sequence of sets and deletions knows its oldest entry as a plain list would", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const recent = new Recent<number>();
      let model: [string, number][] = [];
      for (const { kind, key, value } of steps) {
        const oldest = model[0]?.[0];
        const gone = kind === "drop" ? oldest : key;
        if (kind === "oldest") assert.equal(recent.oldest(), oldest);
        else if (gone !== undefined) {
          const had = model.some(([name]) => name === gone);
          model = model.filter(([name]) => name !== gone);
          if (kind === "set") {
            recent.set(gone, value);
            model.push([gone, value]);
          } else {
            assert.equal(recent.delete(gone), had);
          }
        }
        assert.equal(recent.size, model.length);
        assert.equal(recent.get(key), model.find(([name]) => name === key)?.[1]);
        assert.deepEqual([...recent.entries()], model);
      }
      assert.equal(recent.oldest(), model[0]?.[0]);
    }),
  );
});

test("setting an entry again makes it the latest", () => {
  const recent = new Recent<number>();
  for (const name of ["a", "b", "c"]) recent.set(name, 1);
  assert.equal(recent.oldest(), "a");
  recent.set("a", 2);
  assert.equal(recent.oldest(), "b");
  assert.deepEqual([...recent.entries()].at(-1), ["a", 2]);
});
