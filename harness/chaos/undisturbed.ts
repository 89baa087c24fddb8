// What the texts of a round are when nothing goes wrong: each made alone, byte for byte as it is streamed.

import { handIn } from "./hand-in.ts";
import type { Place } from "./life.ts";
import { requestOf, streamUrl } from "./lives.ts";
import type { Variant } from "./plan.ts";
import { readOnce } from "./reader.ts";
import { Received } from "./received.ts";

export async function undisturbed(
  { url, model }: Place,
  name: string,
  variants: readonly Variant[],
): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const [n, variant] of variants.entries()) {
    const { bytes, terminal } = await once(url, { ...requestOf(`${name}-${n}`, variant, model) });
    if (terminal?.event !== "end") throw new Error(`An undisturbed task failed: ${JSON.stringify(terminal)}`);
    texts.push(bytes);
  }
  return texts;
}

/** Hands a task in and reads it to its end, on one connection. */
export async function once(url: string, request: ReturnType<typeof requestOf>): Promise<Received> {
  const received = new Received();
  const { signal } = new AbortController();
  const admission = await handIn({ postedAtMs: [], task: {} }, request, { url, signal });
  if (admission === undefined) throw new Error(`Task ${request.task_id} is refused.`);
  await readOnce(streamUrl(url, request.task_id), received);
  return received;
}
