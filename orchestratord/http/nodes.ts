// The node routes as the home profile answers them: one machine has no nodes to register.

import { errorTable, OrchError } from "@llama-orch/contract";
import type { Handler } from "./exchange.ts";

export const cloudDisabled: Handler = () => {
  throw new OrchError("CLOUD_DISABLED", errorTable.CLOUD_DISABLED.says);
};
