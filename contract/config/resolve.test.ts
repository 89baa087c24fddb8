import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { problemText } from "../problem.ts";
import { orchestratordConfig, poolManagerdConfig } from "./config.ts";
import { environment } from "./environment.ts";
import { apiKeyEntry } from "./network.ts";
import { type ConfigInput, type RefusedConfig, type ResolvedConfig, resolveConfig } from "./resolve.ts";

const pool = { id: "chat", engine: "llamacpp", model: "file:m.gguf", devices: [0] };
const token = "hunter2-hunter2-hunter2";

function resolved(input: ConfigInput): ResolvedConfig {
  const result = resolveConfig(input);
  assert.ok(result.ok, result.ok ? "" : result.problems.map(problemText).join("\n"));
  return result;
}

function refused(input: ConfigInput): RefusedConfig {
  const result = resolveConfig(input);
  assert.ok(!result.ok, "the configuration was accepted");
  return result;
}

test("without any input every value is there and a default", () => {
  const { config, origins, warnings } = resolved({});
  assert.equal(config.auth.bind_addr, "127.0.0.1:8080");
  assert.equal(config.catalog.trust_policy.mode, "permissive");
  assert.deepEqual(config.node.pools, ["pool-0"]);
  assert.deepEqual(new Set(origins.values()), new Set(["default"]));
  assert.deepEqual(warnings, []);
});

test("five mistakes give five problems, each with path, what was given and what is accepted", () => {
  const { problems } = refused({
    file: {
      pools: [
        { ...pool, devices: undefined, timeouts: { idle_ms: 900, wall_ms: 300 } },
        { ...pool, id: "two", queue: { capacity: 0 } },
      ],
      sesion: {},
    },
    environment: { ORCHESTRATORD_NODE_TIMEOUT_MS: "soon" },
  });
  assert.deepEqual(problems.map(problemText).sort(), [
    'ORCHESTRATORD_NODE_TIMEOUT_MS: given "soon"; accepted: an integer 5000..300000.',
    "pools[0].devices: given nothing; accepted: a list of at most 64 items, each an integer 0..1023, " +
      "none twice.",
    "pools[0].timeouts.idle_ms: given 900; accepted: an integer of at most wall_ms, which is 300.",
    "pools[1].queue.capacity: given 0; accepted: an integer 1..10000.",
    "sesion: given an unknown key; accepted: session (did you mean that?).",
  ]);
});

test("one mistake hides no other: rules still judge what the mistake does not touch", () => {
  const { problems } = refused({
    file: { pools: ["x", { ...pool, queue: 7 }, { ...pool, id: "cpu", devices: [] }], auth: 3, nodes: null },
  });
  assert.deepEqual(problems.map((each) => each.path).sort(), [
    "auth",
    "nodes",
    "pools[0]",
    "pools[1].queue",
    "pools[2].devices",
  ]);
});

for (const file of ["text", 7, [], true]) {
  test(`a file that is ${JSON.stringify(file)} is refused as a whole`, () => {
    assert.deepEqual(
      refused({ file }).problems.map((each) => each.path),
      ["The file"],
    );
  });
}

test("an unknown key is a problem in strict mode, and a warning and left out in compat mode", () => {
  const file = { pools: [{ ...pool, colour: "red" }] };
  assert.deepEqual(
    refused({ file }).problems.map((each) => each.path),
    ["pools[0].colour"],
  );
  for (const compat of [{ mode: "compat" as const }, { environment: { LLORCH_CONFIG_MODE: "compat" } }]) {
    const { config, warnings } = resolved({ file, ...compat });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] as string, /^pools\[0\]\.colour: .*The key is ignored\.$/);
    assert.ok(!("colour" in (config.pools[0] as object)));
  }
  assert.equal(
    refused({ environment: { LLORCH_CONFIG_MODE: "lax" } }).problems[0]?.path,
    "LLORCH_CONFIG_MODE",
  );
});

const strangers = (many: number) =>
  Object.fromEntries(Array.from({ length: many }, (_, index) => [`stranger${index}`, 1]));

test("no number of unknown keys lets a wrong value through, in either mode", () => {
  const files = [
    { ...strangers(250), shutdown_ms: -5 },
    { ...strangers(199), shutdown_ms: -5, stream: { ring_bytes: 1 } },
    { shutdown_ms: -5, pools: Array.from({ length: 100 }, (_, i) => ({ ...pool, id: `p${i}`, colour: 1 })) },
  ];
  for (const file of files) {
    const strict = refused({ file, mode: "strict" }).problems;
    const compat = refused({ file, mode: "compat" }).problems;
    assert.ok(strict.some((each) => each.path === "shutdown_ms"));
    assert.ok(strict.some((each) => each.unknownKey));
    assert.equal(compat[0]?.path, "shutdown_ms");
    assert.ok(compat.every((each) => !each.unknownKey));
  }
  assert.ok(!resolveConfig({ file: strangers(250) }).ok);
  assert.deepEqual(resolved({ file: strangers(250), mode: "compat" }).config, resolved({}).config);
});

