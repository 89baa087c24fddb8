// One completion of the fake engine, token by token, as the frames that llama-server would send: with stop
// strings that hold text back, a limit, a full context, and the faults that were asked for. It makes text;
// who writes it to a connection, and when, is not its business.

import { Draw } from "./draw.ts";
import type { FakeFaults } from "./faults.ts";
import { detokenize, eosId, idFor, pieceOf } from "./vocabulary.ts";

export interface CompletionRequest {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly seed: number;
  readonly temperature: number;
  readonly sampling: string;
  readonly stop: readonly string[];
  readonly meanTokens: number;
  readonly ctx: number;
  readonly model: string;
  readonly slot: number;
  readonly cachedTokens: number;
}

/** What a connection has to do after the frames: go on, wait for ever, break, or end. */
export type After = "go_on" | "stall" | "reset" | "end";

interface Ending {
  readonly type: "eos" | "word" | "limit";
  readonly word?: string;
  readonly truncated?: boolean;
}

export class Completion {
  readonly #request: CompletionRequest;
  readonly #faults: FakeFaults;
  readonly #draw: Draw;
  readonly #tail: string;
  readonly #startedAt = performance.now();
  #tokens = 0;
  #ended: Ending | undefined;
  /** Text since the last frame that had some: it may become a stop string. */
  #unsent = "";

  constructor(request: CompletionRequest, faults: FakeFaults) {
    this.#request = request;
    this.#faults = faults;
    this.#draw = new Draw(request.prompt, request);
    this.#tail = `,"tokens_evaluated":${request.prompt.length}}\n\n`;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** The next frames, at most so many. */
  next(count: number): { text: string; after: After } {
    let text = "";
    for (let made = 0; made < count; made += 1) {
      const fault = this.#fault();
      if (fault !== undefined) return { text: text + fault.text, after: fault.after };
      const step = this.#step();
      text += step;
      if (this.#ended !== undefined) return { text: text + this.#last(this.#ended), after: "end" };
    }
    return { text, after: "go_on" };
  }

  #step(): string {
    const { prompt, maxTokens, ctx, stop } = this.#request;
    const drawn = this.#draw.next();
    const id = this.#faults.flip_at === this.#tokens ? otherThan(drawn) : drawn;
    const piece = pieceOf(id);
    this.#tokens += 1;
    const frame = stop.length === 0 ? this.#plain(piece, id) : this.#stopping(piece, id);
    if (this.#ended !== undefined) return frame;
    if (id === eosId) this.#ended = { type: "eos" };
    else if (prompt.length + this.#tokens + 1 > ctx) this.#ended = { type: "limit", truncated: true };
    else if (maxTokens > 0 && this.#tokens >= maxTokens) this.#ended = { type: "limit" };
    return frame;
  }

  #plain(piece: string, id: number): string {
    const content = this.#unsent + piece;
    if (this.#faults.lost_ids_at === this.#tokens - 1) {
      this.#unsent = content;
      return "";
    }
    this.#unsent = "";
    return this.#frame(content, id);
  }

  #stopping(piece: string, id: number): string {
    const { stop } = this.#request;
    const text = this.#unsent + piece;
    const found = firstOf(text, stop);
    if (found !== undefined) {
      this.#ended = { type: "word", word: found.word };
      this.#unsent = "";
      return this.#frame(text.slice(0, found.at), id);
    }
    const held = id !== eosId && stop.some((word) => startsAtEnd(text, word));
    this.#unsent = held ? text : "";
    return this.#frame(held ? "" : text, id);
  }

  #frame(content: string, id: number): string {
    // Pieces hold nothing that JSON would write otherwise.
    return `data: {"index":0,"content":"${content}","tokens":[${id}],"stop":false,"id_slot":-1,"tokens_predicted":${this.#tokens}${this.#tail}`;
  }

  #fault(): { text: string; after: After } | undefined {
    const faults = this.#faults;
    switch (this.#tokens) {
      case faults.stall_after:
        return { text: "", after: "stall" };
      case faults.reset_after:
        return { text: "", after: "reset" };
      case faults.cut_after:
        return { text: "", after: "end" };
      case faults.bad_json_after:
        return { text: 'data: {"index":0,"content":\n\n', after: "end" };
      case faults.error_after: {
        const message = faults.message ?? "Compute error.";
        return { text: event({ error: { code: 500, message, type: "server_error" } }), after: "end" };
      }
      default:
        return undefined;
    }
  }

  #last({ type, word = "", truncated = false }: Ending): string {
    const { prompt, model, slot, seed, temperature, stop, cachedTokens } = this.#request;
    const elapsedMs = performance.now() - this.#startedAt;
    return event({
      index: 0,
      content: "",
      tokens: [],
      id_slot: slot,
      stop: true,
      model,
      tokens_predicted: this.#tokens,
      tokens_evaluated: prompt.length,
      generation_settings: { seed, temperature, stop },
      prompt: detokenize(prompt),
      has_new_line: false,
      truncated,
      stop_type: type,
      stopping_word: word,
      tokens_cached: prompt.length + this.#tokens,
      timings: {
        cache_n: cachedTokens,
        prompt_n: prompt.length - cachedTokens,
        prompt_ms: 0,
        predicted_n: this.#tokens,
        predicted_ms: elapsedMs,
        predicted_per_second: (1000 * this.#tokens) / Math.max(elapsedMs, 0.001),
      },
    });
  }
}

function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function otherThan(id: number): number {
  const other = idFor(id * 16 + 1);
  return other === id ? idFor(id * 16 + 33) : other;
}

function firstOf(text: string, stop: readonly string[]): { at: number; word: string } | undefined {
  const found = stop.map((word) => ({ at: text.indexOf(word), word })).filter(({ at }) => at >= 0);
  return found.sort((a, b) => a.at - b.at)[0];
}

function startsAtEnd(text: string, word: string): boolean {
  for (let length = Math.min(word.length - 1, text.length); length > 0; length -= 1) {
    if (text.endsWith(word.slice(0, length))) return true;
  }
  return false;
}
