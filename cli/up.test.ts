import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LogRecord, parser } from "@llama-orch/contract";
import { selfSigned } from "@llama-orch/orchestratord/fixtures/self-signed";
import { createClient } from "@llama-orch/sdk";
import { Interrupted } from "./failure.ts";
import { installationStarter } from "./up.ts";
import type { UpWish } from "./up-command.ts";

const program = join(import.meta.dirname, "llorch.js");

function startUp(t: TestContext, ...args: string[]) {
  const dataDir = mkdtempSync(join(tmpdir(), "llorch-up-"));
  const child = spawn(process.execPath, [program, "up", "--port", "0", "--data-dir", dataDir, ...args]);
  const said = { err: "" };
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    said.err += part;
  });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(dataDir, { recursive: true, force: true });
  });
  const line = once(child.stdout.setEncoding("utf8"), "data").then(([text]) => text as string);
  return { child, dataDir, said, line, closed: once(child, "close") };
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "llorch-up-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What `--config` names, with one pool of the demo model unless it says otherwise. */
function configFile(t: TestContext, config: object): string {
  const file = join(temporaryFolder(t), "pools.json");
  const pools = [{ id: "a", engine: "llamacpp", model: "haiku", devices: [], allow_cpu: true }];
  writeFileSync(file, JSON.stringify({ pools, ...config }));
  return file;
}

/** The starter of the program, in this process. */
function starting(t: TestContext, more: Partial<UpWish>, signal = new AbortController().signal) {
  const wish = {
    ...{ port: 0, dataDir: temporaryFolder(t), shutdownMs: 0 },
    onProgress: () => undefined,
    onWarning: () => undefined,
  };
  return installationStarter({ PATH: process.env.PATH })({ ...wish, ...more }, signal);
}

test("with a certificate of one's own making up serves, and says whom to trust", async (t) => {
  const folder = temporaryFolder(t);
  const tls = { cert_file: join(folder, "cert.pem"), key_file: join(folder, "key.pem") };
  writeFileSync(tls.cert_file, selfSigned.cert);
  writeFileSync(tls.key_file, selfSigned.key);
  const installation = await starting(t, { configFile: configFile(t, { tls }) });
  t.after(() => installation.stop(AbortSignal.abort()));
  assert.match(installation.urls.orchestrator, /^https:/);
  assert.equal(installation.certificate, tls.cert_file);
  assert.deepEqual(installation.pools, [
    { id: "a", model: "haiku", engine: "llamacpp", where: "on the CPU, as configured", serves: true },
  ]);
});

test("a Ctrl-C while the orchestrator takes the engines in ends the start as what it is", async (t) => {
  const leaving = new AbortController();
  const onProgress = (text: string) => {
    // The engines are up from this turn on; the orchestrator has yet to ask them.
    if (text.endsWith("is ready")) setImmediate(() => leaving.abort(new Interrupted()));
  };
  const wish = { configFile: configFile(t, {}), onProgress };
  await assert.rejects(starting(t, wish, leaving.signal), Interrupted);
});

test("an engine that cannot start ends up at once, with the reason", async (t) => {
  const pools = [{ id: "a", engine: "llamacpp", model: "/nowhere/m.gguf", devices: [], allow_cpu: true }];
  const { said, closed } = startUp(t, "--config", configFile(t, { pools }));
  assert.deepEqual(await closed, [1, null]);
  assert.match(said.err, /Pool a does not start: .*is not at \/nowhere\/m\.gguf; put the GGUF file there/);
});

test("an address of another machine, a taken port and a missing certificate are sentences with exit code 2", async (t) => {
  const auth = { bind_addr: "192.0.2.1:8080", token: "0123456789abcdef" };
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const tls = { cert_file: "/nowhere/cert.pem", key_file: "/nowhere/key.pem" };
  const refused: [string[], RegExp][] = [
    [
      ["--config", configFile(t, { auth }), "--port", "8080"],
      /^llorch: 192\.0\.2\.1:8080 is no address of this machine; /m,
    ],
    [["--port", `${port}`], new RegExp(`^llorch: Port ${port} is taken by .*pid ${process.pid}`, "m")],
    [["--config", configFile(t, { tls })], /^llorch: .*\/nowhere\/cert\.pem/m],
  ];
  for (const [args, says] of refused) {
    const { said, closed } = startUp(t, ...args);
    assert.deepEqual(await closed, [2, null], said.err);
    assert.match(said.err, says);
    assert.doesNotMatch(said.err, /\n {4}at /);
  }
});

test("up serves the demo model and leaves no process behind after Ctrl-C", async (t) => {
  const { child, dataDir, line, closed } = startUp(t, "--json");
  const { urls, pids } = JSON.parse(await line);
  assert.equal(pids.llorch, child.pid);
  assert.equal(Object.keys(pids).length, 3, "itself and two replicas");
  const messages = [{ role: "user" as const, content: "Write a haiku about the moon." }];
  const client = createClient({ baseUrl: urls.orchestrator });
  const wish = { model_ref: "haiku", max_tokens: 48, deadline_ms: 60_000, messages };
  let text = "";
  for await (const { event, data } of client.run(wish)) {
    if (event === "token") text += data.t;
    assert.notEqual(event, "error", JSON.stringify(data));
  }
  assert.equal(text.trim().split("\n").length, 3, text);
  child.kill("SIGINT");
  assert.deepEqual(await closed, [0, null]);
  for (const pid of Object.values<number>(pids)) {
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" }, `process ${pid} still runs`);
  }
  const lines = readFileSync(join(dataDir, "up.log"), "utf8").trimEnd().split("\n");
  const records = lines.map((each) => parser(LogRecord)(JSON.parse(each)));
  assert.deepEqual([...new Set(records.map(({ service }) => service))], ["orchestratord", "pool-managerd"]);
});

test("a second up is told at once who has directory and port, and how to start beside it", async (t) => {
  const dataDir = temporaryFolder(t);
  const installation = await starting(t, { dataDir, configFile: configFile(t, { pools: [] }) });
  t.after(() => installation.stop(AbortSignal.abort()));
  const { port } = new URL(installation.urls.orchestrator);
  const { said, closed } = startUp(t, "--port", port, "--data-dir", dataDir);
  assert.deepEqual(await closed, [2, null], said.err);
  const first = `The data directory ${dataDir} is in use by process ${process.pid}, and port ${port} is taken by `;
  assert.ok(said.err.includes(first), said.err);
  assert.ok(said.err.includes(`(pid ${process.pid})`), said.err);
  const beside = /`npm run up -- --port (\d+) --data-dir (\S+)`\.$/m.exec(said.err);
  assert.ok(beside !== null && beside[1] !== port && beside[2] !== dataDir, said.err);
});

test("a configuration that is wrong is refused with every problem and exit code 2", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "llorch-up-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "pools.yaml");
  writeFileSync(
    file,
    "pools:\n  - id: a\n    engine: llamacp\n    model: haiku\n    devices: []\nshutdown: 1\n",
  );
  const { said, closed } = startUp(t, "--config", file);
  assert.deepEqual(await closed, [2, null]);
  assert.match(said.err, /pools\[0\]\.engine/);
  assert.match(said.err, /shutdown/);
});
