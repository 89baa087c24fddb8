// Documents while the disk is short: what room there is belongs to tasks that were admitted, so their
// transcripts go through and uploads do not. Reading is as ever.

import { OrchError } from "@llama-orch/contract";
import type { Artifacts } from "./artifacts.ts";

export function guarded(artifacts: Artifacts, isShort: () => boolean): Artifacts {
  return {
    async put(put) {
      if (put.keep === "upload" && isShort()) throw short();
      return artifacts.put(put);
    },
    get: (tenantId, id) => artifacts.get(tenantId, id),
    sizeOf: (tenantId, id) => artifacts.sizeOf(tenantId, id),
    sweep: (nowMs) => artifacts.sweep(nowMs),
    close: () => artifacts.close(),
  };
}

function short(): OrchError {
  const message =
    "The store of this orchestrator can take nothing new, and what room is left is held for accepted tasks. " +
    "Make room on its disk, then store the document again.";
  return new OrchError("ARTIFACT_STORE_FULL", message);
}
