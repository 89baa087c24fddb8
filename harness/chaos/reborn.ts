// One more kill when all is over and nothing runs: the next life of the daemon must serve every finished
// stream as the one before did, to the byte, and must know by its first answer every task that was ever
// admitted.

import { isDeepStrictEqual } from "node:util";
import type { Installation } from "./installation.ts";
import type { Life } from "./life.ts";
import { requestFor, streamUrl } from "./lives.ts";
import type { Violation } from "./outcomes.ts";
import type { Variant } from "./plan.ts";
import { readOnce } from "./reader.ts";
import { Received } from "./received.ts";
import { ask } from "./wire.ts";

const shownMax = 300;
const readWithinMs = 10_000;
const atOnce = 8;

export async function reborn(
  installation: Installation,
  lives: readonly Life[],
  variants: readonly Variant[],
  before: ReadonlyMap<string, Received>,
): Promise<Violation[]> {
  const { url, daemon, model } = installation;
  await daemon.kill();
  await daemon.start();
  const violations: Violation[] = [];
  for (const [id, stream] of await readAgain(url, [...before.keys()])) {
    const [was, is] = [before.get(id)?.frames.join("") ?? "", stream.frames.join("")];
    if (was === is) continue;
    const message = `${id} is served differently after a restart: ${is.slice(-shownMax)} for ${was.slice(-shownMax)}`;
    violations.push({ verdict: "mismatched", message });
  }
  await inParallel(lives, async ({ task, admission }) => {
    if (admission === undefined) return;
    const request = requestFor(task, variants[task.variant] as Variant, model);
    const { status, body } = await ask("POST", `${url}/v1/tasks`, request);
    if (status === 202 && isDeepStrictEqual(JSON.parse(body), admission)) return;
    const first = JSON.stringify(admission);
    const message = `${task.id} was handed in again: ${status} ${body.slice(0, shownMax)} for ${first}`;
    violations.push({ verdict: "duplicated", message });
  });
  return violations;
}

export async function readAgain(url: string, ids: readonly string[]): Promise<Map<string, Received>> {
  const streams = new Map<string, Received>();
  await inParallel(ids, async (id) => {
    const received = new Received();
    streams.set(id, received);
    await readOnce(streamUrl(url, id), received, { withinMs: readWithinMs });
  });
  return streams;
}

async function inParallel<T>(all: readonly T[], each: (one: T) => Promise<void>): Promise<void> {
  const left = all.values();
  const some = async () => {
    for (const one of left) await each(one);
  };
  await Promise.all(Array.from({ length: atOnce }, some));
}
