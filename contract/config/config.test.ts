import assert from "node:assert/strict";
import { test } from "node:test";
import { parser } from "../parse.ts";
import { problemText } from "../problem.ts";
import { ConfigFile } from "./config.ts";
import { type Key, keyAt, wholeFile } from "./keys.ts";

const pool = { id: "chat", engine: "llamacpp", model: "file:m.gguf", devices: [0] };
const withPool = (settings: object) => ({ pools: [{ ...pool, ...settings }] });
const { problems } = parser(ConfigFile);

/** Each row: a key, values it takes, values it refuses. A value `undefined` leaves the key out. */
const table: readonly [title: string, path: string, good: readonly unknown[], bad: readonly unknown[]][] = [
  ["a pool needs an id [OC-CONFIG-6003]", "pools[].id", ["chat"], [undefined, "", "a b", 7]],
  [
    "a pool needs an engine [OC-CONFIG-6003]",
    "pools[].engine",
    ["llamacpp", "vllm", "tgi", "triton"],
    [undefined, "ollama"],
  ],
  ["a pool needs a model [OC-CONFIG-6003]", "pools[].model", ["hf:a/b"], [undefined, ""]],
  [
    "devices are unique and not negative [OC-CONFIG-6003]",
    "pools[].devices",
    [[0], [0, 3], []],
    [undefined, [-1], [0, 0], [0.5], "0"],
  ],
  [
    "queue.capacity is 1..10000 [OC-CONFIG-6004]",
    "pools[].queue.capacity",
    [1, 10_000],
    [0, 10_001, 1.5, "9"],
  ],
  [
    "queue.full_policy is one of four words [OC-CONFIG-6004]",
    "pools[].queue.full_policy",
    ["reject", "drop-lru", "shed-low-priority", "reject-new"],
    ["drop", null],
  ],
  [
    "a class has a known name and positive integers [OC-CONFIG-6005]",
    "pools[].admission.priorities",
    [[{ name: "interactive", queue_capacity: 1, rate_limit_rps: 1, weight: 1 }], [{ name: "batch" }]],
    [
      [{ name: "urgent" }],
      [{}],
      [{ name: "batch", weight: 0 }],
      [{ name: "batch", rate_limit_rps: 0.5 }],
      [{ name: "batch", queue_capacity: -1 }],
    ],
  ],
  ["fairness.kind is wfq [OC-CONFIG-6006]", "pools[].admission.fairness.kind", ["wfq"], ["drr"]],
  [
    "a tenant has an id, a weight and limits [OC-CONFIG-6006]",
    "pools[].admission.fairness.tenants",
    [[{ id: "a", weight: 1, max_concurrent: 1, rps: 1, max_memory_bytes: 1 }]],
    [[{}], [{ id: "a", weight: 0 }], [{ id: "a", rps: -1 }], [{ id: "a", colour: 1 }]],
  ],
  ["timeouts are positive [OC-CONFIG-6008]", "pools[].timeouts.idle_ms", [1], [0, -1]],
  [
    "trust_policy.mode is strict or permissive [OC-CONFIG-6009]",
    "catalog.trust_policy.mode",
    ["strict", "permissive"],
    ["lax"],
  ],
  [
    "trust_policy.allowed_registries is a list [OC-CONFIG-6009]",
    "catalog.trust_policy.allowed_registries",
    [["hf.co"], []],
    ["hf.co"],
  ],
  [
    "trust_policy.require_signature is a switch [OC-CONFIG-6009]",
    "catalog.trust_policy.require_signature",
    [true],
    ["yes"],
  ],
  [
    "trust_policy.require_sbom is a switch [OC-CONFIG-6009]",
    "catalog.trust_policy.require_sbom",
    [false],
    [1],
  ],
  [
    "trust_policy.ca_roots is a list of files [OC-CONFIG-6009]",
    "catalog.trust_policy.ca_roots",
    [["/ca.pem"]],
    ["/ca.pem"],
  ],
  [
    "provisioning.mode is one of six words [OC-CONFIG-6020]",
    "pools[].provisioning.mode",
    ["embedded", "external", "source", "container", "package", "binary"],
    ["docker"],
  ],
  [
    "engine id and version can be pinned [OC-CONFIG-6021]",
    "pools[].provisioning.engine",
    [{ id: "llamacpp:b1@sha256:0", version: "b1" }, {}],
    [{ id: 7 }, "b1"],
  ],
  [
    "a model has ref, cache_dir and maybe a checksum [OC-CONFIG-6026]",
    "pools[].provisioning.model",
    [{ ref: "hf:a/b", cache_dir: "/m", checksum: `sha256:${"0".repeat(64)}` }, { ref: "hf:a/b" }],
    [{ cache_dir: "/m" }, { ref: "hf:a/b", checksum: "sha256:0" }],
  ],
  [
    "the bind address is host:port [OC-CONFIG-6030]",
    "auth.bind_addr",
    ["127.0.0.1:8080", "localhost:0", "[::1]:65535"],
    ["8080", "h:65536", "h:", "::1:80"],
  ],
  [
    "the token may stand in the file [OC-CONFIG-6030]",
    "auth.token",
    ["0123456789abcdef"],
    ["0123456789abcde", "0123456789 abcdef"],
  ],
  ["auth_optional is a switch [OC-CONFIG-6030]", "auth.auth_optional", [true, false], ["true"]],
  [
    "trust_proxy_auth exists, and only false is accepted [OC-CONFIG-6030]",
    "auth.trust_proxy_auth",
    [false],
    [true],
  ],
  [
    "preemption.mode is disabled, soft or hard [ORCH-3088]",
    "pools[].preemption.mode",
    ["disabled", "soft", "hard"],
    ["on", null],
  ],
  [
    "canary.percent is 0..100",
    "pools[].canary",
    [
      { model: "m", percent: 0 },
      { model: "m", percent: 100 },
    ],
    [{ percent: 5 }, { model: "m", percent: 101 }],
  ],
];

