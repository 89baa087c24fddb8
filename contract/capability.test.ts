import assert from "node:assert/strict";
import { test } from "node:test";
import { Capabilities, EngineCapability } from "./capability.ts";
import { parser } from "./parse.ts";
import { clientRoutes } from "./routes/client.ts";

test("an engine that computes on the CPU says so, and none keeps silent about it", () => {
  const example = clientRoutes.find(({ id }) => id === "getCapabilities")?.replies[200]?.example;
  const [engine] = parser(Capabilities)(example).engines;
  const { problems } = parser(EngineCapability);
  assert.deepEqual(problems({ ...engine, compute: "cpu" }), []);
  assert.deepEqual(
    problems({ ...engine, compute: undefined }).map((each) => each.path),
    ["compute"],
  );
});
