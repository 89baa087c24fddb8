import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { samplerProfiles } from "@llama-orch/contract";
import { collect, faulty } from "../adapter.conformance.ts";
import type { Adapter, AttemptRequest } from "../adapter.ts";
import { bindAdapter } from "../bind.ts";
import { type FakeFaults, type StartedFake, startFake } from "../fake/start.ts";
import { eachRequest, listen, play, readTranscripts } from "./transcript.conformance.ts";

const signal = () => AbortSignal.timeout(10_000);
const request = (changes: Partial<AttemptRequest> = {}): AttemptRequest => ({
  workload: "completion",
  body: { prompt: "once upon a time" },
  sampling: samplerProfiles.default,
  seed: 7,
  maxTokens: 20,
  reuseCache: false,
  firstTokenMs: 5_000,
  idleMs: 5_000,
  ...changes,
});

let fake: StartedFake;
let adapter: Adapter;
before(async () => {
  fake = await startFake({ framesPerWrite: 4, modelDigest: `sha256:${"a".repeat(64)}` });
  adapter = bindAdapter({ engine: "llamacpp", url: fake.url }, { seed: 1 });
});
after(async () => {
  await adapter.close();
  await fake.stop();
});

async function broken(faults: FakeFaults, changes: Partial<AttemptRequest> = {}) {
  await fake.faults(faults);
  const texts: string[] = [];
  try {
    for await (const { frames } of adapter.submit(request(changes), signal())) {
      texts.push(...frames.map(({ t }) => t));
    }
    assert.fail("the attempt came to an end");
  } catch (error) {
    return { error, text: texts.join("") };
  } finally {
    await fake.faults();
  }
}

test(
  "an engine that echoes credentials puts none into an error, wherever it does so, but four stars and a fingerprint " +
    "[ORCH-3278]",
  async () => {
    const message =
      "upstream said Authorization: Bearer sk-live-1234567890, X-API-Key: key-9876543210, token=tok-55555";
    const masked = /Bearer \*{4}[0-9a-f]{6}, X-API-Key: \*{4}[0-9a-f]{6}, token=\*{4}[0-9a-f]{6}/;
    const plain: readonly (readonly [FakeFaults, Partial<AttemptRequest>])[] = [
      [{ status: 500, message }, {}],
      [{ status: 401, message }, {}],
      [
        { status: 400, message },
        { workload: "embedding", body: { inputs: ["a"] } },
      ],
      [{ error_after: 3, message }, {}],
    ];
    for (const [faults, changes] of plain) {
      const { error } = await broken(faults, changes);
      const { message: said, stack = "" } = error as Error;
      assert.match(said, masked);
      assert.doesNotMatch(`${said} ${stack} ${String(error)}`, /sk-live|key-98765|tok-555/);
    }
    const inUrl = bindAdapter({ engine: "llamacpp", url: "http://me:pass-word@127.0.0.1:1" }, { seed: 1 });
    await assert.rejects(collect(inUrl, request(), signal()), (error: Error) => {
      assert.doesNotMatch(`${error.message} ${error.stack}`, /pass-word/);
      return true;
    });
    await inUrl.close();
  },
);

test("a refused connection is not live, 503 is live and not ready, 200 is both [OC-ADAPT-5003]", async () => {
  const nobody = bindAdapter({ engine: "llamacpp", url: "http://127.0.0.1:1" }, { seed: 1 });
  const { live, ready } = await nobody.health(signal());
  assert.deepEqual({ live, ready }, { live: false, ready: false });
  await nobody.close();
  await fake.faults({ loading: true });
  assert.deepEqual(await adapter.health(signal()), { live: true, ready: false });
  await fake.faults();
  assert.deepEqual(await adapter.health(signal()), { live: true, ready: true });
});

test("the version and the digest of the model come from the engine [OC-ADAPT-5011]", async () => {
  const { engineVersion, modelDigest } = await adapter.props(signal());
  assert.equal(engineVersion, "fake-1");
  assert.equal(modelDigest, `sha256:${"a".repeat(64)}`);
});

test("two replicas with the same facts give equal streams [OC-ADAPT-5010]", async () => {
  const other = await startFake({ framesPerWrite: 7 });
  const second = bindAdapter({ engine: "llamacpp", url: other.url }, { seed: 2 });
  const [a, b] = [await collect(adapter, request(), signal()), await collect(second, request(), signal())];
  assert.deepEqual(b.frames, a.frames);
  await second.close();
  await other.stop();
});

