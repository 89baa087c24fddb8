// What a llama-server with the demo model can do, in the size that the conformance suite starts it.

import type { EngineFacts } from "../adapter.conformance.ts";

export const haikuFacts: EngineFacts = {
  slots: 1,
  ctxMax: 256,
  features: ["completion", "interruptible_decode", "json_schema"],
  prompt: "Write a haiku about the moon.<|poem|>",
  messages: true,
};