const place = (path: string, value: unknown) => {
  const [first = "", ...rest] = path.replace("pools[].", "").split(".").reverse();
  const nested = rest.reduce<object>((inner, name) => ({ [name]: inner }), { [first]: value });
  return path.startsWith("pools[]") ? withPool(nested) : nested;
};

for (const [title, path, good, bad] of table) {
  test(title, () => {
    for (const value of good) assert.deepEqual(problems(place(path, value)), [], JSON.stringify(value));
    for (const value of bad) {
      const [first, ...others] = problems(place(path, value));
      assert.ok(first?.path.startsWith(path.replace("[]", "[0]")), JSON.stringify(value));
      assert.deepEqual(others, []);
    }
  });
}

const defaults: readonly [path: string, value: unknown][] = [
  ["pools[].queue.capacity", 100],
  ["pools[].queue.full_policy", "reject"],
  ["pools[].queue.max_body_bytes", 268_435_456],
  ["pools[].preemption.mode", "disabled"],
  ["pools[].scheduling.policy", "weighted"],
  ["pools[].timeouts.idle_ms", 5000],
  ["pools[].preload", true],
  ["auth.auth_optional", false],
  ["auth.trust_proxy_auth", false],
  ["gateway.addr", "127.0.0.1:8081"],
  ["session.ttl_ms", 600_000],
  ["session.max_turns", 8],
  ["session.cost_per_token", 0.000002],
  ["session.max_live", 100_000],
  ["stream.disconnect_grace_ms", 5000],
  ["stream.heartbeat_ms", 15_000],
  ["stream.ring_bytes", 65_536],
  ["stream.reader_stall_ms", 30_000],
  ["shutdown_ms", 30_000],
  ["retention.transcripts_ms", 86_400_000],
  ["retention.transcripts_bytes", 1_073_741_824],
  ["retention.uploads_bytes", 10_737_418_240],
  ["retention.streams_ms", 600_000],
  ["retention.idempotency_ms", 86_400_000],
  ["retention.ended_tasks", 1_000_000],
  ["journal.max_bytes", 268_435_456],
  ["placement.strategy", "least-loaded"],
  ["placement.cache_ttl_ms", 10_000],
  ["policy.time_ms", 10],
  ["policy.memory_mib", 16],
  ["nodes.timeout_ms", 30_000],
];
for (const [path, value] of defaults) {
  test(`the default of ${path} is ${JSON.stringify(value)}`, () =>
    assert.deepEqual(keyAt(path)?.default, value));
}

function* everyKey(schema: Key, path = ""): Generator<[string, Key]> {
  for (const [name, key] of Object.entries(schema.properties ?? {})) {
    yield [`${path}${name}`, key];
    yield* everyKey(key.items ?? key, `${path}${name}.`);
  }
}

test("every key says in one sentence what it does, and every object is closed", () => {
  for (const [path, key] of everyKey(wholeFile)) {
    assert.match(key.description ?? "", /^[a-zA-Z].*[A-Za-z0-9]\.$/, path);
    const objects = [key, key.items].filter((each) => each?.properties !== undefined);
    for (const each of objects)
      assert.equal((each as { additionalProperties?: unknown }).additionalProperties, false, path);
  }
});

test("every default is accepted by its own key", () => {
  for (const [path, key] of everyKey(wholeFile)) {
    if ("default" in key) assert.deepEqual(parser(key).problems(key.default).map(problemText), [], path);
  }
});
