import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, kindOf, parseArtifactDocument, parseArtifactId, Transcript } from "./artifact.ts";
import { parser } from "./parse.ts";
import { problemText } from "./problem.ts";

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

test("a document is stored as it was sent, whatever its fields, unless it is nested without end", () => {
  const document = { kind: "poem", colour: { of: ["the", "sea"] }, metadata: { a: 1 } };
  assert.deepEqual(parseArtifactDocument(document), document);
  let deep: unknown = 1;
  for (let level = 0; level < 20_000; level++) deep = [deep];
  for (const [field, value] of Object.entries({ content: { deep }, metadata: { deep }, colour: deep })) {
    assert.throws(
      () => parseArtifactDocument({ [field]: value }),
      new RegExp(`^OrchError: ${field}: given a value nested deeper than 64 levels`),
    );
  }
});

test("a transcript keeps of a request's texts only length and digest", () => {
  const redacted = { length: 5, sha256: "0".repeat(64) };
  const request = {
    task_id: "t",
    session_id: "s",
    workload: "completion",
    model_ref: "haiku",
    engine: "llamacpp",
    ctx: 0,
    priority: "batch",
    max_tokens: 1,
    deadline_ms: 1000,
  };
  const parseRequest = parser(Transcript.properties.metadata.properties.request);
  const problems = (texts: object) => parseRequest.problems({ ...request, ...texts }).map(problemText);
  const messages = [{ role: "user", content: redacted }];
  assert.deepEqual(problems({ prompt: redacted, messages, query: redacted, inputs: [redacted] }), []);
  for (const text of [
    { prompt: "words" },
    { query: "words" },
    { inputs: ["words"] },
    { messages: [{ role: "user", content: "words" }] },
    { other: "words" },
  ]) {
    assert.equal(problems(text).length, 1, JSON.stringify(text));
  }
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
