import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { parseTaskRequest } from "@llama-orch/contract";
import type { Context } from "./context.ts";
import { fileInspector } from "./doctor/inspector.ts";
import { Interrupted } from "./failure.ts";
import { MemoryTerminal } from "./fixtures/memory-terminal.ts";
import {
  bannerText,
  curlLines,
  type Installation,
  runUp,
  TakenFolder,
  takenPort,
  type UpWish,
} from "./up-command.ts";

const demo = { id: "demo", model: "haiku", engine: "llamacpp", where: "on the CPU", serves: true };
const installation: Installation = {
  urls: { orchestrator: "http://127.0.0.1:8090" },
  pids: { llorch: 1, "demo/r0": 2 },
  pools: [demo],
  stop: async () => undefined,
};

function contextOn(terminal: MemoryTerminal, json = false): Context {
  const settings = {
    dataDir: "",
    isDumbTerminal: false,
    listenAddress: undefined,
    programFolders: [],
    libraryFolders: [],
  };
  return {
    terminal,
    json,
    settings: { url: undefined, token: undefined, apiKey: undefined, ...settings },
    client: () => assert.fail("up asks no server"),
  };
}

test("up says where it is, and that it runs on the CPU when it does", async () => {
  const terminal = new MemoryTerminal();
  const wishes: UpWish[] = [];
  const parts = {
    inspector: fileInspector(),
    start: async (wish: UpWish) => {
      wishes.push(wish);
      return installation;
    },
  };
  const running = runUp(
    contextOn(terminal),
    { port: 8090, gateway: false, dataDir: "/d", config: "c.json" },
    parts,
  );
  await terminal.out.shows("Ctrl-C stops it.");
  terminal.interrupt();
  await running;
  const [{ port, dataDir, configFile, shutdownMs } = assert.fail()] = wishes;
  assert.deepEqual([port, dataDir, configFile, shutdownMs], [8090, "/d", "c.json", 2000]);
  assert.match(terminal.out.text, /Orchestrator {2}http:\/\/127\.0\.0\.1:8090\n/);
  assert.match(terminal.out.text, /Pool demo {5}haiku, on the CPU\n/);
  assert.equal(terminal.listeners, 0);
});

test("every pool is named, and a curl is printed for one that serves or for none", () => {
  const { out } = new MemoryTerminal();
  const waits = { ...demo, id: "chat", model: "it's.gguf", where: "on the GPU", serves: false };
  const two = bannerText({ ...installation, pools: [waits, demo] }, out);
  assert.match(two, /Pool chat {5}it's\.gguf, on the GPU; it does not serve yet\n {2}Pool demo {5}haiku, on/);
  assert.match(two, /"model_ref":"haiku"/);
  const named = bannerText({ ...installation, pools: [{ ...waits, serves: true }] }, out);
  assert.ok(named.includes(String.raw`"model_ref":"it'\''s.gguf"`));
  assert.ok(named.includes(String.raw`--model 'it'\''s.gguf'`));
  const none = bannerText({ ...installation, pools: [] }, out);
  assert.match(none, /Pools {9}none; name them in a file, and pass it with --config/);
  for (const text of [none, bannerText({ ...installation, pools: [waits] }, out)]) {
    assert.doesNotMatch(text, /curl|Try it/);
  }
});

test("with --json warnings are JSON and progress is not told", async () => {
  const terminal = new MemoryTerminal();
  const start = async ({ onProgress, onWarning }: UpWish) => {
    onProgress("Starting: demo/r0 is loading");
    onWarning("Odd.");
    throw new Interrupted();
  };
  const running = runUp(contextOn(terminal, true), {}, { inspector: fileInspector(), start });
  await assert.rejects(running, Interrupted);
  assert.equal(terminal.err.text, '{"warning":{"message":"Odd."}}\n');
});

test("with --json up prints one line with the URLs and pids once it serves", async () => {
  const terminal = new MemoryTerminal();
  const running = runUp(
    contextOn(terminal, true),
    {},
    { inspector: fileInspector(), start: async () => installation },
  );
  await terminal.out.shows("\n");
  terminal.interrupt();
  await running;
  const { urls, pids } = installation;
  assert.deepEqual(terminal.out.text, `${JSON.stringify({ urls, pids })}\n`);
});

test("the first Ctrl-C stops politely, the second at once", async () => {
  const terminal = new MemoryTerminal();
  const stopping = Promise.withResolvers<AbortSignal>();
  const hurried = Promise.withResolvers<void>();
  const start = async () => ({
    ...installation,
    stop(atOnce: AbortSignal) {
      stopping.resolve(atOnce);
      atOnce.addEventListener("abort", () => hurried.resolve());
      return hurried.promise;
    },
  });
  const running = runUp(contextOn(terminal), {}, { inspector: fileInspector(), start });
  await terminal.out.shows("Ctrl-C stops it.");
  terminal.interrupt();
  const atOnce = await stopping.promise;
  assert.equal(atOnce.aborted, false);
  terminal.interrupt();
  await running;
  assert.equal(atOnce.aborted, true);
});

test("a Ctrl-C while it still starts is not lost", async () => {
  const terminal = new MemoryTerminal();
  const start = (_: UpWish, signal: AbortSignal) =>
    new Promise<Installation>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      terminal.interrupt();
    });
  await assert.rejects(runUp(contextOn(terminal), {}, { inspector: fileInspector(), start }), Interrupted);
});

