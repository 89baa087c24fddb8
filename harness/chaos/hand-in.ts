// How a task comes to an installation that may be away, full or just leaving: it is handed in again until
// somebody answers, always with the same fields.

import { setTimeout as delay } from "node:timers/promises";
import type { AdmissionResponse, TaskRequest } from "@llama-orch/contract";
import type { Life, Stage } from "./life.ts";
import { afterLoss, ask } from "./wire.ts";

/** For as long as this a refusal is taken for a passing one: nobody can say how long a prompt is before an
 * engine has loaded its model, and a daemon that is killed takes its engines with it. */
const refusedWithinMs = 30_000;
const askAgainMs = 400;

/** Undefined where it was refused for as long as anybody asks. */
export async function handIn(
  life: Pick<Life, "postedAtMs" | "refusal"> & { readonly task: { readonly unheardMs?: number } },
  request: TaskRequest,
  { url, signal }: Omit<Stage, "model">,
): Promise<AdmissionResponse | undefined> {
  const { postedAtMs, task } = life;
  const tasksUrl = `${url}/v1/tasks`;
  if (task.unheardMs !== undefined) {
    postedAtMs.push(performance.now());
    const hangUp = AbortSignal.any([signal, AbortSignal.timeout(task.unheardMs)]);
    await ask("POST", tasksUrl, request, hangUp).catch(() => {
      // Whatever comes of it, nobody hears it.
    });
  }
  let refusedAtMs: number | undefined;
  for (;;) {
    postedAtMs.push(performance.now());
    try {
      const { status, body } = await ask("POST", tasksUrl, request, signal);
      if (status === 202) return JSON.parse(body) as AdmissionResponse;
      if (status !== 503 && status !== 429) throw new Error(`Task ${request.task_id} got ${status}: ${body}`);
      refusedAtMs ??= performance.now();
      life.refusal = refusalIn(body);
      if (performance.now() - refusedAtMs > refusedWithinMs) return undefined;
      await delay(askAgainMs, undefined, { signal });
    } catch (error) {
      await afterLoss(error, signal);
      // Whoever comes back has engines to start first.
      refusedAtMs = undefined;
    }
  }
}

/** Its code, and the policy behind it where one is named. */
function refusalIn(body: string): string {
  const { code, policy_label: label } = JSON.parse(body) as { code: string; policy_label?: string };
  return label === undefined ? code : `${code} (${label})`;
}
