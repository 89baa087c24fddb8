// The life of a task from outside: handed in over HTTP, run by the fake engine, followed, cancelled, kept.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { AdmissionResponse, frames as frameShapes, parser, Transcript } from "@llama-orch/contract";
import { type Frame, framesIn, lastOf, textOf, tokensOf } from "./fixtures/client.ts";
import { running } from "./fixtures/running.ts";
import { seedOf } from "./submissions.ts";

const { client, log, engines } = await running({ after });
const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const names = (frames: readonly Frame[]) => [...new Set(frames.map(({ event }) => event))];

test("a task is admitted with 202, its place and its budgets [ORCH-2001, CHK-F-08]", async () => {
  const task = client.task({ session_id: "admitted" });
  const { status, headers, body } = await client.call("POST", "/v1/tasks", task);
  assert.equal(status, 202);
  assert.deepEqual(parser(AdmissionResponse).problems(body), []);
  const { job_id, ...rest } = body;
  assert.match(job_id, uuid4);
  const sse = `/v1/tasks/${task.task_id}/stream`;
  assert.deepEqual(rest, {
    task_id: task.task_id,
    queue_position: 0,
    predicted_start_ms: 0,
    backoff_ms: 0,
    streams: { sse, sse_verbose: `${sse}?verbose=true` },
    preparation: { steps: [] },
  });
  for (const name of ["tokens", "time-ms", "cost"]) {
    const header = name === "time-ms" ? "x-budget-time-remaining-ms" : `x-budget-${name}-remaining`;
    assert.match(headers.get(header) ?? "", /^\d+$/);
  }
  const line = await log.until(({ event, job_id: job }) => event === "task_admitted" && job === job_id);
  assert.equal(line.queue_position, 0);
  assert.equal(line.predicted_start_ms, 0);
  await log.ended(task.task_id);
});

test(
  "a stream is started, token and more, metrics after the first token, end, each one line of JSON " +
    "[ORCH-2002, ORCH-3255, CHK-F-10, CHK-G-03, CHK-G-04, OC-CTRL-2021, OC-CTRL-2023, OC-METRICS-7110, SSE-1004, BDD-34]",
  async () => {
    const { body } = await client.submit({ task_id: "streamed", session_id: "streamed" });
    const reading = await client.follow("streamed");
    const { headers, status } = reading.response;
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), "text/event-stream");
    assert.equal(headers.get("cache-control"), "no-cache");
    assert.equal(headers.get("x-accel-buffering"), "no");
    for (const name of ["tokens", "time", "cost"]) {
      assert.match(headers.get(`x-budget-${name}-remaining${name === "time" ? "-ms" : ""}`) ?? "", /^\d+$/);
    }
    const text = await reading.rest();
    for (const block of text.split("\n\n").filter((each) => each !== "" && !each.startsWith(":"))) {
      assert.match(block, /^(id: \S+\n)?event: (started|token|metrics|end)\ndata: \{.*\}$/);
    }
    const frames = framesIn(text);
    for (const { event, data } of frames) assert.deepEqual(parser(frameShapes[event]).problems(data), []);
    assert.deepEqual(names(frames), ["started", "token", "metrics", "end"]);
    assert.equal(frames[1]?.event, "token");
    assert.deepEqual(
      tokensOf(frames).map(({ data }) => data.i),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    const [{ data: started }] = frames as [Frame];
    const { job_id, queue_position, predicted_start_ms } = body;
    assert.deepEqual(
      { ...started, engine_version: undefined, sampler_profile_version: undefined, model_digest: undefined },
      {
        job_id,
        queue_position,
        predicted_start_ms,
        engine: "llamacpp",
        engine_version: undefined,
        pool_id: "pool-0",
        replica_id: "r0",
        sampler_profile_version: undefined,
        model_digest: undefined,
        seed: 7,
      },
    );
    const metrics = frames.find(({ event }) => event === "metrics")?.data;
    const { queue_depth, on_time_probability, kv_warmth } = metrics;
    assert.deepEqual([queue_depth, on_time_probability, kv_warmth], [0, 0.99, false]);
    const { data: end } = lastOf(frames);
    assert.equal(end.tokens_out, 8);
  },
);

test("the stream of a finished task is the same to the last byte, and several readers get it [API-05]", async () => {
  await client.submit({ task_id: "again", max_tokens: 40 });
  const together = await Promise.all([1, 2, 3].map(() => client.read("again")));
  await log.ended("again");
  const later = await Promise.all([1, 2].map(() => client.read("again")));
  assert.ok(framesIn(together[0] as string).length > 40);
  for (const text of [...together, ...later]) assert.equal(text, together[0]);
  const verbose = await client.read("again", { query: "?verbose=true" });
  const human = framesIn(verbose).find(({ event }) => event === "metrics")?.data.human;
  assert.match(human, /^Running on pool-0\/r0, 0 waiting behind, 99 % likely to be on time\.$/);
});

