import assert from "node:assert/strict";
import { test } from "node:test";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { apiVersion } from "./capability.ts";
import { type ErrorCode, ErrorEnvelope, errorTable } from "./errors.ts";
import { errorExample, openapiDocument } from "./openapi.ts";
import { parser, problemText } from "./parse.ts";
import { type FaceName, faces } from "./routes/faces.ts";
import type { Route } from "./routes/route.ts";

const faceNames = Object.keys(faces) as FaceName[];
const routes: readonly Route[] = faceNames.flatMap((face) => [...faces[face].routes]);

test("every document passes the recommended rules of a public linter", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  for (const face of faceNames) {
    const source = JSON.stringify(openapiDocument(face));
    const problems = await lintFromString({ source, absoluteRef: `${face}.json`, config });
    assert.deepEqual(
      problems.map(({ ruleId, message, location }) => `${ruleId} ${message} ${location[0]?.pointer}`),
      [],
      face,
    );
  }
});

test("every example is what its schema says", () => {
  for (const { id, body, replies } of routes) {
    const examples = [body, ...Object.values(replies)].filter((part) => part?.schema !== undefined);
    for (const part of examples) {
      if (part?.schema === undefined || part.example === undefined) continue;
      const problems = parser(part.schema).problems(part.example);
      assert.deepEqual(problems.map(problemText), [], id);
    }
  }
});

test("every answer and every body that has a shape shows an example [OC-CTRL-2069]", () => {
  for (const { id, body, replies } of routes) {
    if (body) assert.notEqual(body.example, undefined, id);
    for (const reply of Object.values(replies))
      assert.equal(reply.example !== undefined, reply.schema !== undefined, id);
  }
});

test("the example of every error is an envelope that carries its code", () => {
  const parseEnvelope = parser(ErrorEnvelope);
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    assert.equal(parseEnvelope(errorExample(code)).code, code);
  }
});

test("paths carry their version and documents the version of the interface", () => {
  for (const face of ["orchqueue", "operator"] as const) {
    const { info, paths } = openapiDocument(face) as { info: { version: string }; paths: object };
    assert.equal(info.version, apiVersion);
    assert.match(info.version, /^\d+\.\d+\.\d+$/);
    for (const path of Object.keys(paths)) assert.match(path, /^\/v[12]\/|^\/metrics$/);
  }
});

test("the three codes of deadlines, lifecycle and trust are in the list of errors [ORCH-3093]", () => {
  const document = JSON.stringify(openapiDocument("orchqueue"));
  const rows = [
    ["DEADLINE_UNMET", 400],
    ["MODEL_DEPRECATED", 403],
    ["UNTRUSTED_ARTIFACT", 400],
  ] as const;
  for (const [code, status] of rows) {
    assert.equal(errorTable[code].status, status);
    assert.ok(ErrorEnvelope.properties.code.enum.includes(code));
    assert.ok(document.includes(code));
  }
});

test("two runs give the same bytes", () => {
  for (const face of faceNames) {
    assert.equal(JSON.stringify(openapiDocument(face)), JSON.stringify(openapiDocument(face)));
  }
});
