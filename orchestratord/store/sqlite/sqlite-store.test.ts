import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "../../fixtures/fake-clock.ts";
import { ReopenedStore } from "../fixtures/reopened-store.ts";
import { endedMax, keepEndedMs, rememberMs, storeConformance } from "../store.conformance.ts";
import { SqliteStore } from "./sqlite-store.ts";

for (const isReopened of [false, true]) {
  const name = isReopened ? "store on disk, opened anew for every question" : "store on disk";
  storeConformance(name, async (run) => {
    const clock = new FakeClock();
    const folder = mkdtempSync(join(tmpdir(), "store-"));
    const keeping = { nowMs: () => clock.nowMs(), keepEndedMs, rememberMs, endedMax };
    const open = () => SqliteStore.open({ folder, ...keeping, reserveBytes: 0 });
    const store = isReopened ? new ReopenedStore(open) : open();
    await run({ store, advance: (ms) => clock.advance(ms) });
    await store.close();
    rmSync(folder, { recursive: true });
  });
}