test(
  "each task leaves a transcript: its frames, what was resolved, and of its texts no more than a hash " +
    "[CHK-G-05, BDD-15, OC-CTRL-2066]",
  async () => {
    const prompt = "never to be seen again";
    await client.submit({ task_id: "kept", session_id: "keeper", prompt, sampling: { top_k: 3 } });
    const frames = await client.frames("kept");
    const { transcript } = lastOf(frames).data;
    const { status, body } = await client.get(`/v1/artifacts/${transcript}`);
    assert.equal(status, 200);
    assert.deepEqual(parser(Transcript).problems(body), []);
    const { kind, tags, events, metadata } = body;
    assert.equal(kind, "trace");
    assert.deepEqual(tags, ["sse", "stream", "task:kept", "session:keeper"]);
    assert.deepEqual(
      events.map(({ type }: { type: string }) => type),
      frames.map(({ event }) => event),
    );
    const { engine, engine_version, pool_id, replica_id, seed, tokens_out, sampling, request } = metadata;
    assert.deepEqual(
      { engine, engine_version, pool_id, replica_id, seed, tokens_out },
      {
        engine: "llamacpp",
        engine_version: "fake-1",
        pool_id: "pool-0",
        replica_id: "r0",
        seed: 7,
        tokens_out: 8,
      },
    );
    assert.equal(sampling.top_k, 3);
    assert.equal(sampling.temperature, 0.8);
    const sha256 = createHash("sha256").update(prompt).digest("hex");
    assert.deepEqual(request.prompt, { length: prompt.length, sha256 });
    assert.ok(!JSON.stringify(body).includes(prompt));
    assert.ok(!log.raw.join("").includes(prompt));
  },
);

test("a task that is sent again gets its first answer, and other fields under its name are a conflict", async () => {
  const task = client.task({ session_id: "twice" });
  const first = await client.call("POST", "/v1/tasks", task);
  const again = await client.call("POST", "/v1/tasks", task);
  assert.equal(again.status, 202);
  assert.deepEqual(again.body, first.body);
  await log.ended(task.task_id);
  const later = await client.call("POST", "/v1/tasks", Object.fromEntries(Object.entries(task).reverse()));
  assert.deepEqual(later.body, first.body);
  assert.ok(later.headers.has("x-budget-tokens-remaining"));
  assert.equal(log.of("task_placed").filter(({ task_id }) => task_id === task.task_id).length, 1);
  const other = await client.call("POST", "/v1/tasks", { ...task, prompt: "something else" });
  assert.equal(other.status, 409);
  assert.equal(other.body.code, "TASK_CONFLICT");
  assert.equal(other.body.engine, "llamacpp");
  assert.equal((await client.get("/v1/sessions/twice")).body.turns, 1);
});

test("a prompt of one text is answered alike whatever the task is called, and its name is its seed", async () => {
  const one = client.task({ seed: undefined, task_id: "named", session_id: "named" });
  await client.call("POST", "/v1/tasks", one);
  const frames = await client.frames("named");
  assert.equal(frames[0]?.data.seed, seedOf("named"));
  await client.submit({ task_id: "seeded", session_id: "named", seed: seedOf("named") });
  assert.equal(textOf(await client.frames("seeded")), textOf(frames));
});

test("messages are rendered with the template of the engine", async () => {
  const messages = [{ role: "user", content: "hello" }];
  await client.submit({ task_id: "chat", session_id: "texts", prompt: undefined, messages });
  await client.submit({ task_id: "rendered", session_id: "texts", prompt: "<user>hello<assistant>" });
  const [chat, rendered] = await Promise.all([client.frames("chat"), client.frames("rendered")]);
  assert.equal(textOf(chat), textOf(rendered));
});

test("embeddings and ranks come as the result of the end frame, without tokens", async () => {
  const inputs = ["one", "two"];
  const plain = { prompt: undefined, inputs, session_id: "vectors" };
  await client.submit({ ...plain, task_id: "vectors", workload: "embedding" });
  const embedded = await client.frames("vectors");
  assert.deepEqual(names(embedded), ["started", "end"]);
  assert.equal(lastOf(embedded).data.result.embeddings.length, 2);
  assert.equal(lastOf(embedded).data.tokens_out, 0);
  await client.submit({ ...plain, task_id: "ranks", workload: "rerank", query: "which" });
  const { scores } = lastOf(await client.frames("ranks")).data.result;
  assert.deepEqual(scores.map(({ index }: { index: number }) => index).sort(), [0, 1]);
});

test("a stop string ends the text before it", async () => {
  await client.submit({ task_id: "whole", session_id: "stops", max_tokens: 20 });
  const whole = textOf(await client.frames("whole"));
  const stop = whole.slice(20, 26);
  await client.submit({
    task_id: "stopped",
    session_id: "stops",
    max_tokens: 20,
    sampling: { stop: [stop] },
  });
  assert.equal(textOf(await client.frames("stopped")), whole.slice(0, whole.indexOf(stop)));
});

