import assert from "node:assert/strict";
import { test } from "node:test";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { apiVersion } from "./capability.ts";
import { type ErrorCode, ErrorEnvelope, errorTable } from "./errors.ts";
import { errorExample, openapiDocument } from "./openapi.ts";
import { parser } from "./parse.ts";
import { problemText } from "./problem.ts";
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

interface Media {
  readonly example?: unknown;
  readonly examples?: Record<string, { value: unknown }>;
}
interface Answer {
  readonly $ref?: string;
  readonly description: string;
  readonly headers?: object;
  readonly content?: Record<string, Media>;
}
interface Operation {
  readonly operationId: string;
  readonly security: object[];
  readonly requestBody?: { content: Record<string, Media> };
  readonly responses: Record<string, Answer>;
}
interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: {
    schemas: Record<string, { properties?: Record<string, { enum?: string[] }> }>;
    responses?: Record<string, Answer>;
    headers: Record<string, { description: string; schema: { type?: string; const?: string } }>;
    securitySchemes: object;
  };
}
const read = (face: FaceName) => JSON.parse(JSON.stringify(openapiDocument(face))) as Document;

function operationsOf({ paths }: Document): Operation[] {
  return Object.values(paths).flatMap((path) => Object.values(path).filter((each) => "operationId" in each));
}

function answer({ components }: Document, found: Answer | undefined): Answer {
  assert.ok(found);
  const name = found.$ref?.replace("#/components/responses/", "");
  return name === undefined ? found : (components.responses?.[name] as Answer);
}

/** The pool manager's failures are all one sentence, which the schema shows better than an example. */
const isManagerFailure = (face: FaceName, status: string) => face === "pool-managerd" && status >= "400";

test("every answer and every body that has a shape shows an example [OC-CTRL-2069]", () => {
  for (const face of faceNames) {
    const document = read(face);
    for (const { operationId, requestBody, responses } of operationsOf(document)) {
      const answers = Object.entries(responses).filter(([status]) => !isManagerFailure(face, status));
      const parts = [requestBody, ...answers.map(([, each]) => answer(document, each))];
      for (const media of parts.flatMap((part) => Object.values(part?.content ?? {}))) {
        const shown = [media.example, ...Object.values(media.examples ?? {}).map((each) => each.value)];
        assert.ok(
          shown.some((each) => each !== undefined),
          operationId,
        );
      }
    }
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
  const document = read("orchqueue");
  const codes = document.components.schemas.ErrorEnvelope?.properties?.code?.enum ?? [];
  const create = operationsOf(document).find(({ operationId }) => operationId === "createTask");
  const rows = [
    ["DEADLINE_UNMET", 400],
    ["MODEL_DEPRECATED", 403],
    ["UNTRUSTED_ARTIFACT", 400],
  ] as const;
  for (const [code, status] of rows) {
    assert.ok(codes.includes(code), code);
    const examples =
      answer(document, create?.responses[status]).content?.["application/json"]?.examples ?? {};
    assert.ok(code in examples, `${code} is not among the answers with ${status}`);
  }
});

test("a stream may neither be stored nor held back on its way", () => {
  const { paths, components } = read("orchqueue");
  const { headers = {} } = paths["/v1/tasks/{id}/stream"]?.get?.responses[200] ?? {};
  assert.ok("Cache-Control" in headers && "X-Accel-Buffering" in headers);
  assert.equal(components.headers["Cache-Control"]?.schema.const, "no-cache");
  assert.equal(components.headers["X-Accel-Buffering"]?.schema.const, "no");
});

test("a header that is a number says so", () => {
  const { components } = read("orchqueue");
  const types = Object.entries(components.headers).map(([name, { schema }]) => [name, schema.type]);
  assert.deepEqual(Object.fromEntries(types), {
    "X-Correlation-Id": "string",
    "Cache-Control": "string",
    "X-Accel-Buffering": "string",
    "X-Budget-Tokens-Remaining": "integer",
    "X-Budget-Time-Remaining-Ms": "integer",
    "X-Budget-Cost-Remaining": "number",
    "Retry-After": "integer",
    "X-Backoff-Ms": "integer",
    "X-Queue-Position": "integer",
    "X-Queue-ETA-Ms": "integer",
    Allow: "string",
  });
});

test("an answer promises the retry headers exactly where one of its codes carries retry_after_ms", () => {
  for (const face of ["orchqueue", "operator"] as const) {
    for (const [name, { headers = {}, content }] of Object.entries(read(face).components.responses ?? {})) {
      const examples = Object.values(content?.["application/json"]?.examples ?? {});
      const waits = examples.some((each) => "retry_after_ms" in (each.value as object));
      assert.equal("Retry-After" in headers, waits, name);
      assert.equal("X-Backoff-Ms" in headers, waits, name);
    }
  }
});

test("the examples show what a code always says", () => {
  assert.equal(errorExample("NOT_FOUND").error, "not found");
  assert.equal(errorExample("CLOUD_DISABLED").success, false);
});

test("with only API keys configured every route but the metrics asks for a key", () => {
  for (const face of ["orchqueue", "operator"] as const) {
    for (const { operationId, security, responses } of operationsOf(read(face))) {
      const open = operationId === "getMetrics";
      assert.equal(
        security.some((each) => "key" in each),
        !open,
        operationId,
      );
      const codes = Object.values(responses)
        .map((each) => each.$ref ?? "")
        .join();
      assert.equal(/MISSING_API_KEY/.test(codes) && /INVALID_API_KEY/.test(codes), !open, operationId);
    }
  }
  assert.ok(!("key" in read("pool-managerd").components.securitySchemes));
});

test("two runs give the same bytes", () => {
  for (const face of faceNames) {
    assert.equal(JSON.stringify(openapiDocument(face)), JSON.stringify(openapiDocument(face)));
  }
});