test("a value that no number can be is told by its name", () => {
  assert.equal(refused({ file: { shutdown_ms: Number.POSITIVE_INFINITY } }).problems[0]?.given, "Infinity");
});

test("a file nested without end is refused, not a crash", () => {
  let deep: unknown = 0;
  for (let level = 0; level < 20_000; level++) deep = [deep];
  const { problems } = refused({ file: { pools: deep, nodes: { pool_managers: [deep] } } });
  assert.deepEqual(
    problems.map((each) => each.path),
    ["pools[0]", "nodes.pool_managers[0]"],
  );
});

test("a later source wins: default < file < environment < flag", () => {
  const value = fc.option(fc.integer({ min: 100, max: 60_000 }), { nil: undefined });
  fc.assert(
    fc.property(value, value, value, (inFile, inEnvironment, inFlag) => {
      const { config, origins } = resolved({
        ...(inFile === undefined ? {} : { file: { nodes: { poll_interval_ms: inFile } } }),
        environment: { ORCHD_POOL_POLL_INTERVAL_MS: inEnvironment?.toString() },
        flags:
          inFlag === undefined ? {} : { "--poll": { sets: "nodes.poll_interval_ms", value: `${inFlag}` } },
      });
      assert.equal(config.nodes.poll_interval_ms, inFlag ?? inEnvironment ?? inFile ?? 5000);
      const from =
        (inFlag !== undefined && "flag --poll") ||
        (inEnvironment !== undefined && "environment ORCHD_POOL_POLL_INTERVAL_MS") ||
        (inFile !== undefined && "file") ||
        "default";
      assert.equal(origins.get("nodes.poll_interval_ms"), from);
    }),
  );
});

test("a variable for pools reaches every pool of the file and the pools that nodes announce", () => {
  const { config, announcedPool, origins } = resolved({
    file: {
      pools: [
        { ...pool, queue: { capacity: 7 } },
        { ...pool, id: "two" },
      ],
    },
    environment: { ORCHD_ADMISSION_CAPACITY: "9", ORCHD_ADMISSION_POLICY: "reject-new" },
  });
  assert.deepEqual(
    config.pools.map((each) => each.queue.capacity),
    [9, 9],
  );
  assert.equal(origins.get("pools[1].queue.capacity"), "environment ORCHD_ADMISSION_CAPACITY");
  assert.equal(announcedPool.queue.capacity, 9);
  assert.equal(announcedPool.queue.full_policy, "reject");
  assert.deepEqual(
    announcedPool.admission.priorities.map((each) => each.weight),
    [8, 1],
  );
});

test("the canonical name wins over an alias, with a warning only when they disagree", () => {
  const disagree = resolved({ environment: { ORCHD_ADDR: "127.0.0.1:1", BIND_ADDR: "127.0.0.1:2" } });
  assert.equal(disagree.config.auth.bind_addr, "127.0.0.1:1");
  assert.deepEqual(disagree.warnings, ["ORCHD_ADDR and BIND_ADDR disagree; ORCHD_ADDR is used."]);
  const agree = resolved({
    environment: { ORCHESTRATORD_CLOUD_PROFILE: "1", ORCHD_PROFILE: "cloud", AUTH_TOKEN: token },
  });
  assert.deepEqual(agree.warnings, []);
  assert.equal(agree.origins.get("auth.token"), "environment AUTH_TOKEN");
});

test("an unknown variable of ours is a warning that names the nearest known one", () => {
  const { warnings } = resolved({
    environment: { ORCHD_ADMISION_CAPACITY: "secret!", PATH: "/bin", HOME: "/" },
  });
  assert.deepEqual(warnings, [
    "ORCHD_ADMISION_CAPACITY is not a variable of llama-orch and is ignored; " +
      "the nearest one is ORCHD_ADMISSION_CAPACITY.",
  ]);
});

test("a variable with a name of a megabyte gets a short warning", () => {
  const { warnings } = resolved({ environment: { [`ORCHD_${"A".repeat(1_000_000)}`]: "1" } });
  assert.equal(warnings.length, 1);
  assert.ok((warnings[0] as string).length < 250);
});

test("an empty variable counts as not set", () => {
  const { config } = resolved({ environment: { LLORCH_API_TOKEN: "", ORCHD_ADMISSION_CAPACITY: "  " } });
  assert.equal(config.auth.token, undefined);
});

