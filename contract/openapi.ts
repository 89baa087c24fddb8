// OpenAPI documents out of the route table. Schemas with a title become components and are referred to by
// name; order comes from the tables alone, so the same tables always give the same document.

import { apiVersion } from "./capability.ts";
import { type ErrorCode, ErrorEnvelope, type ErrorRow, errorTable } from "./errors.ts";
import { PoolManagerError } from "./pool.ts";
import { type FaceName, faces } from "./routes/faces.ts";
import { type HeaderName, type Reply, type Route, responseHeaders } from "./routes/route.ts";

type Json = Record<string, unknown>;

interface Components {
  readonly schemas: Record<string, unknown>;
  /** Failures, named after the codes they may carry; most routes share most of them. */
  readonly responses: Record<string, unknown>;
}

const refTo = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

export function openapiDocument(face: FaceName): Json {
  const { title, says, server, routes } = faces[face];
  const components: Components = { schemas: {}, responses: {} };
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    paths[route.path] = {
      ...pathLevel(route),
      ...paths[route.path],
      [route.method.toLowerCase()]: operation(face, route, components),
    };
  }
  const tags = [...new Set(routes.map((route) => route.tag))];
  return {
    openapi: "3.1.0",
    info: {
      title,
      version: apiVersion,
      description: says,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: server, description: "The default of an installation on one machine." }],
    tags: tags.map((name) => ({ name, description: tagTexts[name] })),
    paths,
    components: {
      schemas: sorted(components.schemas),
      ...(face !== "pool-managerd" && { responses: sorted(components.responses) }),
      headers: headerComponents(routes, face, components),
      securitySchemes: securitySchemes(face),
    },
  };
}

const sorted = (entries: Json): Json =>
  Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));

const tagTexts: Record<string, string> = {
  tasks: "Hand in, follow, cancel.",
  sessions: "Conversations with their turns and budgets.",
  artifacts: "Stored documents and transcripts.",
  discovery: "What is there and how it is doing.",
  pools: "The pools that serve models.",
  lists: "Read-only lists.",
  catalog: "Models.",
  nodes: "Machines of a cluster.",
  daemon: "The daemon itself.",
  leases: "Slots in use.",
};

function pathLevel({ path }: Route): Json {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  if (names.length === 0) return {};
  return {
    parameters: names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
  };
}

function operation(face: FaceName, route: Route, components: Components): Json {
  const parameters = parametersOf(route, components);
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    security: securityOf(face, route),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && {
      requestBody: {
        required: true,
        description: `At most ${route.body.limitBytes / 1_048_576} MiB.`,
        content: content("application/json", route.body.schema, route.body.example, components),
      },
    }),
    responses: {
      ...replies(route, components),
      ...(face === "pool-managerd" ? managerFailures(route, components) : failures(route, components)),
    },
  };
}

function parametersOf({ query, requestHeaders }: Route, components: Components): Json[] {
  const properties = ((query as { properties?: Json } | undefined)?.properties ?? {}) as Record<string, Json>;
  const fromQuery = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    schema: extract(schema, components),
  }));
  const fromHeaders = Object.entries(requestHeaders ?? {}).map(([name, description]) => ({
    name,
    in: "header",
    description,
    schema: { type: "string" },
  }));
  return [...fromQuery, ...fromHeaders];
}

function replies(route: Route, components: Components): Json {
  const entries = Object.entries(route.replies).map(([status, reply]) => [
    status,
    response(reply, components),
  ]);
  return Object.fromEntries(entries);
}

function response({ says, schema, contentType, headers, example }: Reply, components: Components): Json {
  return {
    description: says,
    headers: headerRefs(["X-Correlation-Id", ...(headers ?? [])]),
    ...(schema && { content: content(contentType ?? "application/json", schema, example, components) }),
  };
}

function content(type: string, schema: unknown, example: unknown, components: Components): Json {
  return { [type]: { schema: extract(schema, components), ...(example !== undefined && { example }) } };
}

/** Errors that a route may answer, its own and those of its kind, gathered by status. */
export function errorsOf(route: Route): ErrorCode[] {
  const codes = new Set<ErrorCode>(route.errors);
  if (route.body) for (const code of bodyErrors) codes.add(code);
  if (route.auth !== "open") for (const code of authErrors) codes.add(code);
  codes.add("METHOD_NOT_ALLOWED").add("INTERNAL");
  return (Object.keys(errorTable) as ErrorCode[]).filter((code) => codes.has(code));
}

const bodyErrors: readonly ErrorCode[] = ["INVALID_PARAMS", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"];
/** A token, keys or both may be configured, and each has its own way to say no. */
const authErrors: readonly ErrorCode[] = [
  "MISSING_TOKEN",
  "BAD_TOKEN",
  "MISSING_API_KEY",
  "INVALID_API_KEY",
  "FORBIDDEN_ORIGIN",
];

function failures(route: Route, components: Components): Json {
  const byStatus = Map.groupBy(errorsOf(route), (code) => errorTable[code].status);
  const statuses = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    statuses.map(([status, codes]) => {
      const name = codes.join(".");
      components.responses[name] ??= failure(codes, components);
      return [String(status), refTo("responses", name)];
    }),
  );
}