test("output_mode changes nothing, whatever it says [OC-CTRL-2063]", async () => {
  for (const output_mode of ["text", "json", "edits", "nonsense"]) {
    const { status } = await client.submit({
      task_id: `mode-${output_mode}`,
      session_id: output_mode,
      output_mode,
    });
    assert.equal(status, 202);
  }
  const [first, ...others] = await Promise.all(
    ["text", "json", "edits", "nonsense"].map(async (mode) => textOf(await client.frames(`mode-${mode}`))),
  );
  for (const other of others) assert.equal(other, first);
});

test(
  "cancelling a running task answers 204, frees its slot, and its stream ends with canceled and no token more " +
    "[ORCH-2003, ORCH-3017, ORCH-3026, CHK-F-11]",
  async () => {
    const before = await client.metric("tasks_canceled_total", { reason: "client" });
    await engines[0]?.faults({ stall_after: 3, times: 1 });
    await client.submit({ task_id: "canceled", session_id: "cancels", max_tokens: 1000 });
    const reading = await client.follow("canceled");
    await reading.tokens(3);
    assert.equal((await client.cancel("canceled")).status, 204);
    const atAnswer = tokensOf(framesIn(reading.text)).length;
    const frames = framesIn(await reading.rest());
    assert.equal(tokensOf(frames).length, atAnswer);
    assert.equal(frames.filter(({ event }) => event === "end" || event === "error").length, 1);
    assert.equal(lastOf(frames).event, "end");
    assert.equal(lastOf(frames).data.canceled, true);
    assert.equal(lastOf(frames).data.tokens_out, atAnswer);
    const opened = await client.frames("canceled");
    assert.deepEqual(names(opened), ["started", "end"]);
    assert.equal(await client.metric("tasks_canceled_total", { reason: "client" }), before + 1);
    assert.equal((await client.get("/v1/pools/pool-0/health")).body.metrics.active_leases, 0);
    for (const taskId of ["canceled", "streamed", "never-heard-of", "not a name"]) {
      const { status, body } = await client.cancel(encodeURIComponent(taskId));
      assert.deepEqual([status, body], [204, ""]);
    }
  },
);

test(
  "a failure after the stream began is one error frame that says all, and leaves a transcript " +
    "[OC-CTRL-2028, OC-CTRL-2034]",
  async () => {
    await engines[0]?.faults({ flip_at: 2, cut_after: 5, times: 1 });
    const correlation = { "x-correlation-id": "asked-by-me" };
    const { body } = await client.submit(
      { task_id: "failing", session_id: "fails", max_tokens: 30 },
      correlation,
    );
    const frames = await client.frames("failing");
    const { event, data } = lastOf(frames);
    assert.equal(event, "error");
    assert.equal(frames.filter((frame) => frame.event === "error" || frame.event === "end").length, 1);
    const { transcript, message, ...rest } = data;
    assert.ok(message.length > 10);
    assert.deepEqual(rest, {
      code: "WORKER_RESET",
      retriable: true,
      pool_id: "pool-0",
      engine: "llamacpp",
      job_id: body.job_id,
      correlation_id: "asked-by-me",
    });
    const { metadata, events } = (await client.get(`/v1/artifacts/${transcript}`)).body;
    assert.equal(metadata.error, "WORKER_RESET");
    assert.equal(metadata.job_id, body.job_id);
    assert.equal(events.at(-1).type, "error");
    assert.equal(await client.metric("replay_mismatch_total"), 1);
  },
);

test(
  "what a stream shows is in its order, is counted, and is kept as the transcript that artifacts serve " +
    "[CHK-F-16]",
  async () => {
    const before = await client.metric("tokens_out_total");
    const firsts = await client.metric("latency_first_token_ms_count");
    await client.submit({ task_id: "rendered-whole", session_id: "rendered-whole", max_tokens: 9 });
    const shown = await client.frames("rendered-whole", { query: "?verbose=true" });
    const order = shown.map(({ event }) => event);
    assert.deepEqual([order[0], order[1], order.at(-1)], ["started", "token", "end"]);
    assert.deepEqual(
      tokensOf(shown).map(({ data }) => data.i),
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.equal(await client.metric("tokens_out_total"), before + 9);
    assert.equal(await client.metric("latency_first_token_ms_count"), firsts + 1);
    const { body } = await client.get(`/v1/artifacts/${lastOf(shown).data.transcript}`);
    const kept = body.events.map(({ type, data }: { type: string; data: object }) => [type, data]);
    const { transcript: _itself, ...end } = lastOf(shown).data;
    assert.deepEqual(kept, [...shown.slice(0, -1).map(({ event, data }) => [event, data]), ["end", end]]);
  },
);
