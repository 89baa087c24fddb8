// From every effect to what does it. Each row acts at once or starts something that goes on by itself.

import type { Orchestrator } from "@llama-orch/core";
import type { Attempts } from "./attempts.ts";
import type { Drains } from "./drains.ts";
import type { Endings } from "./endings.ts";
import type { Performers } from "./perform.ts";
import type { Reloads } from "./reloads.ts";
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
  readonly drains: Drains;
}

export function performersOf(parts: Performing): Performers {
  const { submissions, attempts, endings, reloads, timers, waitingPulse, tasks, drains } = parts;
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
    DrainPool: ({ poolId }) => drains.record(poolId),
    EndDrain: nothing,
    SwapModel: (effect) => reloads.swap(effect),
    AnswerReload: (effect) => {
      // What is answered is that the pool serves, so it must not be found drained after a restart.
      if (effect.ok) drains.record(effect.poolId);
      reloads.answer(effect, effect.ok ? drains.recorded(effect.poolId) : undefined);
    },
    SetTimer: ({ timer, atMs }) => timers.set(timer, atMs),
    ClearTimer: ({ timer }) => timers.clear(timer),
    Note: nothing,
  };
}