test("whatever breaks a stream, the text before it is the text of a whole one [ORCH-3276]", async () => {
  const { text: whole } = await collect(adapter, request(), signal());
  const cases: [FakeFaults, Parameters<typeof faulty>[0]][] = [
    [{ reset_after: 8 }, { kind: "lost", reason: "reset" }],
    [{ cut_after: 8 }, { kind: "lost", reason: "reset" }],
    [{ bad_json_after: 8 }, { kind: "lost", reason: "reset" }],
    [
      { error_after: 8, message: "Context size has been exceeded." },
      { kind: "lost", reason: "busy" },
    ],
    [
      { error_after: 8, message: "CUDA error: out of memory" },
      { kind: "lost", reason: "vram_oom" },
    ],
  ];
  for (const [faults, fault] of cases) {
    const { error, text } = await broken(faults);
    faulty(fault)(error);
    assert.ok(whole.startsWith(text), JSON.stringify(faults));
  }
});

test("a silent engine is given up: before the first token by one limit, after it by the other", async () => {
  const slow = await broken({ delay_ms: 60_000 }, { firstTokenMs: 40 });
  faulty({ kind: "lost", reason: "hung" })(slow.error);
  const startedAt = performance.now();
  const stalled = await broken({ stall_after: 8 }, { idleMs: 40 });
  assert.ok(performance.now() - startedAt < 2_500, "the limit to the first token no longer holds");
  faulty({ kind: "lost", reason: "hung" })(stalled.error);
  assert.notEqual(stalled.text, "");
});

test("pings keep no attempt alive", async () => {
  const server = await listen((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
      const pings = setInterval(() => socket.write(":\n\n"), 5);
      socket.once("close", () => clearInterval(pings));
    });
  });
  const pinged = bindAdapter({ engine: "llamacpp", url: server.url }, { seed: 1 });
  await assert.rejects(
    collect(pinged, request({ firstTokenMs: 400 }), signal()),
    faulty({ kind: "lost", reason: "hung" }),
  );
  await pinged.close();
  await server.stop();
});

test("an engine that answers with an error is asked once, however retriable the error is", async () => {
  const once = await broken({ status: 500, times: 1 });
  faulty({ kind: "lost", reason: "reset" })(once.error);
  await collect(adapter, request(), signal());
  const full = await broken({ no_slot: true });
  faulty({ kind: "lost", reason: "busy" })(full.error);
  const loading = await broken({ loading: true });
  faulty({ kind: "lost", reason: "busy" })(loading.error);
});

test("the fake is unready, full, slow, broken, silent, cut short or another version on demand, else always the same [MOCK-01]", async () => {
  const whole = await collect(adapter, request(), signal());
  const losses: [FakeFaults, "busy" | "hung" | "reset"][] = [
    [{ loading: true }, "busy"],
    [{ no_slot: true }, "busy"],
    [{ delay_ms: 60_000 }, "hung"],
    [{ error_after: 8 }, "reset"],
    [{ stall_after: 8 }, "hung"],
    [{ cut_after: 8 }, "reset"],
  ];
  for (const [faults, reason] of losses) {
    const { error } = await broken(faults, { firstTokenMs: 40, idleMs: 40 });
    faulty({ kind: "lost", reason })(error);
  }
  await fake.faults({ build_info: "fake-2" });
  assert.equal((await adapter.props(signal())).engineVersion, "fake-2");
  await fake.faults();
  assert.deepEqual((await collect(adapter, request(), signal())).frames, whole.frames);
});

test("a lost id leaves the text as it was, and the frames after it without ids", async () => {
  const whole = await collect(adapter, request(), signal());
  await fake.faults({ lost_ids_at: 5 });
  const gapped = await collect(adapter, request(), signal());
  await fake.faults();
  assert.equal(gapped.text, whole.text);
  assert.equal(gapped.tokens, whole.tokens);
  assert.deepEqual(
    gapped.frames.map(({ ids }) => ids !== undefined),
    Array.from({ length: 19 }, (_, index) => index < 5),
  );
});

