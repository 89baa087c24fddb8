import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { OrchError, type PoolConfig, resolveConfig } from "@llama-orch/contract";
import { type ProvisionMachine, provisionLlamacpp } from "./provision.ts";

const bare: ProvisionMachine = { hasNvidiaDriver: false };
const place = { replicaId: "r0", port: 0 };
const onCpu = { id: "demo", engine: "llamacpp", model: "haiku", devices: [], allow_cpu: true, slots: 2 };

function pool(changes: object = {}): PoolConfig {
  const resolved = resolveConfig({ file: { pools: [{ ...onCpu, ...changes }] } });
  if (!resolved.ok) throw new Error(JSON.stringify(resolved.problems));
  return resolved.config.pools[0] as PoolConfig;
}

test("what it prepares starts as it says, listens as it says, and serves with the key it was given", async (t) => {
  const launch = await provisionLlamacpp.ensure(pool(), { ...place, apiKey: "secret" }, bare);
  assert.ok(!launch.args.join(" ").includes("secret"));
  const child = spawn(launch.command, launch.args, {
    cwd: launch.cwd,
    env: { ...launch.env },
    stdio: ["ignore", "ignore", "pipe", launch.ipc ? "ipc" : "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  const [line] = (await once(lines, "line")) as [string];
  const url = launch.listening.exec(line)?.[1];
  assert.ok(url);
  while ((await fetch(url + launch.healthPath)).status === 503) await new Promise((go) => setImmediate(go));
  const answer = await fetch(`${url}/props`, { headers: { Authorization: "Bearer secret" } });
  const props = (await answer.json()) as Record<string, unknown>;
  assert.deepEqual([props.total_slots, props.model_alias, props.compute], [2, "haiku", "cpu"]);
  assert.equal(props.build_info, launch.prepared.engine_version);
  assert.deepEqual([launch.prepared.compute, launch.prepared.device_mask], ["cpu", ""]);
  child.disconnect();
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("the plan names every step and the command, and throws for nothing", async () => {
  const { pool_id, steps } = await provisionLlamacpp.plan(pool(), place, bare);
  assert.equal(pool_id, "demo");
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ["preflight-tools", "preflight-tools", "model-fetch", "run"],
  );
  assert.match(steps[3]?.detail ?? "", /main\.ts --model \S+haiku\.gguf .*--slots 2 --gpu off/);
  const missing = await provisionLlamacpp.plan(pool({ model: "/nowhere/m.gguf" }), place, bare);
  assert.deepEqual(missing.steps[2]?.kind, "policy-violation");
});

test("a model is its own name for the demo, a path or a file reference", async () => {
  const pathOf = async (model: string) =>
    (await provisionLlamacpp.ensure(pool({ model }), place, bare)).prepared.model_path;
  const path = await pathOf("haiku");
  assert.ok(existsSync(path));
  assert.deepEqual(
    [await pathOf(path), await pathOf(`file:${path}`), await pathOf(`file://${path}`)],
    [path, path, path],
  );
});

test("a batched pool and a context length reach the command line, and added flags come last", async () => {
  const changes = { determinism: "best_effort", ctx: 128, provisioning: { flags: ["--threads", "1"] } };
  const { args } = await provisionLlamacpp.ensure(pool(changes), place, bare);
  assert.match(args.join(" "), /--ctx 128 --batched --threads 1$/);
});

const refusals: [string, object, ProvisionMachine, RegExp][] = [
  ["a model file that is not there", { model: "/nowhere/m.gguf" }, bare, /is not at \/nowhere\/m\.gguf; put/],
  [
    "a model that would have to be fetched",
    { model: "hf:org/model" },
    bare,
    /cannot be fetched yet; download/,
  ],
  [
    "a GPU pool on a machine without a driver, which never becomes a CPU pool",
    { devices: [0], allow_cpu: false },
    bare,
    /no NVIDIA driver is loaded; install/,
  ],
  [
    "another mode",
    { provisioning: { mode: "external", base_url: "http://127.0.0.1:1" } },
    bare,
    /mode external/,
  ],
  [
    "a split that the engine cannot make",
    { devices: [0, 1], allow_cpu: false, tensor_split: [0.5, 0.5] },
    { hasNvidiaDriver: true },
    /remove tensor_split/,
  ],
];
for (const [what, changes, machine, message] of refusals) {
  test(`it refuses ${what}, and says what to do`, async () => {
    await assert.rejects(provisionLlamacpp.ensure(pool(changes), place, machine), (error) => {
      assert.ok(error instanceof OrchError);
      assert.match(error.message, message);
      return true;
    });
  });
}
