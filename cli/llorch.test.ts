import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { WireServer } from "@llama-orch/sdk/fixtures/wire-server";

const program = join(import.meta.dirname, "llorch.js");

function start(env: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ...env } });
  const heard = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (part: string) => (heard.out += part));
  child.stderr.setEncoding("utf8").on("data", (part: string) => (heard.err += part));
  const ended = once(child, "close").then(([code]) => ({ code: code as number, ...heard }));
  return { child, ended };
}

const token = 'event: token\ndata: {"t":"Moon","i":0}\n\n';
const end = 'event: end\ndata: {"tokens_out":1,"decode_time_ms":1,"decode_ms":1}\n\n';

test("the program takes its address and credentials from the environment, and prints no colours to a pipe", async () => {
  await using server = await WireServer.start();
  const env = { LLORCH_URL: server.url, LLORCH_API_TOKEN: "t".repeat(16), LLORCH_API_KEY: "k" };
  const { code, out } = await start(env, "pools").ended;
  assert.equal(code, 0);
  assert.match(out, /^POOL /);
  assert.ok(!out.includes("\u001b"));
  const { headers } = server.calls[0] ?? assert.fail("nothing was asked");
  assert.equal(headers.authorization, `Bearer ${"t".repeat(16)}`);
  assert.equal(headers["x-api-key"], "k");
});

test("a SIGINT cancels the running task and the program ends with 130", async () => {
  await using server = await WireServer.start();
  server.answer("streamTask", (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" }).write(token);
  });
  const { child, ended } = start({ LLORCH_URL: server.url }, "run", "Write.");
  await once(child.stdout, "data");
  child.kill("SIGINT");
  const { code, out } = await ended;
  assert.equal(code, 130);
  assert.equal(out, "Moon");
  assert.equal(server.callsOf("cancelTask").length, 1);
});

test("a reader that goes away early ends the task and leaves no error behind", async () => {
  await using server = await WireServer.start();
  let more: () => void = () => undefined;
  server.answer("streamTask", (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" }).write(token);
    more = () => void response.write(token.replace('"i":0', '"i":1'));
  });
  const { child, ended } = start({ LLORCH_URL: server.url }, "run", "Write.");
  await once(child.stdout, "data");
  child.stdout.destroy();
  more();
  const { code, err } = await ended;
  assert.equal(code, 141);
  assert.equal(err, "");
  assert.equal(server.callsOf("cancelTask").length, 1);
});

test("output that cannot be written is a failure that is said", {
  skip: !existsSync("/dev/full"),
}, async (t) => {
  await using server = await WireServer.start();
  const full = openSync("/dev/full", "w");
  t.after(() => closeSync(full));
  server.answer("streamTask", (_, response) => void response.end(token + end));
  for (const args of [["pools"], ["--json", "pools"], ["run", "Write."]]) {
    const child = spawn(process.execPath, [program, "--url", server.url, ...args], {
      stdio: ["ignore", full, "pipe"],
    });
    const said = text(child.stderr as NodeJS.ReadableStream);
    assert.deepEqual(await once(child, "close"), [1, null]);
    assert.match(await said, /^(llorch: |\{"error":\{"message":")The output cannot be written: .*ENOSPC/);
  }
});

test("a run without a line break at its end gets one", async () => {
  await using server = await WireServer.start();
  server.answer("streamTask", (_, response) => void response.end(token + end));
  const { code, out } = await start({}, "--url", server.url, "run", "Write.").ended;
  assert.equal(code, 0);
  assert.equal(out, "Moon\n");
});
