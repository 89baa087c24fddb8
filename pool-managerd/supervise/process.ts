// One engine process after another behind one replica: started, watched, started again, ended. It owns
// the state below and is the only one to change it; it decides nothing about tasks.
//
//   stopped      There is no process and none is wanted. The beginning; after stop(), after an engine that
//                left by itself with exit code 0, and after one that went while draining.
//   starting     A process is being made, or it is there and nothing has answered yet. By start() from
//                stopped or failed, and by the timer from backing_off.
//   loading      The engine answers, and says that its model is not there yet (503). From starting.
//   ready        Its health has passed (200). The only state in which it may be given tasks. From starting
//                and loading; by resume() from draining.
//   draining     It serves what it has and gets nothing new. By drain() from ready.
//   stopping     The process is being ended by us: politely by stop(), then by force; by force at once when
//                it does not answer any more or was not ready in time. From every state with a process.
//   backing_off  There is no process; one will be started when the pause is over. From every state with a
//                process, draining excepted, when that process is gone and nobody asked for it.
//   failed       As backing_off, but it was started again too often, or what it needs was refused before it
//                had ever served; only start() begins anew.
//
// Each state is announced when it is entered. `stopping` has no word of its own outside: it is `backing_off`
// when another process will follow; else `draining` if this one has served, and `stopped` if it never did.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { ReplicaAnnouncement, ReplicaFault, ReplicaPhase } from "@llama-orch/contract";
import type { EngineLaunch } from "@llama-orch/engines/provision";
import type { RestartBreaker } from "./breaker.ts";
import { pause } from "./clock.ts";
import { type EngineChild, startChild } from "./engine-child.ts";
import type { EngineLog } from "./engine-log.ts";
import { cleaned, type Ending, type Explained, explain } from "./fault.ts";
import { type Health, pollHealth } from "./health.ts";
import { fieldsOf, type LogLine, type Supervised } from "./log.ts";
import { isLeaving, memoryKills } from "./process-identity.ts";
import { enteredFrom, type Phase, type Settled, settledIn } from "./settled.ts";
import type { Surroundings } from "./surroundings.ts";

export interface ProcessOptions extends Surroundings, Supervised {
  readonly engineLog: EngineLog;
  readonly breaker: RestartBreaker;
  /** Puts everything in place that has to be there before a process can be; called for each one. */
  readonly prepare: (apiKey: string) => Promise<EngineLaunch>;
  /** Texts that must not appear where people read. */
  readonly secrets: readonly string[];
  readonly announce: (announcement: ReplicaAnnouncement) => void;
}

/** One process, from the wish for it to its end. */
interface Run {
  readonly controller: AbortController;
  readonly startedAtMs: number;
  readonly memoryKills: number | undefined;
  /** What it said last. */
  readonly lines: string[];
  readonly timers: (() => void)[];
  done: Promise<void>;
  /** Made for this process alone, so that nobody else on the machine can use it. */
  readonly apiKey: string;
  launch?: EngineLaunch;
  child?: EngineChild;
  url?: string;
  readyAtMs?: number;
  failedPolls: number;
  /** Set when we end it. */
  ending?: { readonly restart: boolean; readonly cause?: Ending };
}

const linesKept = 20;