/** A machine on which somebody listens on the ports, who is not for us to see. */
function listeningOn(...ports: number[]) {
  const lines = ports.map((port) => {
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    return `0: 0100007F:${hex} 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n`;
  });
  const table = lines.join("");
  return { ...fileInspector("/nowhere"), read: (path: string) => (path === "/proc/net/tcp" ? table : "") };
}

test("a taken port is named with its holder and another to choose", () => {
  const inspector = listeningOn(8080);
  const error = Object.assign(new Error("listen EADDRINUSE"), { code: "EADDRINUSE", port: 8080 });
  assert.equal(
    takenPort(error, {}, inspector)?.message,
    "Port 8080 is taken by a process of another user or container. " +
      "Choose another with `npm run up -- --port 8090`, or stop that process.",
  );
  assert.equal(takenPort(error, {}, inspector)?.exitCode, 2);
  assert.equal(takenPort(new Error("something else"), {}, inspector), undefined);
  assert.match(
    takenPort(error, { config: "my pools.json", dataDir: "/d" }, listeningOn(8080, 8090))?.message ?? "",
    /with `npm run up -- --port 8100 --config 'my pools\.json' --data-dir \/d`/,
  );
});

test("beside an up that has directory and port both are named at once, and a way past both", () => {
  const says = "The data directory /d is in use by process 4711. Stop that daemon first.";
  const taken = Object.assign(new Error(says), { path: "/d", holder: "4711" });
  const refused = (port: number) => takenPort(new TakenFolder(taken, port), { port }, listeningOn(8080));
  assert.equal(
    refused(8080)?.message,
    "The data directory /d is in use by process 4711, and port 8080 is taken by a process of another user or " +
      "container. Stop that first, or choose another port and directory with " +
      "`npm run up -- --port 8090 --data-dir /d-8090`.",
  );
  assert.equal(refused(8080)?.exitCode, 2);
  for (const free of [8090, 0]) assert.equal(refused(free), undefined, "what it says itself is enough");
  assert.equal(new TakenFolder(taken, 0).message, says);
});

test("the printed curl is a shell program whose body is a task that the contract accepts", () => {
  const lines = curlLines(
    { ...installation, credential: "Authorization: Bearer $LLORCH_API_TOKEN", certificate: "/c/my cert.pem" },
    demo,
  );
  const script = `curl() { printf '%s\\n' "$@"; printf '%s\\n' --; }\n${lines.join("\n")}\n`;
  const env = { LLORCH_API_TOKEN: "secret", PATH: "/usr/bin:/bin" };
  const { stdout, status } = spawnSync("sh", ["-c", script], { encoding: "utf8", env });
  assert.equal(status, 0);
  const words = stdout.split("\n");
  const task = parseTaskRequest(JSON.parse(words[words.indexOf("-d") + 1] ?? ""));
  assert.match(task.task_id, /^poem-\d+$/);
  assert.equal(words.filter((word) => word === "Authorization: Bearer secret").length, 2);
  assert.equal(words[words.indexOf("--cacert") + 1], "/c/my cert.pem");
  assert.ok(words.includes(`http://127.0.0.1:8090/v1/tasks/${task.task_id}/stream`));
  assert.ok(!lines.join("").includes("secret"));
});
