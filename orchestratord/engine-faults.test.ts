// What is seen of an engine that answers badly: its plain calls are made again, and its answers to an attempt
// become the code that the task ends with.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { type FakeFaults, type StartedFake, startFake } from "@llama-orch/engines/fake";
import { lastOf } from "./fixtures/client.ts";
import { equalFacts, model, poolOf, running } from "./fixtures/running.ts";

/** What an overloaded proxy does: the first calls of one path are refused, all else reaches the engine. */
async function overloaded(
  t: TestContext,
  engine: StartedFake,
  path: string,
  calls: number,
  status = 503,
): Promise<string> {
  const proxy = createServer((asked, answer) => {
    if (asked.url === path && calls-- > 0) return answer.writeHead(status).end();
    const { method, headers } = asked;
    const passed = request(`${engine.url}${asked.url}`, { method, headers }, (given) => {
      answer.writeHead(given.statusCode ?? 500, given.headers);
      given.on("error", () => answer.destroy()).pipe(answer);
    });
    answer.on("close", () => passed.destroy());
    return asked.pipe(passed.on("error", () => answer.destroy()));
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

const endings: readonly [faults: FakeFaults, code: string, retriable: boolean][] = [
  [{ status: 400 }, "INVALID_PARAMS", false],
  [{ status: 422 }, "INVALID_PARAMS", false],
  [{ status: 501 }, "INVALID_PARAMS", false],
  [{ status: 401 }, "INTERNAL", false],
  [{ status: 403 }, "INTERNAL", false],
  [{ status: 500 }, "REPLICA_EXHAUSTED", true],
  [{ status: 502 }, "REPLICA_EXHAUSTED", true],
  [{ error_after: 2 }, "WORKER_RESET", true],
  [{ cut_after: 2 }, "WORKER_RESET", true],
  [{ stall_after: 0 }, "DECODE_TIMEOUT", true],
];

test(
  "each retry of a call is logged with its pause and its cause, and upstream codes become codes of the worker " +
    "[OC-ADAPT-OAI-6030]",
  async (t) => {
    const engine = await startFake({ ...equalFacts, tokensPerSecond: 200, framesPerWrite: 1 });
    t.after(() => engine.stop());
    const base_url = await overloaded(t, engine, "/props", 3);
    const more = {
      supervision: { threshold: 100 },
      timeouts: { idle_ms: 700, first_token_ms: 700 },
      provisioning: { mode: "external", base_url },
    };
    const pools = [poolOf([{}], more)(engine, 0)];
    const { client, log } = await running(t, { engines: [], config: { pools } });
    await log.until(({ event, model_id }) => event === "replica_ready" && model_id === model);
    const retries = log.of("engine_call_retried");
    assert.equal(retries.length, 3);
    for (const [
      retry,
      { level, engine: kind, error_kind, backoff_ms, details, human },
    ] of retries.entries()) {
      assert.deepEqual([level, kind, error_kind], ["warn", "llamacpp", "503"]);
      assert.deepEqual(details, { call: "GET /props", retry: retry + 1, url: base_url });
      assert.ok((backoff_ms as number) <= 100 * 2 ** retry, `${backoff_ms}`);
      assert.match(human ?? "", /again in \d+ ms: it answered 503\.$/);
    }

    for (const [n, [faults, code, retriable]] of endings.entries()) {
      await engine.faults(faults);
      const task_id = `fails-${n}`;
      await client.submit({ task_id, session_id: task_id });
      const { event, data } = lastOf(await client.frames(task_id));
      assert.deepEqual(
        [event, data.code, data.retriable],
        ["error", code, retriable],
        JSON.stringify(faults),
      );
      await engine.faults({});
    }
  },
);

test("an engine that is ready and refuses to say what it is has failed, and log and pool say why", async (t) => {
  const engine = await startFake(equalFacts);
  t.after(() => engine.stop());
  const base_url = await overloaded(t, engine, "/props", Number.POSITIVE_INFINITY, 401);
  const pools = [poolOf([{}], { provisioning: { mode: "external", base_url } })(engine, 0)];
  const { client, log } = await running(t, { engines: [], config: { pools } });
  const { last_error } = await log.until(({ event }) => event === "replica_failed");
  const why =
    /^Replica r0 is ready, but its engine does not say what it is: .*401.* API key\. It is asked again/;
  assert.match(`${last_error}`, why);
  const { body } = await client.get("/v1/pools/pool-0/health");
  assert.equal(body.ready, false);
  assert.match(body.last_error, why);
  assert.equal((await client.submit({ task_id: "nowhere" })).status, 503);
});
