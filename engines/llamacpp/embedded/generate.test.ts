import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readConfig } from "./config.ts";
import { haiku } from "./fixtures/started-engine.ts";
import { type Attempt, generate } from "./generate.ts";
import { type LoadedModel, loadModel } from "./model.ts";
import { Pieces } from "./pieces.ts";
import { readSampling } from "./sampling.ts";
import { type Slot, Slots } from "./slots.ts";

describe("an attempt whose caller goes", () => {
  let loaded: LoadedModel;
  let slots: Slots;
  before(async () => {
    loaded = await loadModel(readConfig(["--model", haiku, "--ctx", "4096"], {}));
    slots = new Slots(loaded.sequences);
  });
  after(() => loaded.llama.dispose());

  const attempt = (prompt: readonly number[]): Attempt => ({
    prompt,
    sampling: readSampling({ seed: 1 }),
    stop: [],
    maxTokens: -1,
    reuseCache: false,
  });
  const silent = { write() {}, full: undefined };

  test("decodes no further token", async () => {
    const gone = new AbortController();
    const ids: number[] = [];
    const sink = {
      full: undefined,
      write(id: number) {
        ids.push(id);
        if (ids.length === 5) gone.abort();
      },
    };
    const slot = slots.all[0] as Slot;
    const prompt = [1, 262, 376];
    const generated = await generate(slot, attempt(prompt), new Pieces(loaded.model), sink, gone.signal);
    assert.deepEqual([generated.tokensPredicted, generated.stopType, ids.length], [5, "none", 5]);
    assert.equal(slot.sequence.nextTokenIndex, prompt.length + 4);
  });

  test("reads no further batch of its prompt", async () => {
    const gone = new AbortController();
    const prompt = Array.from({ length: 4000 }, (_, at) => 262 + (at % 500));
    const slot = slots.all[0] as Slot;
    const running = generate(slot, attempt(prompt), new Pieces(loaded.model), silent, gone.signal);
    while (slot.sequence.nextTokenIndex < 64 || slot.sequence.nextTokenIndex > 2000) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const reached = slot.sequence.nextTokenIndex;
    gone.abort();
    await assert.rejects(running, { name: "AbortError" });
    assert.ok(
      slot.sequence.nextTokenIndex <= reached + 2 * 64,
      `${reached} to ${slot.sequence.nextTokenIndex}`,
    );
  });

  test("waits for a reader that has fallen behind", async () => {
    let release = () => {};
    let written = 0;
    const sink = {
      full: undefined as Promise<void> | undefined,
      write() {
        if (++written !== 3) return;
        this.full = new Promise((resolve) => {
          release = () => {
            this.full = undefined;
            resolve();
          };
        });
      },
    };
    const slot = slots.all[0] as Slot;
    const running = generate(
      slot,
      attempt([1, 262]),
      new Pieces(loaded.model),
      sink,
      new AbortController().signal,
    );
    while (sink.full === undefined) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(written, 3);
    release();
    assert.ok((await running).tokensPredicted > 3);
  });
});
