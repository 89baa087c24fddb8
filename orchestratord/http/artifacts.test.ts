import assert from "node:assert/strict";
import { test } from "node:test";
import { serving } from "./fixtures/serving.ts";

test("an artifact is created with 201, id and kind, and read back by id or bare digest; others are 404 [CHK-F-13]", async (t) => {
  const { fetch, post } = await serving(t);
  const document = { kind: "plan", content: { a: 1 }, note: "kept", tags: ["x"] };
  const created = await post("/v1/artifacts", document);
  const { id, kind, digest, tags } = (await created.json()) as Record<string, string>;
  assert.equal(created.status, 201);
  assert.match(id as string, /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual([kind, digest, tags], ["plan", id, ["x"]]);
  for (const name of [id, encodeURIComponent(id as string), (id as string).slice("sha256:".length)]) {
    const read = await fetch(`/v1/artifacts/${name}`);
    assert.equal(read.status, 200);
    assert.deepEqual(await read.json(), document);
  }
  for (const name of ["none", `sha256:${"0".repeat(64)}`, "..%2F..%2Fetc%2Fpasswd"]) {
    assert.equal((await fetch(`/v1/artifacts/${name}`)).status, 404);
  }
});
