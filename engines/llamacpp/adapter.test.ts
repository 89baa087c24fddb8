import { adapterConformance } from "../adapter.conformance.ts";
import { fakeFacts } from "../fake/facts.ts";
import { startFake } from "../fake/start.ts";
import { haikuFacts } from "./haiku.conformance.ts";
import { play, readTranscripts } from "./transcript.conformance.ts";

adapterConformance({
  name: "the llamacpp adapter on the fake [ORCH-3273]",
  async start() {
    const { ctx, features } = fakeFacts;
    const apiKey = "a-key-that-only-tests-know";
    const { url, stop } = await startFake({ slots: 4, apiKey });
    const facts = { slots: 4, ctxMax: ctx, features, prompt: "once upon a time", messages: true };
    return { address: { engine: "llamacpp", url, apiKey }, facts, stop };
  },
});

adapterConformance({
  name: "the llamacpp adapter on recordings of llama-server",
  async start() {
    const { url, stop } = await play(readTranscripts(`${import.meta.dirname}/recorded`));
    return { address: { engine: "llamacpp", url }, facts: haikuFacts, stop };
  },
});
