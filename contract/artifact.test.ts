import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, kindOf, parseArtifactId } from "./artifact.ts";

test("equal documents have one text, whatever the order of their keys", () => {
  assert.equal(
    canonicalJson({ b: [1, { d: null, c: "ü" }], a: true }),
    '{"a":true,"b":[1,{"c":"ü","d":null}]}',
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (document) => {
      const turned = Object.fromEntries(Object.entries(document).reverse());
      assert.equal(canonicalJson(turned), canonicalJson(document));
      assert.deepEqual(JSON.parse(canonicalJson(document)), JSON.parse(JSON.stringify(document)));
    }),
  );
});

test("a document without a known kind is a doc", () => {
  assert.equal(kindOf({ kind: "plan" }), "plan");
  assert.equal(kindOf({ kind: "poem" }), "doc");
  assert.equal(kindOf({}), "doc");
});

test("an artifact is found by its id and by the bare digest, and by nothing else", () => {
  const hex = "0".repeat(64);
  assert.equal(parseArtifactId(hex), `sha256:${hex}`);
  assert.equal(parseArtifactId(`sha256:${hex}`), `sha256:${hex}`);
  for (const text of ["", "sha256:", hex.slice(1), "G".repeat(64), `md5:${hex}`, "../../etc/passwd"]) {
    assert.equal(parseArtifactId(text), undefined);
  }
});
