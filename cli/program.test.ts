import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { ErrorEnvelope, TaskRequest } from "@llama-orch/contract";
import { sendError, WireServer } from "@llama-orch/sdk/fixtures/wire-server";
import { fileInspector } from "./doctor/inspector.ts";
import { MemoryTerminal } from "./fixtures/memory-terminal.ts";
import { runLlorch } from "./index.ts";

interface Call {
  readonly url: string;
  readonly terminal?: MemoryTerminal;
}

async function llorch({ url, terminal = new MemoryTerminal() }: Call, ...args: string[]) {
  const code = await runLlorch(args, {
    terminal,
    settings: {
      url,
      token: undefined,
      apiKey: undefined,
      dataDir: "/nowhere",
      listenAddress: undefined,
      isDumbTerminal: false,
      programFolders: [],
      libraryFolders: [],
    },
    inspector: fileInspector("/nowhere"),
    nodeVersion: "v24.0.0",
    start: () => Promise.reject(new Error("Nothing is started here.")),
  });
  return { code, out: terminal.out.text, err: terminal.err.text };
}

function requestOf(server: WireServer): TaskRequest {
  const [call] = server.callsOf("createTask");
  assert.ok(call, "no task was handed in");
  return call.body as TaskRequest;
}

const frame = (event: string, data: object) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const ends = { tokens_out: 2, decode_time_ms: 1, decode_ms: 1 };

function stream(server: WireServer, ...parts: readonly string[]): void {
  server.answer("streamTask", (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" }).end(parts.join(""));
  });
}

test("run sends what was asked for and writes tokens and nothing else to stdout", async () => {
  await using server = await WireServer.start();
  stream(
    server,
    ': waiting {"queue_position":2,"predicted_start_ms":1500}\n\n',
    frame("token", { t: "Moon", i: 0 }),
    frame("token", { t: "light", i: 1 }),
    frame("end", ends),
  );
  const options =
    "--model m --max-tokens 9 --temperature 0.5 --seed 7 --session s --label trial --priority batch --deadline 30s";
  const { code, out, err } = await llorch(
    server,
    "run",
    "Write.",
    "--system",
    "Be brief.",
    ...options.split(" "),
  );
  assert.equal(code, 0);
  assert.equal(out, "Moonlight\n");
  assert.equal(err, "Waiting: 2 ahead in the queue, starts in about 1.5 s\n");
  const { task_id: _, ...request } = requestOf(server);
  assert.deepEqual(request, {
    session_id: "s",
    label: "trial",
    workload: "completion",
    engine: "llamacpp",
    ctx: 0,
    priority: "batch",
    model_ref: "m",
    max_tokens: 9,
    deadline_ms: 30_000,
    seed: 7,
    sampling: { temperature: 0.5 },
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Write." },
    ],
  });
});

test("on a terminal the waiting line is rewritten in place and gone when the text begins", async () => {
  await using server = await WireServer.start();
  const waiting = (ahead: number) => `: waiting {"queue_position":${ahead},"predicted_start_ms":40}\n\n`;
  stream(server, waiting(1), waiting(0), frame("token", { t: "Moon\u001b[2J", i: 0 }), frame("end", ends));
  const terminal = new MemoryTerminal({ isTTY: true });
  const { code, out, err } = await llorch({ url: server.url, terminal }, "run", "Write.");
  assert.equal(code, 0);
  const lines = err.split("\r\u001b[K").map((line) => stripVTControlCharacters(line));
  assert.match(lines[1] ?? "", /^Waiting: 1 ahead in the queue, starts in about 40 ms$/);
  assert.match(lines[2] ?? "", /^Waiting: next in line, starts in about 40 ms$/);
  assert.match(lines[3] ?? "", /^2 tokens in .*\n$/);
  assert.equal(out, "Moon\\u001b[2J\n", "a model cannot steer the terminal");
});

test("a prompt of - is read from stdin, and an empty one is refused before anything is sent", async () => {
  await using server = await WireServer.start();
  stream(server, frame("end", ends));
  const terminal = new MemoryTerminal({}, ["Write ", "a poem."]);
  await llorch({ url: server.url, terminal }, "run", "-");
  const { messages } = requestOf(server);
  assert.deepEqual(messages, [{ role: "user", content: "Write a poem." }]);
  const { code, err } = await llorch(server, "run", " ");
  assert.equal(code, 2);
  assert.match(err, /The prompt is empty/);
  assert.equal(server.callsOf("createTask").length, 1);
});

test("Ctrl-C cancels the task and ends with 130", async () => {
  await using server = await WireServer.start();
  server.answer("streamTask", (_, response) => {
    response
      .writeHead(200, { "Content-Type": "text/event-stream" })
      .write(frame("token", { t: "Moon", i: 0 }));
  });
  const terminal = new MemoryTerminal();
  const running = llorch({ url: server.url, terminal }, "run", "Write.");
  await terminal.out.shows("Moon");
  terminal.interrupt();
  assert.equal((await running).code, 130);
  assert.equal(server.callsOf("cancelTask")[0]?.id, requestOf(server).task_id);
  assert.equal(terminal.listeners, 0);
});

