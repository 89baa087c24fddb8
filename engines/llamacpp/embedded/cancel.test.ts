import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientRequest, request } from "node:http";
import { after, before, describe, test } from "node:test";
import { type StartedEngine, startReadyEngine } from "./fixtures/started-engine.ts";

/** Goes on for as long as the context lasts. */
const endless = { type: "array", items: { const: "a long while" }, minItems: 900 };
const prompt = "Write a haiku about rain.<|poem|>";

describe("a caller who goes", () => {
  let engine: StartedEngine;
  before(async () => {
    engine = await startReadyEngine({ flags: ["--slots", "1", "--ctx", "16384"] });
  });
  after(() => engine.stop());

  const slot = async () => (await engine.get("/slots")).json[0];
  const idle = async () => {
    while ((await slot()).is_processing) await new Promise((resolve) => setImmediate(resolve));
  };

  test("frees the slot within a few tokens", async () => {
    // How late the news comes is the system's business; only the least of several rounds is the engine's.
    let late = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 8 && late > 4; round++) {
      const { call, response } = await begin(engine, { prompt, json_schema: endless, stream: true });
      let read = "";
      for await (const chunk of response) {
        read += chunk;
        if (read.includes('"tokens_predicted":20,')) break;
      }
      call.destroy();
      await idle();
      const delivered = [...read.matchAll(/"tokens_predicted":/g)].length;
      late = Math.min(late, (await slot()).next_token[0].n_decoded - delivered);
    }
    assert.ok(late <= 4, `it went on for ${late} tokens`);
    assert.equal((await engine.post("/completion", { prompt, seed: 3, n_predict: 4 })).status, 200);
  });

  test("stops an embedding of many inputs", async () => {
    const body = { input: Array(256).fill("the moon ".repeat(12)) };
    const timed = async () => {
      const startedAt = performance.now();
      assert.equal((await engine.post("/v1/embeddings", body)).status, 200);
      return performance.now() - startedAt;
    };
    await engine.post("/v1/embeddings", { input: "rain" });
    // Behind one that goes on it would take twice as long; noise does not come every time.
    let slower = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 6 && slower >= 1.4; round++) {
      const wholeMs = await timed();
      const gone = start(engine, body, "/v1/embeddings");
      gone.on("error", () => {});
      await once(gone, "finish");
      for (let turn = 0; turn < 4; turn++) await engine.get("/health");
      gone.destroy();
      slower = Math.min(slower, (await timed()) / wholeMs);
    }
    assert.ok(slower < 1.4, `the next one took ${slower} times as long`);
  });

  test("frees the slot while its long prompt is still being read", async () => {
    const long = Array.from({ length: 4000 }, (_, at) => 262 + (at % 500));
    const startedAt = performance.now();
    await engine.post("/completion", { prompt: long, n_predict: 1, cache_prompt: false });
    const wholeMs = performance.now() - startedAt;
    const { call } = await begin(engine, { prompt: long, stream: true, cache_prompt: false });
    const leftAt = performance.now();
    call.destroy();
    await idle();
    const tookMs = performance.now() - leftAt;
    assert.ok(tookMs < wholeMs / 2, `${tookMs} of ${wholeMs} ms`);
  });

  test("leaves the queue, and whoever waits behind is served in turn", async () => {
    const first = await begin(engine, { prompt, json_schema: endless, stream: true });
    const gone = start(engine, { prompt, stream: true });
    gone.on("error", () => {});
    const waiting = engine.post("/completion", { prompt, n_predict: 2 });
    while (!/requests_deferred 2/.test((await engine.get("/metrics")).text));
    const impatient = await engine.post("/completion?fail_on_no_slot=1", { prompt });
    assert.deepEqual([impatient.status, impatient.json.error.message], [503, "no slot available"]);
    assert.equal((await engine.get("/slots?fail_on_no_slot=1")).status, 503);
    gone.destroy();
    while (!/requests_deferred 1/.test((await engine.get("/metrics")).text));
    first.call.destroy();
    assert.equal((await waiting).status, 200);
    await idle();
  });
});

function start(engine: StartedEngine, body: object, path = "/completion"): ClientRequest {
  const call = request(engine.url + path, { method: "POST", agent: false });
  call.end(JSON.stringify(body));
  return call;
}

async function begin(engine: StartedEngine, body: object) {
  const call = start(engine, body);
  const [response] = await once(call, "response");
  response.on("error", () => {});
  call.on("error", () => {});
  return { call, response };
}
