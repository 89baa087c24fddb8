import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type OrchError,
  StreamDigest,
  type TaskRequest,
  type WaitingComment,
  waitingText,
} from "@llama-orch/contract";
import fc from "fast-check";
import { createClient } from "./client.ts";
import { UnreachableError } from "./faults.ts";
import {
  acceptTask,
  endFrame,
  ScriptedTask,
  serveStreams,
  started,
  tokenFrames,
} from "./fixtures/scripted-task.ts";
import { sendError, WireServer } from "./fixtures/wire-server.ts";
import type { Frame } from "./frames.ts";
import type { Run } from "./run.ts";

const wish = { model_ref: "haiku", max_tokens: 64, deadline_ms: 60_000, prompt: "the moon" };
const quick = { baseMs: 1, capMs: 2 };
const poem = [
  "Old",
  " pond",
  " –",
  "\n",
  "frog \u{1f438}",
  "",
  " jumps",
  " in",
  "…",
  " sound",
  " of",
  " wasser\u0000",
];

async function read(run: Run): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of run) frames.push(frame);
  return frames;
}

const tokensOf = (frames: readonly Frame[]) =>
  frames.flatMap((frame) => (frame.event === "token" ? [frame.data] : []));
const expected = (tokens: readonly string[]) => tokens.map((t, i) => ({ t, i }));

test("a task is handed in and read to its end; ids are made where none are given", async () => {
  await using server = await WireServer.start();
  new ScriptedTask(server, { tokens: poem });
  const run = createClient({ baseUrl: server.url }).run(wish);
  const frames = await read(run);
  assert.deepEqual(
    frames.map(({ event }) => event),
    ["started", ...poem.map(() => "token"), "metrics", "end"],
  );
  assert.deepEqual(tokensOf(frames), expected(poem));
  const request = server.callsOf("createTask")[0]?.body as TaskRequest;
  assert.equal(request.task_id, run.taskId);
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  assert.match(request.task_id, uuid);
  assert.match(request.session_id, uuid);
  const { workload, engine, ctx, priority } = request;
  assert.deepEqual(
    { workload, engine, ctx, priority },
    {
      workload: "completion",
      engine: "llamacpp",
      ctx: 0,
      priority: "interactive",
    },
  );
  const ids = server.calls.map(({ headers }) => headers["x-correlation-id"]);
  assert.equal(new Set(ids).size, 1, "all requests of a run share one correlation id");
  assert.deepEqual(server.callsOf("cancelTask"), []);
});

test("wherever the connection is cut, each token is yielded exactly once and in order", async () => {
  await using server = await WireServer.start();
  const client = createClient({ baseUrl: server.url, ...quick });
  const cuts = fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 12 });
  const tokens = fc.array(fc.string({ unit: "grapheme", maxLength: 6 }), { maxLength: 30 });
  const cases = fc.asyncProperty(
    tokens,
    fc.integer({ min: 1, max: 4 }),
    cuts,
    async (texts, perFrame, at) => {
      const task = new ScriptedTask(server, { tokens: texts, perFrame, cutAfterBytes: (count) => at[count] });
      const frames = await read(client.run(wish));
      assert.deepEqual(tokensOf(frames), expected(texts));
      assert.equal(frames.filter(({ event }) => event === "started").length, 1);
      assert.equal(frames.at(-1)?.event, "end");
      assert.ok(task.connections <= at.length + 1);
    },
  );
  await fc.assert(cases, { numRuns: 60, seed: 42 });
});

