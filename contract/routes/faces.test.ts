import assert from "node:assert/strict";
import { test } from "node:test";
import { faces } from "./faces.ts";
import type { Route } from "./route.ts";

const list = (routes: readonly Route[]) => routes.map(({ method, path }) => `${method} ${path}`).sort();

test("the client's surface is exactly these routes, and replica sets are not one of them", () => {
  assert.deepEqual(list(faces.orchqueue.routes), [
    "DELETE /v1/sessions/{id}",
    "GET /metrics",
    "GET /v1/artifacts/{id}",
    "GET /v1/capabilities",
    "GET /v1/pools/{id}/health",
    "GET /v1/sessions/{id}",
    "GET /v1/tasks/{id}/stream",
    "POST /v1/artifacts",
    "POST /v1/pools/{id}/drain",
    "POST /v1/pools/{id}/reload",
    "POST /v1/tasks",
    "POST /v1/tasks/{id}/cancel",
  ]);
});

test("the operator's surface is exactly these routes", () => {
  assert.deepEqual(list(faces.operator.routes), [
    "DELETE /v2/catalog/models/{id}",
    "DELETE /v2/nodes/{id}",
    "GET /v2/catalog/availability",
    "GET /v2/catalog/models",
    "GET /v2/catalog/models/{id}",
    "GET /v2/nodes",
    "GET /v2/pools",
    "GET /v2/tasks",
    "GET /v2/tasks/{id}",
    "POST /v2/catalog/models",
    "POST /v2/catalog/models/{id}/state",
    "POST /v2/catalog/models/{id}/verify",
    "POST /v2/nodes/register",
    "POST /v2/nodes/{id}/heartbeat",
  ]);
});

test("the pool manager's surface is exactly these routes", () => {
  assert.deepEqual(list(faces["pool-managerd"].routes), [
    "DELETE /pools/{id}/leases/{lease}",
    "GET /health",
    "GET /pools/{id}/status",
    "POST /pools/{id}/drain",
    "POST /pools/{id}/leases",
    "POST /pools/{id}/preload",
    "POST /pools/{id}/reload",
  ]);
});

test("only metrics and the health of the pool manager are open to everybody", () => {
  const open = Object.values(faces).flatMap(({ routes }) => routes.filter((route) => route.auth === "open"));
  assert.deepEqual(list(open), ["GET /health", "GET /metrics"]);
});

test("node and catalog routes ask for the token where one is configured, the others also take a key", () => {
  for (const { path, auth } of faces.operator.routes) {
    assert.equal(auth === "token", /^\/v2\/(nodes|catalog)/.test(path), path);
  }
});

test("a route's id names it alone", () => {
  const ids = Object.values(faces).flatMap(({ routes }) => routes.map(({ id }) => id));
  assert.equal(new Set(ids).size, ids.length);
});
