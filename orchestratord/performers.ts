// From every effect to what does it. Each row acts at once or starts something that goes on by itself.

import type { Orchestrator } from "@llama-orch/core";
import type { Attempts } from "./attempts.ts";
import type { Endings } from "./endings.ts";
import type { Observer } from "./observer.ts";
import type { Performers } from "./perform.ts";
import type { Recorder } from "./recorder.ts";
import type { Reloads } from "./reloads.ts";
import type { Store } from "./store/store.ts";
import type { Submissions } from "./submissions.ts";
import type { Tasks } from "./tasks.ts";
import type { Timers } from "./timers.ts";
import type { WaitingPulse } from "./waiting-pulse.ts";

export interface Performing {
  readonly core: Orchestrator;
  readonly submissions: Submissions;
  readonly attempts: Attempts;
  readonly endings: Endings;
  readonly reloads: Reloads;
  readonly timers: Timers;
  readonly waitingPulse: WaitingPulse;
  readonly tasks: Tasks;
  readonly store: Store;
  readonly recorder: Recorder;
  readonly observer: Observer;
  readonly drains: Drains;
}

/** Of the last drain that was begun: whoever asked for it waits until it is safe. */
export interface Drains {
  recorded: Promise<void>;
}

export function performersOf(parts: Performing): Performers {
  const { submissions, attempts, endings, reloads, timers, waitingPulse, tasks, recorder } = parts;
  const nothing = () => {};
  return {
    AcceptTask: (effect) => {
      submissions.accept(effect);
      waitingPulse.start();
    },
    RefuseTask: nothing,
    RepeatAnswer: nothing,
    DispatchAttempt: (effect) => attempts.dispatch(effect),
    CloseGate: ({ jobId }) => tasks.job(jobId)?.stream.closeGate(),
    AbortAttempt: (effect) => attempts.abort(effect),
    EndTask: (effect) => endings.end(effect),
    DrainPool: ({ poolId }) => recordDrain(parts, poolId),
    EndDrain: nothing,
    SwapModel: (effect) => reloads.swap(effect),
    AnswerReload: (effect) => {
      recorder.undrained(effect.poolId);
      reloads.answer(effect);
    },
    SetTimer: ({ timer, atMs }) => timers.set(timer, atMs),
    ClearTimer: ({ timer }) => timers.clear(timer),
    Note: nothing,
  };
}

/** A drain for a reload ends with it, and after a restart nobody goes on with that. */
function recordDrain({ core, store, observer, drains }: Performing, poolId: string): void {
  const pool = core.state.pools.get(poolId);
  const { draining, reload } = pool ?? {};
  if (draining === undefined) return;
  if (reload !== undefined && !reload.wasDraining && !reload.drainAsked) return;
  const { sinceMs, deadlineAtMs } = draining;
  drains.recorded = store.commit([{ fact: "drained", poolId, sinceMs, deadlineAtMs }]);
  drains.recorded.catch((error) => observer.trouble("A drain could not be recorded.", error));
}
