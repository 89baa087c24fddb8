// What a program that uses the SDK notices of an orchestrator that is killed under it: nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Killable } from "@llama-orch/orchestratord/fixtures/killable";
import { createClient, type Frame } from "@llama-orch/sdk";

const request = { model_ref: "haiku", max_tokens: 120, deadline_ms: 60_000, prompt: "the moon", seed: 7 };

/** After each of these many tokens the daemon is killed. */
const killedAfter = [20, 50, 80];

for (const determinism of ["strict", "best_effort"] as const) {
  test(`one loop over a ${determinism} stream whose orchestrator is killed three times yields each token once`, async (t) => {
    const daemon = await Killable.start(t, { engines: [{ tokensPerSecond: 200 }], pool: { determinism } });
    await daemon.ready();
    const client = createClient({ baseUrl: daemon.url });
    const undisturbed: string[] = [];
    for await (const frame of client.run(request)) undisturbed.push(...tokenIn(frame));
    const frames: Frame[] = [];
    let restarts = 0;
    for await (const frame of client.run({ ...request, task_id: "disturbed" })) {
      frames.push(frame);
      const tokens = frames.flatMap(tokenIn).length;
      if (frame.event !== "token" || !killedAfter.includes(tokens)) continue;
      await daemon.kill();
      await daemon.start();
      restarts++;
    }
    assert.equal(restarts, killedAfter.length);
    const tokens = frames.flatMap(tokenIn);
    if (determinism === "strict") assert.deepEqual(tokens, undisturbed);
    assert.equal(tokens.length, request.max_tokens);
    assert.equal(new Set(tokens.map((token) => token.split(" ", 1)[0])).size, tokens.length);
    assert.equal(frames.filter(({ event }) => event === "started").length, 1);
    assert.equal(frames.at(-1)?.event, "end");
  });
}

/** With its index, so that one that came twice is seen. */
const tokenIn = (frame: Frame): string[] =>
  frame.event === "token" ? [`${frame.data.i} ${frame.data.t}`] : [];
