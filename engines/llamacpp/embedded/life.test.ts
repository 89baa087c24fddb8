import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startEngine, startReadyEngine } from "./fixtures/started-engine.ts";

test("it listens before the model is loaded, says so on every path, and writes one line", async (t) => {
  const engine = await startEngine();
  t.after(() => engine.stop());
  for (const path of ["/health", "/props", "/nothing"]) {
    const { status, json } = await engine.get(path);
    assert.equal(status, 503);
    assert.deepEqual(json.error, { code: 503, message: "Loading model", type: "unavailable_error" });
  }
  await engine.ready();
  assert.deepEqual((await engine.get("/health")).json, { status: "ok" });
  assert.equal(engine.lines.length, 1);
  assert.match(engine.lines[0] as string, /^listening on http:\/\/127\.0\.0\.1:\d+$/);
});

test("with an API key only health answers without it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-key-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "keys"), "one\ntwo\n");
  const flags = ["--api-key-file", join(folder, "keys")];
  const engine = await startReadyEngine({ flags, env: { LLAMA_API_KEY: "of the environment" } });
  t.after(() => engine.stop());
  const status = async (headers?: Record<string, string>) => (await engine.get("/props", headers)).status;
  assert.deepEqual(
    [
      await status(),
      await status({ Authorization: "Bearer three" }),
      await status({ Authorization: "Bearer one" }),
    ],
    [401, 401, 200],
  );
  assert.equal(await status({ "X-Api-Key": "two" }), 200);
  const { json } = await engine.get("/props");
  assert.deepEqual(json.error, { code: 401, message: "Invalid API Key", type: "authentication_error" });
});

test("a signal cuts its streams and ends it with 0 within a second", async () => {
  const engine = await startReadyEngine({ flags: ["--ctx", "16384"] });
  const schema = { type: "array", items: { const: "a long while" }, minItems: 900 };
  const body = JSON.stringify({ prompt: "rain", stream: true, json_schema: schema });
  const response = await fetch(`${engine.url}/completion`, { method: "POST", body });
  const reading = response.text();
  const startedAt = performance.now();
  const exit = once(engine.child, "exit");
  engine.child.kill("SIGTERM");
  await assert.rejects(reading);
  assert.deepEqual(await exit, [0, null]);
  assert.ok(performance.now() - startedAt < 1000);
});

test("it leaves when its parent closes the IPC channel, or its end of stdin", async () => {
  const byChannel = await startReadyEngine({ ipc: true });
  const exits = [once(byChannel.child, "exit")];
  byChannel.child.disconnect();
  const byPipe = await startEngine();
  exits.push(once(byPipe.child, "exit"));
  byPipe.child.stdin?.end();
  assert.deepEqual(await Promise.all(exits), [
    [0, null],
    [0, null],
  ]);
});

test("it takes nothing from the variables of a llama.cpp installation", async (t) => {
  const env = { LLAMA_ARG_MODEL: "/nowhere.gguf", LLAMA_ARG_CTX_SIZE: "64", LLAMA_ARG_N_PARALLEL: "3" };
  const engine = await startReadyEngine({ env });
  t.after(() => engine.stop());
  const { json } = await engine.get("/props");
  assert.deepEqual([json.total_slots, json.default_generation_settings.n_ctx], [1, 256]);
});

const failures: [string, string[], RegExp][] = [
  [
    "a model that is not there",
    ["--model", "/nowhere/at/all.gguf"],
    /all\.gguf[\s\S]*exiting due to model loading error/,
  ],
  ["a flag that it does not know", ["--model", "m", "--frobnicate"], /--frobnicate/],
  ["a number out of range", ["--model", "m", "--slots", "0"], /--slots 0 is not an integer from 1/],
  ["no model at all", [], /Name the model: --model PATH/],
];
for (const [what, flags, message] of failures) {
  test(`${what} ends it with 1 and a sentence`, async () => {
    const [code, text] = await run(flags);
    assert.equal(code, 1);
    assert.match(text, message);
  });
}

test("asked for CUDA it never falls back to the CPU", async (t) => {
  const haiku = new URL("../../../models/haiku/haiku.gguf", import.meta.url).pathname;
  // No device is visible, so this holds on machines with a GPU too.
  const [code, text] = await run(["--model", haiku, "--gpu", "cuda"], { CUDA_VISIBLE_DEVICES: "" }, t.signal);
  assert.equal(code, 1);
  assert.match(text, /CUDA cannot be used here[\s\S]*exiting due to model loading error/);
});

async function run(flags: string[], env: object = {}, signal?: AbortSignal): Promise<[number, string]> {
  const program = new URL("main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, ...flags], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
    ...(signal === undefined ? {} : { signal }),
  });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(child, "close");
  return [code, text];
}