for (const forgets of [false, true]) {
  const how = forgets ? "forgets its tasks" : "keeps its tasks";
  test(`one loop over a server that is killed three times and ${how} yields each token once`, async () => {
    await using server = await WireServer.start();
    const frames = tokenFrames(poem);
    let kills = 0;
    // The server dies after a quarter, half and three quarters of the tokens.
    const bytes = Buffer.byteLength(started + frames.map(({ text }) => text).join(""));
    const task = new ScriptedTask(server, {
      tokens: poem,
      cutAfterBytes: () => (kills < 3 ? Math.floor(bytes / (forgets ? 4 - kills : 4)) : undefined),
    });
    const client = createClient({ baseUrl: server.url, ...quick });
    let restart = Promise.resolve();
    const run = client.run(wish, {
      onRetry() {
        if (kills >= 3) return;
        kills++;
        restart = restart.then(async () => {
          await server.kill();
          if (forgets) task.forget();
          await server.listen();
        });
      },
    });
    const seen = await read(run);
    await restart;
    assert.deepEqual(tokensOf(seen), expected(poem));
    assert.equal(seen.filter(({ event }) => event === "started").length, 1);
    assert.equal(kills, 3);
    const submitted = server.callsOf("createTask");
    assert.ok(forgets ? submitted.length > 1 : submitted.length === 1, `${submitted.length}`);
    assert.equal(new Set(submitted.map(({ body }) => JSON.stringify(body))).size, 1, "always the same task");
  });
}

const otherTexts = {
  "another text": [poem[0] as string, " lake", ...poem.slice(2)],
  "a shorter text": ["Old"],
};
for (const [what, tokens] of Object.entries(otherTexts)) {
  test(`a server that took the task anew and wrote ${what} is found out`, async () => {
    await using server = await WireServer.start();
    const task = new ScriptedTask(server, { tokens: poem, cutAfterBytes: () => 700 });
    const client = createClient({ baseUrl: server.url, ...quick });
    const onRetry = () => {
      task.forget();
      new ScriptedTask(server, { tokens });
    };
    const seen: Frame[] = [];
    await assert.rejects(
      async () => {
        for await (const frame of client.run(wish, { onRetry })) seen.push(frame);
      },
      (error: OrchError) =>
        error.code === "WORKER_RESET" && /cannot be continued exactly/.test(error.message),
    );
    const delivered = tokensOf(seen);
    assert.ok(delivered.length > 1);
    assert.deepEqual(
      delivered,
      expected(poem.slice(0, delivered.length)),
      "nothing of the other text got through",
    );
  });
}

const frames = tokenFrames(poem);
const textOf = (from: number, to: number) =>
  frames
    .slice(from, to)
    .map(({ text }) => text)
    .join("");

test("tokens that come again are left out, and the frames between them are not lost", async () => {
  await using server = await serveStreams(started + textOf(0, 5), textOf(2, 12) + endFrame(12));
  const run = createClient({ baseUrl: server.url, ...quick }).run(wish);
  assert.deepEqual(tokensOf(await read(run)), expected(poem));
});

test("a gap or a text with another digest is never passed on", async () => {
  const digest = new StreamDigest();
  poem.slice(0, 5).forEach((t, i) => {
    digest.add(i, t);
  });
  digest.add(5, "other");
  const other = `id: 5-${digest.short()}\nevent: token\ndata: {"t":"different","i":5}\n\n`;
  for (const second of [textOf(7, 12), other]) {
    await using server = await serveStreams(started + textOf(0, 5), second + endFrame(12));
    const run = createClient({ baseUrl: server.url, ...quick }).run(wish);
    const seen: Frame[] = [];
    await assert.rejects(
      async () => {
        for await (const frame of run) seen.push(frame);
      },
      (error: OrchError) => error.code === "WORKER_RESET",
    );
    assert.deepEqual(tokensOf(seen), expected(poem.slice(0, 5)));
  }
});

test("a position that the server does not accept ends the stream with a word about it", async () => {
  await using server = await serveStreams(started + textOf(0, 5));
  const run = createClient({ baseUrl: server.url, ...quick }).run(wish, {
    onRetry: () =>
      server.answer("streamTask", (_, response) => sendError(response, { code: "INVALID_PARAMS" })),
  });
  await assert.rejects(read(run), (error: OrchError) => error.code === "WORKER_RESET");
});

test("a stream that is gone is said to be gone", async () => {
  await using server = await serveStreams(started + textOf(0, 5));
  const run = createClient({ baseUrl: server.url, ...quick }).run(wish, {
    onRetry: () => server.answer("streamTask", (_, response) => sendError(response, { code: "GONE" })),
  });
  await assert.rejects(read(run), (error: OrchError) => error.code === "GONE");
});

