// What an installation must still be able to do once it is healed: every slot serves, all at once, and an
// engine that gives other tokens when it makes a text again is found out. To be asked when nothing else
// runs.

import type { PoolList } from "@llama-orch/contract";
import type { EngineUnderTest, Installation } from "./installation.ts";
import { requestOf } from "./lives.ts";
import type { Violation } from "./outcomes.ts";
import type { Plan, Variant } from "./plan.ts";
import { flip } from "./plan-faults.ts";
import { scrape } from "./stillness.ts";
import { once } from "./undisturbed.ts";
import { askJson } from "./wire.ts";

export interface Probed {
  readonly violations: readonly Violation[];
  /** How many it took. */
  readonly tasks: number;
}

export async function probe(
  installation: Installation,
  { seed, variants }: Plan,
  texts: readonly string[],
): Promise<Probed> {
  const { url, model } = installation;
  const { pools } = await askJson<PoolList>("GET", `${url}/v2/pools`);
  const ready = pools.filter(({ health }) => health.ready);
  const violations: Violation[] = [];
  const lostBefore = (await scrape(url)).sum("attempts_lost_total");
  const wishes = ready.flatMap(({ pool_id, health }) =>
    Array.from({ length: health.metrics.slots_total ?? 0 }, (_, n) => ({ pool_id, n: n % variants.length })),
  );
  await Promise.all(
    wishes.map(async ({ pool_id, n }, at) => {
      const id = `probe-${seed}-${at}`;
      const variant = variants[n] as Variant;
      const { bytes } = await once(url, { ...requestOf(id, variant, model), placement: pinned(pool_id) });
      if (bytes === texts[n]) return;
      violations.push({ verdict: "mismatched", message: `${id} differs on the healed pool ${pool_id}.` });
    }),
  );
  const lost = (await scrape(url)).sum("attempts_lost_total") - lostBefore;
  if (lost > 0) {
    violations.push({ verdict: "leaked", message: `${lost} attempts were lost when every slot was used.` });
  }
  const liar = installation.engines.find(
    (engine) => engine.faults !== undefined && ready.some(({ pool_id }) => pool_id === engine.poolId),
  );
  if (liar !== undefined) violations.push(...(await lie(installation, liar, seed, variants[0] as Variant)));
  return { violations, tasks: wishes.length + (liar === undefined ? 0 : 1) };
}

const pinned = (poolId: string) => ({ mode: "pin", pin_pool_id: poolId }) as const;

async function lie(
  { url, model }: Installation,
  engine: EngineUnderTest,
  seed: number,
  variant: Variant,
): Promise<Violation[]> {
  const before = (await scrape(url)).sum("replay_mismatch_total");
  await engine.faults?.({ ...flip, times: 1 });
  const request = { ...requestOf(`lie-${seed}`, variant, model), placement: pinned(engine.poolId) };
  const { terminal } = await once(url, request);
  const found = (await scrape(url)).sum("replay_mismatch_total") - before;
  if (found === 1 && terminal?.data.code === "WORKER_RESET") return [];
  const message = `A flipped token was found ${found} times; its stream ended with ${JSON.stringify(terminal)}.`;
  return [{ verdict: "mismatched", message }];
}
