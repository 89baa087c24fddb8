// What all engine processes of one supervisor share, the times among it: how long things may take and how
// often they are looked at. The contract fixes those numbers; tests bring shorter ones.

import type { Clock } from "./clock.ts";
import type { Environment, ParentBinding } from "./engine-child.ts";
import type { Log } from "./log.ts";
import type { ProcessFiles } from "./process-files.ts";

export interface Surroundings {
  readonly clock: Clock;
  readonly times: SupervisionTimes;
  readonly files: ProcessFiles;
  /** What every engine finds in its environment, besides what its own launch says. */
  readonly env: Environment;
  readonly binding: ParentBinding | undefined;
  readonly log: Log;
  /** Attempts that run on a pool now. */
  readonly activeLeases: (poolId: string) => number;
}

export interface SupervisionTimes {
  readonly pollMs: number;
  /** While it is not ready it is asked more often, for as long as people still look at the screen. */
  readonly eagerPollMs: number;
  readonly eagerForMs: number;
  readonly pollTimeoutMs: number;
  readonly failedPollsMax: number;
  readonly readyWithinMs: number;
  readonly graceMs: number;
}

export const contractTimes: SupervisionTimes = {
  pollMs: 500,
  eagerPollMs: 50,
  eagerForMs: 10_000,
  pollTimeoutMs: 2000,
  failedPollsMax: 3,
  readyWithinMs: 120_000,
  graceMs: 5000,
};