export class SupervisedProcess {
  readonly #options: ProcessOptions;
  #phase: Phase = "stopped";
  #epoch = 0;
  #run: Run | undefined;
  #restarts = 0;
  #restartAtMs = 0;
  #cancelRestart: (() => void) | undefined;
  #loadMs: number | undefined;
  #engineVersion: string | undefined;
  #lastError: string | undefined;
  #fault: ReplicaFault | undefined;
  #muted = false;
  readonly #waiting: ((settled: Settled) => void)[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get replicaId(): string {
    return this.#options.replicaId;
  }

  /** As the one who launched it knows it. */
  get engineVersion(): string | undefined {
    return this.#engineVersion;
  }

  /** From stopped or failed. What went wrong before is forgotten. */
  start(): void {
    this.#options.breaker.forget();
    this.#restarts = 0;
    this.#lastError = undefined;
    this.#fault = undefined;
    this.#begin();
  }

  /** Nothing new will be given to it; one that does not serve has nothing to finish and is ended. */
  drain(): Promise<void> {
    if (this.#phase === "draining") return Promise.resolve();
    if (this.#phase !== "ready") return this.stop();
    this.#enter("draining");
    return Promise.resolve();
  }

  /** Takes a drain back while the process is still there. */
  resume(): void {
    this.#enter("ready");
  }

  /** From any state. Resolves when there is no process. */
  async stop(): Promise<void> {
    const run = this.#run;
    if (run === undefined) {
      this.#cancelRestart?.();
      if (this.#phase !== "stopped") this.#enter("stopped");
      return;
    }
    // What has been begun goes on: who stops it once more gives it no second grace.
    if (run.ending?.restart !== false) {
      run.ending = { ...run.ending, restart: false };
      // Nothing that was waited for may strike while it ends.
      unwatch(run);
      if (this.#phase === "stopping") this.#announce();
      else this.#enter("stopping");
      if (run.child !== undefined) this.#terminate(run, run.child);
    }
    await run.done;
  }

  /** Whether the start under way, or the last one, made it ready. */
  settled(): Promise<Settled> {
    const known = settledIn(this.#phase, this.#lastError);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** A muted process is not told about; unmuting tells where it stands. */
  mute(muted: boolean): void {
    this.#muted = muted;
    if (!muted) this.#announce();
  }

  #begin(): void {
    const { clock, files } = this.#options;
    const run: Run = {
      controller: new AbortController(),
      startedAtMs: clock.nowMs(),
      memoryKills: memoryKills(),
      lines: [],
      timers: [],
      done: Promise.resolve(),
      apiKey: randomBytes(24).toString("hex"),
      failedPolls: 0,
    };
    this.#run = run;
    this.#epoch = files.nextEpoch();
    this.#enter("starting");
    run.done = this.#live(run);
  }

  async #live(run: Run): Promise<void> {
    const ending = await this.#process(run).catch(
      (error: unknown): Ending => ({ kind: "not_started", error }),
    );
    unwatch(run);
    this.#run = undefined;
    // What left in any other way had gone by itself before our SIGKILL came, whatever that was for.
    const killed = ending.kind === "exited" && ending.signal === "SIGKILL";
    this.#ended(run, (killed ? run.ending?.cause : undefined) ?? ending);
  }

  async #process(run: Run): Promise<Ending> {
    const { files, poolId, replicaId, prepare } = this.#options;
    const { signal } = run.controller;
    const launch = await prepare(run.apiKey);
    run.launch = launch;
    this.#engineVersion = launch.prepared.engine_version;
    signal.throwIfAborted();
    const child = await startChild(launch, this.#options, (line) => this.#heard(run, launch, line));
    run.child = child;
    try {
      files.add(child.pid, poolId, replicaId);
      if (signal.aborted) this.#terminate(run, child);
      else this.#attend(run, launch, child);
    } catch (error) {
      // A process that nobody watches or could find again must not be.
      child.signal("SIGKILL");
      await child.ended;
      throw error;
    }
    const exit = await child.ended;
    files.remove(child.pid);
    return { kind: "exited", ...exit };
  }

  #attend(run: Run, launch: EngineLaunch, child: EngineChild): void {
    const { clock, times } = this.#options;
    const late: Ending = { kind: "not_ready", withinMs: times.readyWithinMs };
    run.timers.push(clock.after(times.readyWithinMs, () => run.readyAtMs ?? this.#kill(run, child, late)));
    // Its last words may come half a second later: they say more than polls that nobody can answer.
    child.gone.addEventListener("abort", () => unwatch(run));
    this.#announce();
    void this.#watch(run, launch, child);
  }

  #heard(run: Run, { listening }: EngineLaunch, line: string): void {
    const { engineLog, replicaId } = this.#options;
    const clean = cleaned(line, this.#secretsOf(run));
    engineLog.write(replicaId, clean);
    run.lines.push(clean);
    if (run.lines.length > linesKept) run.lines.shift();
    if (run.url !== undefined) return;
    const url = listening.exec(line)?.[1];
    if (url !== undefined && URL.canParse(url)) run.url = url;
  }

  async #watch(run: Run, { healthPath }: EngineLaunch, child: EngineChild): Promise<void> {
    const { clock, times } = this.#options;
    const { signal } = run.controller;
    while (!signal.aborted) {
      const askedAtMs = clock.nowMs();
      if (run.url !== undefined) {
        const health = await pollHealth(new URL(healthPath, run.url), times.pollTimeoutMs, signal);
        if (signal.aborted) return;
        this.#judge(run, child, health);
      }
      const eager = run.readyAtMs === undefined && clock.nowMs() - run.startedAtMs < times.eagerForMs;
      const spentMs = clock.nowMs() - askedAtMs;
      await pause(clock, Math.max(0, (eager ? times.eagerPollMs : times.pollMs) - spentMs), signal);
    }
  }

  #judge(run: Run, child: EngineChild, health: Health): void {
    const { times } = this.#options;
    if (run.readyAtMs === undefined) {
      if (health === "ready") this.#becomeReady(run);
      else if (health === "loading" && this.#phase === "starting") this.#enter("loading");
      return;
    }
    run.failedPolls = health === "ready" ? 0 : run.failedPolls + 1;
    if (run.failedPolls < times.failedPollsMax) return;
    const leaving = isLeaving(child.pid);
    this.#kill(run, child, leaving ? { kind: "leaving" } : { kind: "hung", polls: run.failedPolls });
  }

  #becomeReady(run: Run): void {
    const readyAtMs = this.#options.clock.nowMs();
    run.readyAtMs = readyAtMs;
    this.#loadMs = Math.round(readyAtMs - run.startedAtMs);
    this.#lastError = undefined;
    this.#fault = undefined;
    this.#enter("ready");
    this.#log("info", "engine_ready", `Replica ${this.#name} is ready after ${this.#loadMs} ms.`);
  }

  /** By force and at once: it does not listen. */
  #kill(run: Run, child: EngineChild, cause: Ending): void {
    const isWhy = cause.kind !== "leaving";
    run.ending = { restart: this.#phase !== "draining", ...(isWhy && { cause }) };
    this.#explain(run, cause);
    unwatch(run);
    this.#enter("stopping");
    child.signal("SIGKILL");
  }

  #terminate(run: Run, child: EngineChild): void {
    const { clock, times } = this.#options;
    child.signal("SIGTERM");
    run.timers.push(clock.after(times.graceMs, () => child.signal("SIGKILL")));
  }

  #ended(run: Run, ending: Ending): void {
    const { clock, breaker } = this.#options;
    const asked = this.#phase === "stopping" && run.ending?.restart === false;
    if (asked && run.ending?.cause === undefined) return this.#enter("stopped");
    const { clean, refused } = this.#explain(run, ending);
    if (asked || clean || this.#phase === "draining") {
      this.#log("warn", "engine_ended", `Replica ${this.#name} ended and is not started again.`);
      return this.#enter("stopped");
    }
    // What served before may lie on a disk that is only away for a while.
    if (refused && this.#loadMs === undefined) {
      const human = `Replica ${this.#name} cannot be started as it is configured; mend that, then reload its pool.`;
      this.#log("error", "engine_given_up", human);
      return this.#enter("failed");
    }
    const nowMs = clock.nowMs();
    const verdict = breaker.failed(nowMs, run.readyAtMs === undefined ? 0 : nowMs - run.readyAtMs);
    if (verdict.kind === "give-up") {
      const human = `Replica ${this.#name} was restarted ${verdict.restarts} times in a short while and is given up; reload its pool.`;
      this.#log("error", "engine_given_up", human);
      return this.#enter("failed");
    }
    this.#restarts++;
    this.#restartAtMs = nowMs + verdict.afterMs;
    this.#cancelRestart = clock.after(verdict.afterMs, () => this.#begin());
    const trial = verdict.kind === "pause" ? ", once, as a trial" : "";
    const human = `Replica ${this.#name} is started again in ${verdict.afterMs} ms${trial}.`;
    this.#log("warn", "engine_restart_scheduled", human, { backoff_ms: verdict.afterMs });
    this.#enter("backing_off");
  }

  #explain(run: Run, ending: Ending): Explained {
    const kills = memoryKills();
    const killedForMemory = kills !== undefined && run.memoryKills !== undefined && kills > run.memoryKills;
    const heard = { lines: run.lines, killedForMemory };
    const explained = explain(ending, heard, this.#secretsOf(run));
    this.#lastError = explained.lastError;
    this.#fault = explained.fault;
    return explained;
  }

  #enter(phase: Phase): void {
    assert(
      enteredFrom[phase].includes(this.#phase),
      `${this.#name} cannot go from ${this.#phase} to ${phase}`,
    );
    this.#phase = phase;
    this.#announce();
    const settled = settledIn(phase, this.#lastError);
    if (settled !== undefined) for (const resolve of this.#waiting.splice(0)) resolve(settled);
  }

  #announce(): void {
    if (this.#muted) return;
    const { poolId, replicaId, engine, announce } = this.#options;
    const run = this.#run;
    const readyInMs = this.#readyInMs();
    const phase = this.#outwardPhase();
    const serves = phase === "ready" || phase === "draining";
    announce({
      poolId,
      replicaId,
      engine,
      phase,
      epoch: this.#epoch,
      ...(run?.url !== undefined && { url: run.url }),
      ...(run?.url !== undefined && { apiKey: run.apiKey }),
      ...(run?.child !== undefined && { pid: run.child.pid }),
      ...(run?.launch?.modelDigest !== undefined && { modelDigest: run.launch.modelDigest }),
      ...(readyInMs !== undefined && { readyInMs }),
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
      ...(this.#fault !== undefined && !serves && { fault: this.#fault }),
    });
  }

  #outwardPhase(): ReplicaPhase {
    if (this.#phase !== "stopping") return this.#phase;
    if (this.#run?.ending?.restart === true) return "backing_off";
    return this.#run?.readyAtMs === undefined ? "stopped" : "draining";
  }

  #readyInMs(): number | undefined {
    const { clock } = this.#options;
    if (this.#phase === "backing_off") {
      return Math.round(Math.max(0, this.#restartAtMs - clock.nowMs()) + (this.#loadMs ?? 0));
    }
    if (this.#loadMs === undefined || this.#run === undefined) return undefined;
    if (this.#phase !== "starting" && this.#phase !== "loading") return undefined;
    return Math.round(Math.max(0, this.#run.startedAtMs + this.#loadMs - clock.nowMs()));
  }

  #secretsOf(run: Run): readonly string[] {
    return [...this.#options.secrets, run.apiKey];
  }

  get #name(): string {
    return `${this.#options.poolId}/${this.#options.replicaId}`;
  }

  #log(level: LogLine["level"], event: string, human: string, more: Partial<LogLine> = {}): void {
    const standing = { restarts: this.#restarts, engineVersion: this.#engineVersion };
    const wrong = { lastError: this.#lastError, fault: this.#fault };
    const about = fieldsOf(this.#options, { ...standing, ...wrong });
    this.#options.log({ level, event, human, ...about, ...more });
  }
}

/** Nothing is asked of it any more, and nothing can be late. */
function unwatch(run: Run): void {
  run.controller.abort();
  for (const cancel of run.timers) cancel();
}
