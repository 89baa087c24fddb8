// A fake engine process: slots, a speed with variance, and texts that are known beforehand. It counts its
// own slots, so that giving one away twice is seen where it would hurt, and it fails in all the ways that
// real ones do.

import type { LostReason } from "@llama-orch/core";
import type { Clock, Planned } from "./clock.ts";
import type { Link } from "./link.ts";
import type { Random } from "./random.ts";
import { extend, freeToken, lengthOf, type Prompt, strictToken } from "./text.ts";

/** What an attempt tells whoever started it, in order. */
export interface Listener {
  taken(): void;
  tokens(texts: readonly string[]): void;
  done(): void;
  /** It ended without finishing: refused, broken, or closed as asked. */
  failed(how: Failure): void;
}

export type Failure =
  | { readonly kind: "closed" }
  | { readonly kind: "refused" }
  | { readonly kind: "lost"; readonly reason: LostReason };

export interface Order {
  readonly prompt: Prompt;
  readonly promptTokens: number;
  readonly attempt: number;
  /** Of the frames to continue from; 0 where the text starts anew. */
  readonly prefix: number;
  readonly tokensBefore: number;
  /** How many this attempt may make. */
  readonly maxTokens: number;
  /** Goes on from a text, which makes it a new prompt even on a strict engine. */
  readonly continued: boolean;
  readonly listener: Listener;
}

export interface Speed {
  readonly prefillMsPerToken: number;
  readonly firstTokenMs: number;
  readonly tokensPerS: number;
  /** Relative, of one attempt and of one chunk. */
  readonly noise: number;
}

/** Shares of attempts that end in each way. */
export interface Ailments {
  readonly reset: number;
  readonly busy: number;
  readonly refused: number;
  readonly vramOom: number;
  /** Other tokens than the engine should make. */
  readonly flipped: number;
}

export interface EngineOptions {
  readonly key: string;
  readonly epoch: number;
  readonly slots: number;
  readonly strict: boolean;
  readonly compute: number;
  readonly speed: Speed;
  /** Share by which streams are shorter than they may be, at most. */
  readonly spread: number;
  readonly link: Link;
  readonly clock: Clock;
  readonly random: Random;
  readonly ailments: () => Ailments;
  readonly onAilment: (what: string) => void;
}

