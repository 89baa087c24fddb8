// Documents of clients, from the wire to the disk and back, in a whole daemon.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { canonicalJson } from "@llama-orch/contract";
import { Client } from "./fixtures/client.ts";
import { configFor } from "./fixtures/running.ts";
import { startOrchestratord } from "./start.ts";

const config = configFor({ after }, {});
const daemon = await startOrchestratord({ config, writeLog: () => {}, seed: 1 });
after(() => daemon.stop(AbortSignal.abort()));
const client = new Client(daemon.url);

const addressOf = (document: object) =>
  `sha256:${createHash("sha256").update(canonicalJson(document)).digest("hex")}`;
const store = (document: object) => client.call("POST", "/v1/artifacts", document);

test("any document is stored under the sha256 of its content with 201, id and kind, and equal ones are one [ORCH-3097]", async () => {
  const deep = { list: [1, "two", null, { three: 3.5 }], empty: {}, text: 'ü "quoted"\n' };
  for (const document of [{}, { kind: "plan" }, { content: deep, tags: [], metadata: deep }, deep]) {
    const { status, body } = await store(document);
    assert.equal(status, 201);
    const kind = "kind" in document ? document.kind : "doc";
    assert.deepEqual([body.id, body.kind], [addressOf(document), kind]);
    const reversed = Object.fromEntries(Object.entries(document).reverse());
    assert.deepEqual((await store(reversed)).body, body);
  }
  assert.notEqual((await store({ n: 1 })).body.id, (await store({ n: 2 })).body.id);
});

test("a stored document is read from the local disk with 200, and what nobody stored is 404 [ORCH-3098]", async () => {
  const document = { kind: "doc", content: { where: "on the disk" } };
  const { id } = (await store(document)).body;
  const path = `/v1/artifacts/${id}`;
  const read = await client.get(path);
  assert.deepEqual([read.status, read.body], [200, document]);
  const file = join(config.artifacts.root, id.slice("sha256:".length));
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), document);
  const unknown = await client.get(`/v1/artifacts/${addressOf({ never: "stored" })}`);
  assert.deepEqual([unknown.status, unknown.body.code], [404, "NOT_FOUND"]);
});

test("documents of every kind are stored with their tags, and the answer names all that was given to them [OC-CTRL-2065]", async () => {
  for (const kind of ["plan", "summary", "diff", "trace", "transcript", "logs", "doc", "other"]) {
    const document = { kind, content: { about: kind }, tags: ["release", kind] };
    const { status, body } = await store(document);
    assert.equal(status, 201, kind);
    const id = addressOf(document);
    const { created_ms, ...rest } = body;
    assert.deepEqual(rest, { id, kind, digest: id, tags: ["release", kind] });
    assert.ok(Math.abs(created_ms - Date.now()) < 60_000, `${created_ms}`);
    assert.deepEqual((await client.get(`/v1/artifacts/${id}`)).body, document);
  }
});
