// What this installation can do. The application hands out one object until the replicas change, or for a
// second; its text is kept as long as the object is the same.

import type { Capabilities } from "@llama-orch/contract";
import type { Handler } from "./exchange.ts";
import { sendJson } from "./reply.ts";

export function getCapabilities(): Handler {
  let last: { readonly capabilities: Capabilities; readonly text: string } | undefined;
  return ({ wire }, { application }) => {
    const capabilities = application.capabilities();
    if (last?.capabilities !== capabilities) last = { capabilities, text: JSON.stringify(capabilities) };
    sendJson(wire, 200, last.text);
  };
}
