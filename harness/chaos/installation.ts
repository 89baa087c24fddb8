// A real installation under test: one daemon with its engines, all of them processes. It can be disturbed
// from outside and says how to look at it; what is done to it, and what must hold, is not its business.

import type { FakeFaults } from "@llama-orch/engines/fake";
import type { DaemonProcess } from "./daemon-process.ts";

export interface Installation {
  /** The same in all lives of the daemon. */
  readonly url: string;
  /** The process that decides and streams. */
  readonly daemon: DaemonProcess;
  readonly model: string;
  /** Where the daemon writes its log lines, those of all its lives. */
  readonly logFile: string;
  /** What the daemon keeps, as it is reached from here. */
  readonly dataDir: string;
  readonly engines: readonly EngineUnderTest[];
  /** Absent where the disk is the machine's. */
  readonly disk?: DiskUnderTest;
  /** Why it has no disk of its own although one was wanted. */
  readonly withoutDisk?: string;
  /** Every engine process there ever was. */
  pids(): readonly number[];
  /** Ends everything, kindly. */
  stop(): Promise<void>;
}

export interface DiskUnderTest {
  /** Not one byte more can be written. */
  fill(): void;
  empty(): void;
  /** Copies what is on it, for a person to look into. */
  save(folder: string): void;
}

export interface EngineUnderTest {
  readonly poolId: string;
  /** Its texts are made again after a loss, and must come out equal. */
  readonly isStrict: boolean;
  /** kill -9, and the return of one that nobody else starts again. False where there was nothing to kill. */
  kill(downMs: number): Promise<boolean>;
  /** False where there is no process. */
  signal(name: "SIGSTOP" | "SIGCONT"): boolean;
  /** Only an engine that can be broken on demand; no argument heals it. */
  faults?(faults?: FakeFaults): Promise<void>;
  /** Slots that are taken, where the engine says so to anybody. */
  busySlots?(): Promise<number>;
}

/** What both installations are configured with. */
export const common = {
  shutdown_ms: 1000,
  nodes: { poll_interval_ms: 100 },
  // Long frames go to the disk early, and a reader who is only away does not lose its task.
  stream: { ring_bytes: 4096, disconnect_grace_ms: 3000 },
  // A clock that jumps some minutes forward makes no finished stream too old to be served again.
  retention: { streams_ms: 7_200_000 },
  slo: { interactive: { first_token_p95_ms: 600_000, error_rate: 0.99 }, batch: { error_rate: 0.99 } },
};

/** Pools fail again and again here, and are to be used all the same. */
export const hardened = {
  engine: "llamacpp",
  devices: [],
  allow_cpu: true,
  queue: { capacity: 10_000 },
  timeouts: { idle_ms: 800, first_token_ms: 2000 },
  supervision: { initial_ms: 100, max_ms: 300, threshold: 1000, max_restarts: 10_000 },
};
