import assert from "node:assert/strict";
import { test } from "node:test";
import { type EnvironmentRow, environment, environmentNames } from "./environment.ts";
import { keyAt, valueAt } from "./keys.ts";
import { resolveConfig } from "./resolve.ts";

const rows = environmentNames.map((name): [string, EnvironmentRow] => [name, environment[name]]);

test("every variable sets a key that exists, or says itself what it accepts", () => {
  for (const [name, row] of rows) {
    assert.equal((row.sets === undefined) !== (row.accepts === undefined), true, name);
    if (row.sets !== undefined) assert.ok(keyAt(row.sets), `${name} sets ${row.sets}`);
    assert.match(row.says, /\.$/, name);
  }
});

test("no name is used twice, and no two variables set the same key", () => {
  const names = rows.flatMap(([name, row]) => [name, ...row.aliases]);
  assert.equal(new Set(names).size, names.length);
  const keys = rows.flatMap(([, row]) => row.sets ?? []);
  assert.equal(new Set(keys).size, keys.length);
});

const token = "0123456789abcdef";
const base = {
  LLORCH_API_TOKEN: token,
  ORCHESTRATORD_URL: "http://o:1",
  POOL_MANAGERD_ADDRESS: "http://n:1",
};
const pool = { id: "p", engine: "llamacpp", model: "m", devices: [] };

/** Each row: a variable, good text, the value it becomes, and text that is refused. */
const table: readonly [name: string, good: string, value: unknown, bad: readonly string[]][] = [
  ["ORCHD_ADDR", "127.0.0.1:0", "127.0.0.1:0", ["127.0.0.1", ":80"]],
  ["ORCHESTRATORD_BIND_ADDR", "0.0.0.0:8080", "0.0.0.0:8080", ["x"]],
  ["ORCHD_PROFILE", "cloud", "cloud", ["fog"]],
  ["ORCHESTRATORD_CLOUD_PROFILE", "1", "cloud", ["yes", "TRUE"]],
  ["AUTH_OPTIONAL", "true", true, ["maybe"]],
  ["ORCHD_ADMISSION_CAPACITY", "10000", 10_000, ["0", "10001", "1e3", "ten", "0x10"]],
  ["ORCHD_ADMISSION_POLICY", "reject-new", "reject", ["drop"]],
  ["ORCHESTRATORD_PLACEMENT_STRATEGY", "round-robin", "round-robin", ["best"]],
  ["ORCHESTRATORD_NODE_TIMEOUT_MS", "300000", 300_000, ["4999", "300001", "0", "soon"]],
  ["ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS", "60", 60, ["0", "61"]],
  ["ORCHD_POOL_MANAGERS", "http://a:1, http://b:1", ["http://a:1", "http://b:1"], ["a:1", ","]],
  ["ORCHD_POOL_POLL_INTERVAL_MS", "100", 100, ["99", "60001"]],
  ["ORCHD_HANDOFF_WATCH_INTERVAL_MS", "10000", 10_000, ["99", "10001"]],
  ["ORCHD_LLAMACPP_URL", "http://127.0.0.1:9", "http://127.0.0.1:9", ["127.0.0.1:9"]],
  ["ORCHD_SSE_HEARTBEAT_MS", "0", 0, ["-1"]],
  ["CANCEL_ON_DISCONNECT", "0", false, ["no"]],
  ["ORCHD_CORS_ORIGINS", "https://a.example", ["https://a.example"], ["*", "https://a.example/path"]],
  ["ORCHD_LOG_FORMAT", "pretty", "pretty", ["xml"]],
  ["LLORCH_LOG", "trace", "trace", ["loud"]],
  ["PROMETHEUS_METRICS_PORT", "9090", 9090, ["0", "65536"]],
  ["LLORCH_ALLOW_CPU", "on", true, ["2"]],
  ["POOL_MANAGERD_POOLS", "a,b", ["a", "b"], ["a b", "a,a"]],
  ["POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", "1", 1, ["0", "61"]],
  ["POOL_MANAGERD_WATCH_INTERVAL_MS", "100", 100, ["99"]],
  ["POOL_MANAGERD_GPU_DISCOVERY_INTERVAL_MS", "60000", 60_000, ["999", "60001"]],
  ["ENGINE_PROVISIONER_GPU_MASK", "0,1", "0,1", ["all"]],
];

for (const [name, good, value, bad] of table) {
  test(`${name} becomes its value, and text outside its range is refused under its name`, () => {
    const row = rows.find(([canonical, { aliases }]) => [canonical, ...aliases].includes(name))?.[1];
    const file = { pools: [{ ...pool, allow_cpu: name !== "LLORCH_ALLOW_CPU" }] };
    const accepted = resolveConfig({ file, environment: { ...base, [name]: good } });
    assert.ok(accepted.ok);
    assert.deepEqual(valueAt(accepted.config, (row?.sets ?? "").replace("[]", "[0]")), value);
    for (const text of bad) {
      const refused = resolveConfig({ file: {}, environment: { ...base, [name]: text } });
      assert.ok(!refused.ok, text);
      assert.ok(
        refused.problems.length > 0 && refused.problems.every((each) => each.path.startsWith(name)),
        text,
      );
    }
  });
}