/** pool-managerd says its failures in one sentence, whatever the status. */
function managerFailures({ auth, body, replies: own }: Route, components: Components): Json {
  const statuses = { 400: body, 401: auth !== "open", 405: true, 413: body, 415: body };
  const said = Object.entries(statuses).filter(([status, may]) => may && !(Number(status) in own));
  const reply = { says: "Refused; the sentence says why.", schema: PoolManagerError };
  return Object.fromEntries(said.map(([status]) => [status, response(reply, components)]));
}

function failure(codes: readonly ErrorCode[], components: Components): Json {
  return {
    description: codes.map((code) => `${code}: ${errorTable[code].says}`).join("\n\n"),
    headers: headerRefs(["X-Correlation-Id", ...failureHeaders(codes)]),
    content: {
      "application/json": {
        schema: extract(ErrorEnvelope, components),
        examples: Object.fromEntries(codes.map((code) => [code, { value: errorExample(code) }])),
      },
    },
  };
}

/** A time to wait is said in headers too, and a full queue may add where the task would have stood. */
function failureHeaders(codes: readonly ErrorCode[]): HeaderName[] {
  const rows: ErrorRow[] = codes.map((code) => errorTable[code]);
  const retry = rows.some(({ advisory }) => advisory.includes("retry_after_ms"));
  const has = (status: number) => rows.some((row) => row.status === status);
  return [
    ...(retry ? (["Retry-After", "X-Backoff-Ms"] as const) : []),
    ...(has(429) ? (["X-Queue-Position", "X-Queue-ETA-Ms"] as const) : []),
    ...(has(405) ? (["Allow"] as const) : []),
  ];
}

const advisoryExamples: Record<string, unknown> = {
  policy_label: "reject",
  retry_after_ms: 1200,
  earliest_finish_ms: 4200,
  predicted_start_ms: 2600,
  reason: "digest mismatch",
  hint: "Ask the operator of this installation for a credential.",
  last_error: "the engine left with code 1",
};

/** An envelope as the table says it, with the advisory fields that mostly come along. */
export function errorExample(code: ErrorCode): ErrorEnvelope {
  const { says, retriable, advisory, fixed }: ErrorRow = errorTable[code];
  const fields = advisory.flatMap((name) =>
    name in advisoryExamples ? [[name, advisoryExamples[name]]] : [],
  );
  const labels: Partial<Record<ErrorCode, string>> = {
    QUEUE_FULL_DROP_LRU: "drop-lru",
    INVALID_PARAMS: "budget",
    POOL_UNAVAILABLE: "retry",
  };
  const label = labels[code] === undefined ? {} : { policy_label: labels[code] };
  return { code, message: says, retriable, ...Object.fromEntries(fields), ...label, ...fixed };
}

function headerRefs(names: readonly HeaderName[]): Json {
  return Object.fromEntries(names.map((name) => [name, refTo("headers", name)]));
}

function headerComponents(routes: readonly Route[], face: FaceName, components: Components): Json {
  const used = new Set<HeaderName>(["X-Correlation-Id"]);
  for (const { replies: all } of routes) {
    for (const reply of Object.values(all)) for (const name of reply.headers ?? []) used.add(name);
  }
  if (face !== "pool-managerd") for (const name of failureHeaders(routes.flatMap(errorsOf))) used.add(name);
  const names = (Object.keys(responseHeaders) as HeaderName[]).filter((name) => used.has(name));
  return Object.fromEntries(
    names.map((name) => [
      name,
      { description: responseHeaders[name].says, schema: extract(responseHeaders[name].schema, components) },
    ]),
  );
}

function securityOf(face: FaceName, { auth }: Route): Json[] {
  if (auth === "open") return [{}];
  return takesKeys(face) ? [{}, { key: [] }, { token: [] }] : [{}, { token: [] }];
}

/** Keys are for the orchestrator's callers; a pool manager has one caller, which sends the token. */
const takesKeys = (face: FaceName): boolean => face !== "pool-managerd";

function securitySchemes(face: FaceName): Json {
  const token = { type: "http", scheme: "bearer", description: "LLORCH_API_TOKEN of the installation." };
  const key = { type: "apiKey", in: "header", name: "X-API-Key", description: "One of ORCHD_API_KEYS." };
  return { ...(takesKeys(face) && { key }), token };
}

/** Annotations for our own programs. */
const ours: ReadonlySet<string> = new Set(["x-secret", "x-url"]);

/**
 * Copies a schema for the document; whatever has a title moves into the components and leaves a reference.
 */
function extract(schema: unknown, components: Components): unknown {
  if (Array.isArray(schema)) return schema.map((item) => extract(item, components));
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => !key.startsWith("~") && !ours.has(key))
      .map(([key, value]) => [key, extract(value, components)]),
  );
  if (typeof copy.title !== "string") return copy;
  const known = components.schemas[copy.title];
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(copy)) {
    throw new Error(`Two schemas are titled ${copy.title}; give one of them another title.`);
  }
  components.schemas[copy.title] = copy;
  return refTo("schemas", copy.title);
}
