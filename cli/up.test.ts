import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createClient } from "@llama-orch/sdk";

const program = join(import.meta.dirname, "llorch.ts");

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

test("up serves the demo model and leaves no process behind after Ctrl-C", async (t) => {
  const { child, line, closed } = startUp(t, "--json");
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
