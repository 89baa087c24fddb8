// Fake clients: they hand tasks in, wait as long as they are told before they try again, read, leave and come
// back, cancel, and send the same task twice. What each of them saw is kept and compared.

import type { Task } from "@llama-orch/contract";
import type { Effect, TaskSubmitted } from "@llama-orch/core";
import type { Clock } from "./clock.ts";
import type { Body, Daemon } from "./daemon.ts";
import type { Load, Mix } from "./mix.ts";
import { hash, type Random } from "./random.ts";
import type { Relay, Stream } from "./relay.ts";

/** One task of one client, with what it has seen. */
export interface Client {
  readonly jobId: string;
  readonly task: Task;
  readonly event: Body<TaskSubmitted>;
  tries: number;
  accepted: boolean;
  gone: boolean;
  reading: boolean;
  /** Reads, unless it never does. */
  readonly reads: boolean;
  readonly seen: string[];
}

export interface ClientsOptions {
  readonly mix: Mix;
  readonly clock: Clock;
  readonly random: Random;
  readonly daemon: Daemon;
  readonly relay: Relay;
}

const triesMax = 4;

export class Clients {
  readonly #options: ClientsOptions;
  readonly byJobId = new Map<string, Client>();
  /** When somebody was refused, and when it came again as it was told to. */
  readonly returns: { readonly refusedAtMs: number; readonly cameAtMs: number }[] = [];
  #planned = 0;
  #waitingToSend = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** Nothing is left that any of them would still do. */
  get areDone(): boolean {
    return this.#planned >= this.#options.mix.load.tasks && this.#waitingToSend === 0;
  }

  begin(startMs: number): void {
    const { mix, clock, random } = this.#options;
    const { tasks, perS, burst } = mix.load;
    let atMs = startMs;
    for (let i = 0; i < tasks; i++) {
      if (i % burst === 0) atMs += random.gapMs((1000 * burst) / perS);
      clock.at(atMs, () => {
        this.#planned++;
        this.send(this.draw(i));
      });
    }
  }

  draw(number: number): Client {
    const { mix, random } = this.#options;
    const task = drawTask(mix, random, number);
    return this.clientOf(task, random, {
      reads: random.chance(mix.load.readerShare),
      huge: random.chance(mix.load.hugeShare),
      memory: random.chance(mix.load.memoryShare),
    });
  }

  clientOf(
    task: Task,
    random: Random,
    wishes: { readonly reads: boolean; readonly huge: boolean; readonly memory: boolean },
  ): Client {
    const promptTokens = wishes.huge ? random.integer(3000, 9000) : random.integer(5, 120);
    const jobId = `job-${task.tenantId}-${task.taskId}`;
    const body = random.integer(20, 400);
    const event: Body<TaskSubmitted> = {
      type: "TaskSubmitted",
      jobId,
      task,
      fingerprint: `fp-${task.taskId}`,
      client: `client-${hash(task.sessionId) % 5}`,
      promptBytes: promptTokens + 2,
      ...(random.chance(0.7) && { promptTokens }),
      bodyBytes: wishes.huge ? 100 * body : body,
      ...(wishes.memory && { memoryBytes: random.pick([1e9, 5e9]) }),
    };
    return {
      jobId,
      task,
      event,
      tries: 0,
      accepted: false,
      gone: false,
      reading: false,
      reads: wishes.reads,
      seen: [],
    };
  }

  send(client: Client): readonly Effect[] {
    const { daemon } = this.#options;
    client.tries++;
    if (!daemon.isUp) {
      this.#retry(client, 500);
      return [];
    }
    const effects = daemon.say(client.event);
    for (const effect of effects) {
      if (effect.type === "AcceptTask" && effect.jobId === client.jobId) this.#accepted(client);
      if (effect.type !== "RefuseTask") continue;
      const { retry_after_ms: afterMs } = effect.details;
      if (afterMs !== undefined) this.#retry(client, afterMs);
    }
    return effects;
  }

  /** To be called before the first attempt of an accepted task begins. */
  open(jobId: string, event: Body<TaskSubmitted> | undefined): void {
    if (event === undefined) return;
    const { task, promptBytes } = event;
    const digest = hash(task.taskId, task.tenantId);
    const prompt = { digest, seed: task.seed, maxTokens: task.maxTokens };
    this.#options.relay.open(jobId, prompt, promptBytes - 2);
  }

