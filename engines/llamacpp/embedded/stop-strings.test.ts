import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StopStrings } from "./stop-strings.ts";

test("the text before the first stop string comes out, however it was cut into pieces", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 24 });
  const words = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }), {
    maxLength: 3,
  });
  fc.assert(
    fc.property(letters, words, fc.array(fc.nat(3), { minLength: 30, maxLength: 30 }), (text, stop, cuts) => {
      const stops = new StopStrings(stop);
      let out = "";
      let at = 0;
      for (const cut of cuts) {
        out += stops.push(text.slice(at, at + cut));
        at += cut;
        if (stops.found !== "") break;
      }
      if (stops.found === "") out += stops.push(text.slice(at));
      if (stops.found === "") out += stops.flush();
      const ends = stop.map((word) => text.indexOf(word)).filter((index) => index >= 0);
      // A longer piece may show two stop strings at once; then the one that begins first counts.
      if (ends.length === 0) assert.equal(out, text);
      else assert.ok(ends.includes(out.length) && text.startsWith(out) && stop.includes(stops.found));
    }),
  );
});

test("what may become a stop string is held, and given out once it cannot", () => {
  const stops = new StopStrings(["END", "ENOUGH"]);
  assert.equal(stops.push("so it is EN"), "so it is ");
  assert.equal(stops.push("T"), "ENT");
  assert.equal(stops.push("E"), "");
  assert.equal(stops.push("NO"), "");
  assert.equal(stops.push("UGH said"), "");
  assert.equal(stops.found, "ENOUGH");
});