test("a completion says everything that chooses a token [OC-ADAPT-5005]", async () => {
  const bodies: string[] = [];
  const server = await listen((socket) =>
    eachRequest(socket, (_key, body) => {
      bodies.push(body);
      socket.destroy();
    }),
  );
  const asked = bindAdapter({ engine: "llamacpp", url: server.url }, { seed: 1 });
  const sampling = { ...samplerProfiles.greedy, stop: ["x"], top_k: 3, json_schema: { type: "object" } };
  const attempt = request({ sampling, seed: 4_294_967_297, reuseCache: true });
  await assert.rejects(collect(asked, attempt, signal()), faulty({ kind: "lost", reason: "reset" }));
  assert.deepEqual(JSON.parse(bodies[0] ?? ""), {
    prompt: "once upon a time",
    stream: true,
    return_tokens: true,
    cache_prompt: true,
    n_predict: 20,
    seed: 2,
    temperature: 0,
    top_k: 3,
    top_p: 1,
    min_p: 0,
    repeat_penalty: 1,
    repeat_last_n: 64,
    presence_penalty: 0,
    frequency_penalty: 0,
    stop: ["x"],
    json_schema: { type: "object" },
    typical_p: 1,
    top_n_sigma: -1,
    xtc_probability: 0,
    xtc_threshold: 0.1,
    dry_multiplier: 0,
    dynatemp_range: 0,
    dynatemp_exponent: 1,
    mirostat: 0,
    mirostat_tau: 5,
    mirostat_eta: 0.1,
    n_probs: 0,
    min_keep: 0,
    ignore_eos: false,
    samplers: ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
    timings_per_token: false,
    sse_ping_interval: 10,
  });
  assert.equal(bodies.length, 1);
  await asked.close();
  await server.stop();
});

test("slots are counted, and unknown where the engine does not tell [OC-ADAPT-5004]", async () => {
  assert.equal((await adapter.props(signal())).slotsBusy, 0);
  const recorded = readTranscripts(`${import.meta.dirname}/recorded`);
  const body = '{"error":{"code":501,"message":"disabled","type":"not_supported_error"}}';
  const refusal = `HTTP/1.1 501 Not Implemented\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const bytes = Buffer.from(refusal);
  const partly = await play([
    ...recorded.filter(({ key }) => !key.startsWith("get-slots")),
    { name: "slots", key: "get-slots-e3b0c442", bytes, open: true },
  ]);
  const bound = bindAdapter({ engine: "llamacpp", url: partly.url }, { seed: 1 });
  const { slotsTotal, slotsBusy } = await bound.props(signal());
  assert.equal(slotsTotal, 1);
  assert.equal(slotsBusy, undefined);
  await bound.close();
  await partly.stop();
});

test("a cancelled attempt's slot is free within a second [OC-ADAPT-5006]", async () => {
  const paced = await startFake({ tokensPerSecond: 100 });
  const bound = bindAdapter({ engine: "llamacpp", url: paced.url }, { seed: 1 });
  const abort = new AbortController();
  const reason = new Error("cancelled");
  await assert.rejects(async () => {
    for await (const _ of bound.submit(request({ maxTokens: 4_000 }), abort.signal)) {
      assert.equal((await bound.props(signal())).slotsBusy, 1);
      abort.abort(reason);
    }
  }, reason);
  const cancelledAt = performance.now();
  while ((await bound.props(signal())).slotsBusy !== 0) assert.ok(performance.now() - cancelledAt < 1_000);
  await bound.close();
  await paced.stop();
});

test("an engine without embeddings or reranks refuses them [OC-ADAPT-5009]", async () => {
  const plain = await startFake({ features: ["completion"] });
  const bound = bindAdapter({ engine: "llamacpp", url: plain.url }, { seed: 1 });
  for (const workload of ["embedding", "rerank"] as const) {
    const attempt = request({ workload, body: { query: "a", inputs: ["b"] } });
    await assert.rejects(
      collect(bound, attempt, signal()),
      faulty({ kind: "refused", code: "INVALID_PARAMS" }),
    );
  }
  await bound.close();
  await plain.stop();
});

test("recorded answers cut in two anywhere on the wire come out the same", async () => {
  const recorded = readTranscripts(`${import.meta.dirname}/recorded`);
  const answer = recorded.find(({ key, open }) => key.startsWith("post-completion") && !open)?.bytes;
  assert.ok(answer !== undefined);
  let cut = 0;
  const server = await listen((socket) => {
    socket.setNoDelay(true);
    eachRequest(socket, () => {
      socket.write(answer.subarray(0, cut));
      setImmediate(() => socket.end(answer.subarray(cut)));
    });
  });
  const bound = bindAdapter({ engine: "llamacpp", url: server.url }, { seed: 1 });
  const whole = await collect(bound, request(), signal());
  for (cut = 1; cut < answer.length; cut += 11) {
    assert.deepEqual(await collect(bound, request(), signal()), whole);
  }
  await bound.close();
  await server.stop();
});