interface Generation {
  readonly order: Order;
  readonly pace: number;
  readonly length: number;
  readonly doom: { readonly at: number; readonly failure: Failure } | undefined;
  readonly flipAt: number;
  made: number;
  prefix: number;
  hidden: number;
  next: Planned | undefined;
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #generations = new Map<string, Generation>();
  #state: "up" | "hung" | "dead" = "up";
  #corrupt = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  get epoch(): number {
    return this.#options.epoch;
  }

  get strict(): boolean {
    return this.#options.strict;
  }

  get compute(): number {
    return this.#options.compute;
  }

  get active(): number {
    return this.#generations.size;
  }

  get isUp(): boolean {
    return this.#state === "up";
  }

  begin(key: string, order: Order): void {
    const { slots, random, link } = this.#options;
    if (this.#state === "dead") {
      link.send("back", () => order.listener.failed({ kind: "lost", reason: "reset" }));
      return;
    }
    if (this.#generations.size >= slots) {
      throw new Error(`Slot used twice: ${this.#options.key} runs ${this.#generations.size} of ${slots}.`);
    }
    const at = this.#onBegin(order);
    if (at === undefined) return;
    const most = order.tokensBefore + order.maxTokens;
    const length = Math.min(most, lengthOf(order.prompt, this.#options.spread));
    const generation: Generation = {
      order,
      pace: 1 + this.#options.speed.noise * random.between(-1, 1),
      length,
      doom: at,
      flipAt: random.chance(this.#options.ailments().flipped) ? random.integer(0, length) : -1,
      made: order.tokensBefore,
      prefix: order.prefix,
      hidden: 0,
      next: undefined,
    };
    this.#generations.set(key, generation);
    link.send("back", () => order.listener.taken());
    const { firstTokenMs, prefillMsPerToken } = this.#options.speed;
    const prefillMs = (firstTokenMs + prefillMsPerToken * order.promptTokens) * generation.pace;
    this.#later(key, generation, prefillMs);
  }

  /** What will become of it, or undefined when it was turned away at once. */
  #onBegin(order: Order): Generation["doom"] | undefined {
    const { random, link, ailments } = this.#options;
    const { reset, busy, refused, vramOom } = ailments();
    const chance = random.next();
    const at = random.integer(0, order.prompt.maxTokens);
    const turnAway = (failure: Failure, what: string) => {
      this.#options.onAilment(what);
      link.send("back", () => order.listener.failed(failure));
      return undefined;
    };
    if (chance < busy) return turnAway({ kind: "lost", reason: "busy" }, "busy");
    if (chance < busy + refused) return turnAway({ kind: "refused" }, "refused");
    if (chance < busy + refused + reset) return { at, failure: { kind: "lost", reason: "reset" } };
    if (chance < busy + refused + reset + vramOom) {
      return { at, failure: { kind: "lost", reason: "vram_oom" } };
    }
    return { at: Infinity, failure: { kind: "closed" } };
  }

  #later(key: string, generation: Generation, ms: number): void {
    generation.next = this.#options.clock.after(ms, () => this.#chunk(key, generation));
  }

  #chunk(key: string, generation: Generation): void {
    const { random, speed, link } = this.#options;
    const { listener } = generation.order;
    if (this.#state !== "up") return;
    const size = Math.min(random.integer(2, 6), Math.max(1, generation.length - generation.made));
    const { doom } = generation;
    if (doom !== undefined && generation.made + size > doom.at) {
      this.#options.onAilment(doom.failure.kind === "lost" ? doom.failure.reason : doom.failure.kind);
      this.#generations.delete(key);
      link.send("back", () => listener.failed(doom.failure));
      return;
    }
    const texts = Array.from({ length: size }, () => this.#token(generation));
    link.send("back", () => listener.tokens(texts));
    if (generation.made >= generation.length) {
      this.#generations.delete(key);
      link.send("back", () => listener.done());
      return;
    }
    const jitter = 1 + 0.3 * speed.noise * random.between(-1, 1);
    this.#later(key, generation, ((size * 1000) / speed.tokensPerS) * generation.pace * jitter);
  }

  #token(generation: Generation): string {
    const { strict, compute } = this.#options;
    const { prompt, attempt, continued } = generation.order;
    const index = generation.made++;
    if (strict && !continued) {
      const text = strictToken(this.#corrupt ? compute + 1 : compute, prompt, index);
      if (index !== generation.flipAt) return text;
      this.#options.onAilment("flipped");
      return `${text}x`;
    }
    const text = freeToken(prompt, generation.prefix, attempt, generation.hidden++);
    if (text === "") return text;
    generation.prefix = extend(generation.prefix, text);
    generation.hidden = 0;
    return text;
  }

  /** Whoever started it has closed the connection; a hung engine does not even answer that. */
  close(key: string, listener: Listener): void {
    const generation = this.#generations.get(key);
    this.#options.clock.cancel(generation?.next);
    this.#generations.delete(key);
    if (this.#state === "hung") return;
    this.#options.link.send("back", () => listener.failed({ kind: "closed" }));
  }

  /** From now on it makes other text than it should. */
  corrupt(): void {
    this.#corrupt = true;
  }

  hang(): void {
    if (this.#state === "up") this.#state = "hung";
  }

  /** The process is gone; its connections break with it. */
  die(): void {
    if (this.#state === "dead") return;
    this.#state = "dead";
    for (const { next, order } of this.#generations.values()) {
      this.#options.clock.cancel(next);
      this.#options.link.send("back", () => order.listener.failed({ kind: "lost", reason: "reset" }));
    }
    this.#generations.clear();
  }

  /** Gone without a word: nobody closes its connections. */
  vanish(): void {
    this.#state = "dead";
    for (const { next } of this.#generations.values()) this.#options.clock.cancel(next);
    this.#generations.clear();
  }
}