  #retry(client: Client, afterMs: number): void {
    const { clock } = this.#options;
    if (client.tries >= triesMax) return;
    this.#waitingToSend++;
    const refusedAtMs = clock.nowMs;
    clock.after(afterMs, () => {
      this.#waitingToSend--;
      this.returns.push({ refusedAtMs, cameAtMs: clock.nowMs });
      this.send(client);
    });
  }

  #accepted(client: Client): void {
    const { clock, random, mix } = this.#options;
    const { load } = mix;
    client.accepted = true;
    this.byJobId.set(client.jobId, client);
    if (client.reads) this.#connect(client);
    if (random.chance(load.leaveShare)) clock.after(random.gapMs(800), () => this.#leave(client));
    if (random.chance(load.cancelShare)) clock.after(random.gapMs(1500), () => this.cancel(client));
    if (random.chance(load.repeatShare)) clock.after(random.gapMs(3000), () => this.#repeat(client));
  }

  cancel({ task }: Client): readonly Effect[] {
    const { tenantId, taskId } = task;
    return this.#options.daemon.say({ type: "TaskCanceled", tenantId, taskId });
  }

  #repeat(client: Client): void {
    const { daemon, random } = this.#options;
    const other = random.chance(0.3);
    const fingerprint = other ? `${client.event.fingerprint}-other` : client.event.fingerprint;
    daemon.say({ ...client.event, jobId: `${client.jobId}-again${client.tries++}`, fingerprint });
  }

  #connect(client: Client): void {
    const { daemon, relay } = this.#options;
    if (client.gone || !daemon.isUp) return;
    client.reading = true;
    daemon.say({ type: "ReadersChanged", jobId: client.jobId, readers: 1 });
    const stream = relay.streams.get(client.jobId);
    if (stream !== undefined) this.delivered(stream);
  }

  #leave(client: Client): void {
    const { clock, random, daemon } = this.#options;
    if (!client.reading || client.gone) return;
    client.reading = false;
    daemon.say({ type: "ReadersChanged", jobId: client.jobId, readers: 0 });
    if (random.chance(0.7)) clock.after(random.gapMs(2000), () => this.#connect(client));
  }

  /** Frames came to a task: whoever reads it sees each index once, and the same text as ever. */
  delivered(stream: Stream): void {
    const client = this.byJobId.get(stream.jobId);
    if (client === undefined || !client.reading) return;
    while (client.seen.length < stream.frames.length) {
      client.seen.push(stream.frames[client.seen.length] as string);
    }
  }

  ended(jobId: string): void {
    const client = this.byJobId.get(jobId);
    if (client !== undefined) client.gone = true;
  }

  /** The daemon is back: those who were reading come again, most of them. */
  reconnect(): void {
    const { clock, random } = this.#options;
    for (const client of this.byJobId.values()) {
      if (!client.reading || client.gone) continue;
      client.reading = false;
      if (random.chance(0.9)) clock.after(random.gapMs(1500), () => this.#connect(client));
    }
  }
}

function drawTask(mix: Mix, random: Random, number: number): Task {
  const { load, settings } = mix;
  const models = [...new Set(settings.pools.map(({ modelRef }) => modelRef))];
  const maxTokens = random.integer(...load.maxTokens);
  const tenantId = random.pick(load.tenants);
  return {
    taskId: `t${number}`,
    sessionId: `s${random.integer(1, load.sessions)}`,
    tenantId,
    workload: "completion",
    modelRef: random.pick(models),
    engine: random.pick(settings.pools).engine,
    ctx: random.chance(0.05) ? random.pick([256, 3000, 8192]) : 0,
    priority: random.chance(load.batchShare) ? "batch" : "interactive",
    maxTokens,
    deadlineMs: random.integer(...load.deadlineMs),
    seed: random.integer(1, 2 ** 31),
    ...(random.chance(load.strictShare) && { determinism: "strict" as const }),
    ...(random.chance(load.expectsShare) && { expectedTokens: random.integer(0, maxTokens) }),
    kvHint: random.chance(0.7) ? "reuse" : "cold",
    override: false,
    sampling: {},
    placement: drawWish(
      load,
      settings.pools.map(({ id }) => id),
      random,
    ),
  };
}

function drawWish(load: Load, pools: readonly string[], random: Random): Task["placement"] {
  const auto = { mode: "auto", preferPools: [], avoidPools: [], allowFallback: true } as const;
  if (!random.chance(load.wishShare)) return auto;
  const pool = random.pick(pools);
  switch (random.integer(0, 3)) {
    case 0:
      return { ...auto, mode: "pin", pinPoolId: pool };
    case 1:
      return { ...auto, mode: "prefer", preferPools: [pool], allowFallback: random.chance(0.5) };
    case 2:
      return { ...auto, avoidPools: [pool] };
    default:
      return { ...auto, requireDeviceMask: random.pick(["0", "1"]) };
  }
}