test("with --json a run is one frame per line, and its failure one line of JSON on stderr", async () => {
  await using server = await WireServer.start();
  const error = { code: "DECODE_TIMEOUT", message: "The engine is silent.", retriable: true };
  stream(server, frame("token", { t: "Moon", i: 0 }), frame("error", error));
  const { code, out, err } = await llorch(server, "--json", "run", "Write.");
  assert.equal(code, 1);
  const events = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).event);
  assert.deepEqual(events, ["accepted", "token", "error"]);
  assert.deepEqual(JSON.parse(err).error, { ...error, code: "DECODE_TIMEOUT" });
});

test("lists are aligned tables for a person and the answer itself for a program", async () => {
  await using server = await WireServer.start();
  const { out: pools } = await llorch(server, "pools");
  assert.deepEqual(pools.split("\n"), [
    "POOL   STATE  MODEL  ENGINE    ON   KIND    REPLICAS  FREE  WAITING",
    "haiku  ready  haiku  llamacpp  cpu  strict  1/1       1/1         0",
    "",
  ]);
  const { out: tasks } = await llorch(server, "tasks", "--state", "running", "--limit", "3");
  assert.match(tasks, /^TASK +STATE .*\npoem-1 +running +interactive +haiku +haiku\/r0 +12 /);
  assert.equal(server.callsOf("listTasks")[0]?.query.toString(), "state=running&limit=3");
  const { out: nodes } = await llorch(server, "nodes");
  assert.match(
    nodes,
    /\nattic +Online +http:\/\/10\.0\.0\.7:9200 +pool-0 +RTX 3090 24\.0 GiB +\d+ d \d+ h ago\n$/,
  );
  const { out: json } = await llorch(server, "pools", "--json");
  assert.equal(JSON.parse(json).pools[0].pool_id, "haiku");
});

test("drain, reload and cancel say what they did", async () => {
  await using server = await WireServer.start();
  assert.match(
    (await llorch(server, "drain", "haiku", "--deadline", "5s")).out,
    /takes no more work.* 5\.0 s /,
  );
  assert.deepEqual(server.calls.at(-1)?.body, { deadline_ms: 5000 });
  assert.match((await llorch(server, "reload", "haiku", "haiku@2")).out, /serves haiku@2 after 2\.1 s/);
  assert.deepEqual(server.calls.at(-1)?.body, { new_model_ref: "haiku@2" });
  assert.equal((await llorch(server, "cancel", "poem-1")).out, "Task poem-1 is cancelled.\n");
  assert.deepEqual([server.calls.at(-1)?.routeId, server.calls.at(-1)?.id], ["cancelTask", "poem-1"]);
});

test("cancelling a task that nobody knows is a failure", async () => {
  await using server = await WireServer.start();
  const gone = { code: "NOT_FOUND", message: "There is no task nosuch." } as const;
  server.answer("getTask", (_, response) => sendError(response, gone));
  const { code, err } = await llorch(server, "cancel", "nosuch");
  assert.equal(code, 1);
  assert.equal(err, "llorch: NOT_FOUND: There is no task nosuch.\n");
  assert.equal(server.callsOf("cancelTask").length, 0);
});

test("a reload whose connection breaks is said to go on there", async () => {
  await using server = await WireServer.start();
  server.answer("reloadPool", (_, response) => void response.destroy());
  const { code, err } = await llorch(server, "reload", "haiku", "haiku@2");
  assert.equal(code, 1);
  assert.match(err, /broke off\. If the reload had begun it goes on there: `llorch pools` shows/);
});

test("a refusal says when and where to look", async () => {
  await using server = await WireServer.start();
  const refuse = (envelope: ErrorEnvelope, headers: Record<string, string> = {}) =>
    server.answer("listPools", (_, response) => sendError(response, envelope, headers));
  refuse({ code: "ADMISSION_REJECT", message: "Full." }, { "Retry-After": "120" });
  assert.equal((await llorch(server, "pools")).err, "llorch: ADMISSION_REJECT: Full. Try again in 2 min.\n");
  refuse({ code: "POOL_UNAVAILABLE", message: "None." }, { "Retry-After": "120" });
  assert.match((await llorch(server, "pools")).err, /None\. `llorch pools` shows what is served\. Try again/);
  refuse({ code: "PAYLOAD_TOO_LARGE", message: "Too large." });
  assert.match((await llorch(server, "pools")).err, /Too large\. Send a shorter text\.\n$/);
});

test("a pool whose engine failed and is started again is not called stopped", async () => {
  await using server = await WireServer.start();
  const [pool = assert.fail()] = JSON.parse((await llorch(server, "pools", "--json")).out).pools;
  const health = { ...pool.health, live: false, ready: false };
  const show = async (last_error: string | null) => {
    const pools = [{ ...pool, health: { ...health, last_error } }];
    server.answer("listPools", (_, response) => void response.end(JSON.stringify({ pools, count: 1 })));
    return (await llorch(server, "pools")).out;
  };
  assert.match(await show("The engine ended with exit code 1."), /\nhaiku +not ready /);
  assert.match(await show(null), /\nhaiku +stopped /);
});

