// The installation that nobody disturbs: one daemon, one fake engine as fast as it goes. It says what the
// texts of all fake rounds are.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startFakeInstallation } from "./fake-installation.ts";
import type { Place } from "./life.ts";

export interface Reference extends Place {
  stop(): Promise<void>;
}

export async function startReference(): Promise<Reference> {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-chaos-calm-"));
  const { url, model, stop } = await startFakeInstallation({ folder, strict: 1, loose: 0, paced: false });
  return {
    url,
    model,
    async stop() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