test("an error frame is the last frame, and is yielded", async () => {
  const error = { code: "DECODE_TIMEOUT", message: "Silent.", retriable: true, engine: "llamacpp" };
  await using server = await serveStreams(
    `${started + textOf(0, 2)}id: end\nevent: error\ndata: ${JSON.stringify(error)}\n\n`,
  );
  const seen = await read(createClient({ baseUrl: server.url }).run(wish));
  assert.deepEqual(seen.at(-1), { event: "error", data: error, id: "end" });
  assert.equal(server.callsOf("streamTask").length, 1);
});

test("what a waiting task is told arrives, and heartbeats and unknown events do no harm", async () => {
  const waiting = { queue_position: 3, predicted_start_ms: 1200 };
  const text = `${waitingText(waiting)}: keep-alive\n\nevent: later\ndata: {}\n\n${started + textOf(0, 12)}`;
  await using server = await serveStreams(text + endFrame(12));
  const told: WaitingComment[] = [];
  const accepted: string[] = [];
  const run = createClient({ baseUrl: server.url }).run(wish, {
    onWaiting: (comment) => told.push(comment),
    onAccepted: ({ task_id }) => accepted.push(task_id),
  });
  assert.deepEqual(tokensOf(await read(run)), expected(poem));
  assert.deepEqual(told, [waiting]);
  assert.deepEqual(accepted, [run.taskId]);
});

test("a refused task is sent again under its own id when the refusal may pass", async () => {
  await using server = await WireServer.start();
  let refusals = 2;
  server.answer("createTask", (call, response) => {
    if (refusals-- > 0) sendError(response, { code: "ADMISSION_REJECT", retry_after_ms: 5 });
    else acceptTask(call, response);
  });
  server.answer("streamTask", (_, response) => void response.end(started + textOf(0, 12) + endFrame(12)));
  const delays: number[] = [];
  const run = createClient({ baseUrl: server.url, ...quick }).run(wish, {
    onRetry: ({ delayMs }) => delays.push(delayMs),
  });
  assert.deepEqual(tokensOf(await read(run)), expected(poem));
  assert.equal(delays.length, 2);
  assert.ok(delays.every((delayMs) => delayMs >= 5));
});

test("a submission whose answer was lost is repeated with the same body", async () => {
  await using server = await WireServer.start();
  let answers = 0;
  server.answer("createTask", (call, response) => {
    if (answers++ === 0) response.destroy();
    else acceptTask(call, response);
  });
  server.answer("streamTask", (_, response) => void response.end(started + textOf(0, 12) + endFrame(12)));
  await read(createClient({ baseUrl: server.url, ...quick }).run(wish));
  const bodies = server.callsOf("createTask").map(({ body }) => JSON.stringify(body));
  assert.equal(bodies.length, 2);
  assert.equal(new Set(bodies).size, 1);
});

/** A server whose stream stays open after some tokens, and that tells when its reader goes. */
async function openEnded(tokens: number) {
  const server = await WireServer.start();
  const closed = Promise.withResolvers<void>();
  const canceled = Promise.withResolvers<string>();
  server.answer("createTask", acceptTask);
  server.answer("streamTask", (_, response) => {
    response.on("close", () => closed.resolve());
    response.writeHead(200, { "Content-Type": "text/event-stream" }).write(started + textOf(0, tokens));
  });
  server.answer("cancelTask", ({ id }, response) => {
    canceled.resolve(id);
    response.writeHead(204).end();
  });
  return { server, closed: closed.promise, canceled: canceled.promise };
}