test("nodes says plainly that the cloud profile is off", async () => {
  await using server = await WireServer.start();
  server.answer("listNodes", (_, response) => sendError(response, { code: "CLOUD_DISABLED" }));
  const { code, err } = await llorch(server, "nodes");
  assert.equal(code, 1);
  assert.match(err, /The cloud profile is off, so there are no nodes to list; `llorch pools` shows/);
});

test("every failure is a sentence that says what to do", async () => {
  const server = await WireServer.start();
  server.answer("listPools", (_, response) =>
    sendError(response, { code: "MISSING_TOKEN", message: "No token." }),
  );
  const locked = await llorch(server, "pools");
  assert.equal(locked.code, 1);
  assert.equal(locked.err, "llorch: MISSING_TOKEN: No token. Pass --token, or set LLORCH_API_TOKEN.\n");
  await server.kill();
  const absent = await llorch(server, "pools");
  assert.equal(absent.code, 1);
  const start = "Start it with `npm run up`, or name another address with --url.";
  assert.equal(absent.err, `llorch: Nothing listens on ${server.url}. ${start}\n`);
  const wrong = await llorch({ url: "localhost" }, "pools");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /^llorch: --url: accepted is an address such as http:/);
});

const misuses: readonly (readonly [string, RegExp])[] = [
  ["rnu x", /unknown command 'rnu'/],
  ["run", /missing required argument 'prompt'/],
  ["run x --priority urgent", /Allowed choices are interactive, batch/],
  ["run x --deadline 30", /Accepted: a duration such as 500ms, 30s, 5m or 1h/],
  ["run x --max-tokens 0", /Accepted: a whole number from 1 on/],
  ["up --port 70000", /Accepted: a port/],
  ["up --gateway-port 8081", /has no gateway yet/],
];

for (const [args, says] of misuses) {
  test(`\`llorch ${args}\` is refused with exit code 2`, async () => {
    const { code, out, err } = await llorch({ url: "http://127.0.0.1:9" }, ...args.split(" "));
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(err, says);
    const forProgram = await llorch({ url: "http://127.0.0.1:9" }, "--json", ...args.split(" "));
    assert.equal(forProgram.code, 2);
    assert.match(JSON.parse(forProgram.err).error.message, says);
  });
}

test("a credential that no header can carry is refused with the option's name", async () => {
  const { code, err } = await llorch({ url: "http://127.0.0.1:9" }, "--token", "sécret", "pools");
  assert.equal(code, 2);
  assert.match(err, /^llorch: --token: /);
  assert.ok(!err.includes("cret"), err);
});

test("a retry is an event of its own for a program", async () => {
  await using server = await WireServer.start();
  let calls = 0;
  server.answer("streamTask", (_, response) => {
    if (++calls === 1) return void response.destroy();
    response.writeHead(200, { "Content-Type": "text/event-stream" }).end(frame("end", ends));
  });
  const { code, out, err } = await llorch(server, "--json", "run", "Write.");
  assert.equal(code, 0);
  assert.equal(err, "");
  assert.match(out, /\{"event":"retry","data":\{"message":".*","delay_ms":\d+\}\}\n/);
});

test("a terminal that says it is 0 columns wide is taken for one of 80", async () => {
  await using server = await WireServer.start();
  stream(server, ': waiting {"queue_position":1,"predicted_start_ms":40}\n\n', frame("end", ends));
  const terminal = new MemoryTerminal({ isTTY: true, columns: 0 });
  const { err } = await llorch({ url: server.url, terminal }, "run", "Write.");
  assert.match(stripVTControlCharacters(err), /Waiting: 1 ahead in the queue, starts in about 40 ms/);
  const wide = new MemoryTerminal({ isTTY: true, columns: 0 });
  assert.match((await llorch({ url: server.url, terminal: wide }, "pools")).out, /POOL .* WAITING/);
});

test("help names every command and the exit codes, and is no failure", async () => {
  const { code, out } = await llorch({ url: "http://127.0.0.1:9" }, "--help");
  assert.equal(code, 0);
  for (const word of "run tasks cancel pools drain reload nodes doctor up LLORCH_URL".split(" ")) {
    assert.match(out, new RegExp(`\\b${word}\\b`));
  }
  assert.match(out, /0 done, 1 failed, 2 the call or the configuration is wrong, 130 interrupted, 141/);
});

test("the doctor looks into the data directory that is named, and makes nothing there", async () => {
  const folder = join(import.meta.dirname, "fixtures/no-such-folder");
  const { out } = await llorch({ url: "http://127.0.0.1:9" }, "--json", "doctor", "--data-dir", folder);
  const { findings } = JSON.parse(out) as { findings: { check: string; says: string }[] };
  const [data] = findings.filter(({ check }) => check === "data");
  assert.equal(data?.says, `${folder} has no store yet; the first start makes it`);
  assert.ok(!existsSync(folder));
});
