import assert from "node:assert/strict";
import { test } from "node:test";
import { Narration, parser } from "@llama-orch/contract";
import { Narrator } from "./narration.ts";

const uuid = "0b9fcd64-9a0c-4d3c-9b59-6b1d3f6b6f0a";
const told = { actor: "orchestratord", action: "place", target: "task", human: "Places a task." };
const options = { emittedBy: "orchestratord@0.1.0", nowMs: () => 1234, maskUuids: false };

test("who listens hears each sentence with where it came from [NARR-01, ORCH-3304, ORCH-3306]", () => {
  const narrator = new Narrator(options);
  const heard: unknown[] = [];
  const stop = narrator.listen((narration) => heard.push(narration));
  narrator.tell({ ...told, correlation_id: "c1", job_id: "j1" });
  stop();
  narrator.tell(told);
  assert.deepEqual(heard, [
    { ...told, correlation_id: "c1", job_id: "j1", emitted_by: "orchestratord@0.1.0", emitted_at_ms: 1234 },
  ]);
  assert.deepEqual(parser(Narration).problems(heard[0]), []);
});

test("what says itself where it came from keeps that [NARR-01]", () => {
  const narrator = new Narrator(options);
  let by: string | undefined;
  narrator.listen(({ emitted_by }) => {
    by = emitted_by;
  });
  narrator.tell({ ...told, emitted_by: "other@1" });
  assert.equal(by, "other@1");
});

test("a sentence is cut at a hundred characters [ORCH-3305]", () => {
  const human = new Narrator(options).tell({ ...told, human: "long ".repeat(50) });
  assert.equal(human.length, 100);
  assert.ok(human.endsWith("…"));
});

test("UUIDs are masked only where that is wanted", () => {
  const human = `Places ${uuid} on a pool.`;
  assert.equal(new Narrator(options).tell({ ...told, human }), human);
  const masked = new Narrator({ ...options, maskUuids: true }).tell({ ...told, human });
  assert.equal(masked, "Places [REDACTED] on a pool.");
});

const pairs = "api_key=abc apikey: abc key=abc token=abc secret: abc password=abc and BEARER abc";

test("credentials in a sentence are masked, whoever wrote them there [ORCH-3302]", () => {
  const human = new Narrator(options).tell({ ...told, human: pairs });
  assert.ok(!human.includes("abc"), human);
  assert.match(human, /^api_key=\[REDACTED\] apikey=\[REDACTED\] key=\[REDACTED\]/);
  assert.equal(new Narrator(options).tell({ ...told, human: "After tokens: 12." }), "After tokens: 12.");
  const bearer = new Narrator(options).tell({ ...told, human: "It sent bEaReR abc and went." });
  assert.equal(bearer, "It sent Bearer [REDACTED] and went.");
  const named = `Places ${uuid} on a pool.`;
  assert.equal(new Narrator(options).tell({ ...told, human: named }), named);
  const masked = new Narrator({ ...options, maskUuids: true }).tell({ ...told, human: named });
  assert.equal(masked, "Places [REDACTED] on a pool.");
});
