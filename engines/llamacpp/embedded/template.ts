// Renders messages by the chat template that the model file carries.

import { Template } from "@huggingface/jinja";
import type { LlamaModel } from "node-llama-cpp";
import { type Body, booleanIn, isObject } from "./fields.ts";
import { invalid } from "./refusal.ts";

/** @throws Refusal when the model has no template or the messages do not fit it */
export function applyTemplate(model: LlamaModel, body: Body): string {
  const source = chatTemplateOf(model);
  if (source === undefined) throw invalid("This model has no chat template; send a prompt instead");
  const { messages } = body;
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isObject)) {
    throw invalid(`"messages" must be a list of at least one message with role and content`);
  }
  const { bosString, eosString, shouldPrependBosToken } = model.tokens;
  const variables = {
    messages,
    bos_token: bosString ?? "",
    eos_token: eosString ?? "",
    add_generation_prompt: booleanIn(body, "add_generation_prompt", true),
  };
  const text = render(source, variables);
  // A prompt gets this token when it is tokenized, and must not get it twice.
  const isDoubled = shouldPrependBosToken && bosString && text.startsWith(bosString);
  return isDoubled ? text.slice(bosString.length) : text;
}

export function chatTemplateOf(model: LlamaModel): string | undefined {
  const template: unknown = model.fileInfo.metadata.tokenizer?.chat_template;
  return typeof template === "string" ? template : undefined;
}

function render(source: string, variables: Record<string, unknown>): string {
  try {
    return new Template(source).render(variables);
  } catch (cause) {
    throw invalid(`The chat template refuses these messages: ${(cause as Error).message}`);
  }
}
