import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveConfig } from "./config/resolve.ts";
import { parseHeartbeat, parseNodeRegistration } from "./node.ts";

const pool = {
  pool_id: "p",
  ready: true,
  draining: false,
  slots_free: 1,
  slots_total: 2,
  vram_free_bytes: 0,
};
const registration = {
  node_id: "attic",
  machine_id: "8d1c",
  address: "http://10.0.0.7:9200",
  pools: ["p"],
  capabilities: {},
};

test("a heartbeat that names no models has none", () => {
  const said = { ...pool, models_available: ["haiku"] };
  const { pools } = parseHeartbeat({ timestamp: "2026-01-31T12:00:00Z", pools: [pool, said] });
  assert.deepEqual(pools, [{ ...pool, models_available: [] }, said]);
});

test("a heartbeat has a time that exists", () => {
  for (const timestamp of [
    "2026-12-31T23:59:60Z",
    "2024-02-29t00:00:00.123z",
    "2000-02-29T00:00:00+05:30",
    "2026-04-30T00:00:00-23:59",
  ]) {
    assert.equal(parseHeartbeat({ timestamp, pools: [] }).timestamp, timestamp);
  }
  for (const timestamp of [
    "2026-99-99T99:99:99Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00",
  ]) {
    assert.throws(() => parseHeartbeat({ timestamp, pools: [] }), /timestamp: given .* RFC 3339/, timestamp);
  }
});

test("a pool of a heartbeat cannot have more free slots than slots", () => {
  assert.throws(
    () => parseHeartbeat({ timestamp: "2026-01-31T12:00:00Z", pools: [pool, { ...pool, slots_free: 3 }] }),
    /pools\[1\]\.slots_free: given 3; accepted: at most slots_total, which is 2/,
  );
});

test("a node registers under exactly the addresses that its configuration takes", () => {
  const rows: [address: string, fits: boolean][] = [
    ["http://10.0.0.7:9200", true],
    ["https://node.example", true],
    ["https://[::1]:9200/", true],
    ["http://h:1/pm", false],
    ["http://u:pw@h:1", false],
    ["http://h:0", false],
    ["h:9200", false],
  ];
  for (const [address, fits] of rows) {
    const configured = resolveConfig({ environment: { POOL_MANAGERD_ADDRESS: address } });
    assert.equal(configured.ok, fits, address);
    assert.equal(parseNodeRegistration.problems({ ...registration, address }).length === 0, fits, address);
  }
});

test("a newer node may say more about itself than is known here", () => {
  const capabilities = { cpu_cores: 4, npu: { tops: 40 }, gpus: [] };
  assert.deepEqual(parseNodeRegistration({ ...registration, capabilities }).capabilities, capabilities);
});
