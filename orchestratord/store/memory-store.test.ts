import { FakeClock } from "../fixtures/fake-clock.ts";
import { MemoryStore } from "./fixtures/memory-store.ts";
import { endedMax, keepEndedMs, rememberMs, storeConformance } from "./store.conformance.ts";

storeConformance("store in memory", async (run) => {
  const clock = new FakeClock();
  const store = new MemoryStore({ nowMs: () => clock.nowMs(), keepEndedMs, rememberMs, endedMax });
  await run({ store, advance: (ms) => clock.advance(ms) });
  await store.close();
});