test("the cloud profile listens on every address and is strict about models", () => {
  const { config } = resolved({
    environment: { ORCHESTRATORD_CLOUD_PROFILE: "true", LLORCH_API_TOKEN: token },
  });
  assert.equal(config.auth.bind_addr, "0.0.0.0:8080");
  assert.equal(config.node.addr, "127.0.0.1:9200");
  assert.equal(config.catalog.trust_policy.mode, "strict");
  const node = resolved({
    environment: {
      POOL_MANAGERD_CLOUD_PROFILE: "true",
      LLORCH_API_TOKEN: token,
      ORCHESTRATORD_URL: "http://o:8080",
      POOL_MANAGERD_ADDRESS: "http://n:9200",
    },
  }).config;
  assert.deepEqual([node.auth.bind_addr, node.node.addr], ["127.0.0.1:8080", "0.0.0.0:9200"]);
});

test("LLORCH_ALLOW_CPU lets pools without devices serve and leaves pools with devices alone", () => {
  const { config } = resolved({
    file: { pools: [pool, { ...pool, id: "cpu", devices: [] }] },
    environment: { LLORCH_ALLOW_CPU: "1" },
  });
  assert.deepEqual(
    config.pools.map((each) => each.allow_cpu),
    [false, true],
  );
});

test("LLORCH_ALLOW_CPU may only allow: off takes back nothing that the file allows", () => {
  const file = { pools: [{ ...pool, devices: [], allow_cpu: true }] };
  const { config, origins } = resolved({ file, environment: { LLORCH_ALLOW_CPU: "0" } });
  assert.equal(config.pools[0]?.allow_cpu, true);
  assert.equal(origins.get("pools[0].allow_cpu"), "file");
  assert.match(environment.LLORCH_ALLOW_CPU.says, /may only allow/);
});

const determinismCases = [
  { name: "embedded with many slots", settings: { slots: 4 }, kind: "strict" },
  { name: "one slot of any engine", settings: { engine: "vllm" }, kind: "strict" },
  { name: "many batched slots", settings: { engine: "vllm", slots: 4 }, kind: "best_effort" },
  { name: "what the file says", settings: { determinism: "best_effort" }, kind: "best_effort" },
] as const;
for (const { name, settings, kind } of determinismCases) {
  test(`determinism of a pool: ${name} is ${kind}`, () => {
    assert.equal(
      resolved({ file: { pools: [{ ...pool, ...settings }] } }).config.pools[0]?.determinism,
      kind,
    );
  });
}

test("a home directory and a host name come from the machine, and what depends on a path follows it", () => {
  const machine = { home: "/h", hostname: "tower" };
  const { config } = resolved({ machine, environment: { ORCHD_RUNTIME_DIR: "~/run" } });
  assert.equal(config.data_dir, "/h/.local/share/llama-orch");
  assert.equal(config.artifacts.root, "/h/.local/share/llama-orch/artifacts");
  assert.equal(config.nodes.runtime_dir, "/h/run");
  assert.deepEqual([config.node.id, config.node.machine_id], ["tower", "tower"]);
});

test("a home directory may have any name", () => {
  const { config } = resolved({ machine: { home: "/h/$&$'$1", hostname: "tower" } });
  assert.equal(config.data_dir, "/h/$&$'$1/.local/share/llama-orch");
});

test("the configuration is frozen, and the input is left as it was", () => {
  const file = { pools: [{ ...pool, queue: {} }] };
  const before = JSON.stringify(file);
  const { config } = resolved({ file });
  assert.throws(() => {
    (config.pools[0] as { queue: { capacity: number } }).queue.capacity = 1;
  }, TypeError);
  assert.equal(JSON.stringify(file), before);
});

test("each daemon gets its own part", () => {
  const { config } = resolved({});
  assert.ok(!("node" in orchestratordConfig(config)));
  assert.ok(!("slo" in poolManagerdConfig(config)));
  assert.equal(poolManagerdConfig(config).node.addr, "127.0.0.1:9200");
});

test("a key may be bound to a tenant", () => {
  const { config } = resolved({ environment: { ORCHD_API_KEYS: "alone, team-a=bound" } });
  assert.deepEqual(config.auth.api_keys?.map(apiKeyEntry), [
    { key: "alone" },
    { tenant: "team-a", key: "bound" },
  ]);
});

test("a flag that sets no key is a fault of the program, not of the operator", () => {
  assert.throws(
    () => resolveConfig({ flags: { "--x": { sets: "no.such", value: 1 } } }),
    /--x sets no\.such/,
  );
});

test("no file whatever makes the resolver throw", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("pools", "auth", "node", "tenants", "x"), fc.jsonValue()),
      (file) => {
        resolveConfig({ file });
        resolveConfig({ file: { pools: [file, pool] }, mode: "compat" });
      },
    ),
  );
});