test("an abort cancels the task at once, closes the connection and throws its reason", async () => {
  const { server, closed, canceled } = await openEnded(3);
  await using _ = server;
  const controller = new AbortController();
  const run = createClient({ baseUrl: server.url }).run(wish, { signal: controller.signal });
  const reason = new Error("enough");
  let tokens = 0;
  await assert.rejects(async () => {
    for await (const { event } of run) if (event === "token" && ++tokens === 2) controller.abort(reason);
  }, reason);
  assert.equal(tokens, 2, "nothing follows an abort, though it had arrived");
  assert.equal(await canceled, run.taskId);
  await closed;
});

test("leaving the loop cancels the task, unless it is to be kept", async () => {
  for (const onLeave of ["cancel", "keep"] as const) {
    const { server, closed } = await openEnded(3);
    await using _ = server;
    for await (const { event } of createClient({ baseUrl: server.url }).run(wish, { onLeave })) {
      if (event === "token") break;
    }
    await closed;
    assert.equal(server.callsOf("cancelTask").length, onLeave === "cancel" ? 1 : 0);
  }
});

test("a signal that had aborted before sends nothing", async () => {
  await using server = await WireServer.start();
  const run = createClient({ baseUrl: server.url }).run(wish, { signal: AbortSignal.abort() });
  await assert.rejects(read(run), { name: "AbortError" });
  assert.deepEqual(server.calls, []);
});

test("a refused task is not cancelled, since it may be another caller's", async () => {
  await using server = await WireServer.start();
  server.answer("createTask", (_, response) => sendError(response, { code: "TASK_CONFLICT" }));
  const run = createClient({ baseUrl: server.url }).run({ ...wish, task_id: "mine" });
  await assert.rejects(read(run), (error: OrchError) => error.code === "TASK_CONFLICT");
  assert.deepEqual(server.callsOf("cancelTask"), []);
});

test("a silent stream is taken up again where it was", async () => {
  const { server, closed } = await openEnded(5);
  await using _ = server;
  const client = createClient({ baseUrl: server.url, silenceMs: 30, ...quick });
  const run = client.run(wish, {
    onRetry: () =>
      server.answer("streamTask", (call, response) => {
        const from = Number(String(call.headers["last-event-id"]).split("-")[0]) + 1;
        response.end(textOf(from, 12) + endFrame(12));
      }),
  });
  assert.deepEqual(tokensOf(await read(run)), expected(poem));
  await closed;
});

test("a server that stays away is given up after the patience, and named", async () => {
  const { server } = await openEnded(5);
  const client = createClient({ baseUrl: server.url, ...quick, patienceMs: 30 });
  const seen: Frame[] = [];
  await assert.rejects(async () => {
    for await (const frame of client.run(wish)) {
      seen.push(frame);
      if (tokensOf(seen).length === 5) await server.kill();
    }
  }, UnreachableError);
  assert.deepEqual(tokensOf(seen), expected(poem.slice(0, 5)));
});

test("a token frame that cannot be read is an answer of somebody else", async () => {
  await using server = await serveStreams(`${started}event: token\ndata: {"t":1}\n\n`);
  const run = createClient({ baseUrl: server.url }).run(wish);
  await assert.rejects(read(run), { name: "UnexpectedReplyError" });
});

test("runs leave no listener, timer or connection behind, however they end", async () => {
  await using server = await serveStreams();
  new ScriptedTask(server, { tokens: poem, cutAfterBytes: (count) => (count % 3 === 0 ? 500 : undefined) });
  const client = createClient({ baseUrl: server.url, ...quick });
  const { signal } = new AbortController();
  const listeners: string[] = [];
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...input: unknown[]) => {
    listeners.push("listener");
    Reflect.apply(addEventListener, signal, input);
  };
  signal.removeEventListener = (...input: unknown[]) => {
    listeners.pop();
    Reflect.apply(removeEventListener, signal, input);
  };
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  for (let round = 0; round < 20; round++) {
    for await (const { event } of client.run(wish, { signal }))
      if (round % 4 === 0 && event === "metrics") break;
  }
  assert.ok(listeners.length <= 2, `${listeners.length} listeners are left`);
  assert.ok(timers() <= before + 2, `${timers()} timers are left`);
  assert.ok((await server.connections()) <= 2, "only idle connections may be kept for the next call");
});
