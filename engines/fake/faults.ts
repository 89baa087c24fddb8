// What may go wrong in the fake engine on demand: the fields of `POST /faults`. Each post replaces the last;
// an empty one heals. Numbers of tokens count from the start of a completion.

export interface FakeFaults {
  /** Every path but /faults answers 503, as while a model loads. */
  readonly loading?: boolean;
  /** Another version than was started, for /props. */
  readonly build_info?: string;
  /** Completions answer 503: all slots are taken. */
  readonly no_slot?: boolean;
  /** Completions, embeddings and reranks answer with this status. */
  readonly status?: number;
  /** The message of `status` and of `error_after`. */
  readonly message?: string;
  /** A pause before the first token. */
  readonly delay_ms?: number;
  /** Then nothing more, while the connection stays open. */
  readonly stall_after?: number;
  /** Then the connection breaks. */
  readonly reset_after?: number;
  /** Then the stream ends as if all had been said, without a last frame. */
  readonly cut_after?: number;
  /** Then an error comes as a frame. */
  readonly error_after?: number;
  /** Then a frame comes that is no JSON. */
  readonly bad_json_after?: number;
  /** The token that comes out as another one. */
  readonly flip_at?: number;
  /** The token whose id is never sent, as when it ends inside a character. */
  readonly lost_ids_at?: number;
  /** For how many completions all this holds; absent: until the next post. */
  readonly times?: number;
}

const fields: Readonly<Record<keyof FakeFaults, "number" | "boolean" | "string">> = {
  loading: "boolean",
  build_info: "string",
  no_slot: "boolean",
  status: "number",
  message: "string",
  delay_ms: "number",
  stall_after: "number",
  reset_after: "number",
  cut_after: "number",
  error_after: "number",
  bad_json_after: "number",
  flip_at: "number",
  lost_ids_at: "number",
  times: "number",
};

/** The faults, or what is wrong with them. */
export function parseFaults(value: unknown): FakeFaults | string {
  if (typeof value !== "object" || value === null) return "Send an object.";
  for (const [name, given] of Object.entries(value)) {
    const wanted = (fields as Readonly<Record<string, string>>)[name];
    if (wanted === undefined)
      return `There is no fault ${name}; there are ${Object.keys(fields).join(", ")}.`;
    if (typeof given !== wanted) return `The fault ${name} takes a ${wanted}.`;
  }
  return value as FakeFaults;
}

/** The faults of now, and how long they last. */
export class FaultSwitch {
  #faults: FakeFaults = {};
  #left = Number.POSITIVE_INFINITY;

  get now(): FakeFaults {
    return this.#faults;
  }

  set(faults: FakeFaults): void {
    this.#faults = faults;
    this.#left = faults.times ?? Number.POSITIVE_INFINITY;
  }

  /** The faults of one completion that starts now. */
  take(): FakeFaults {
    const faults = this.#faults;
    this.#left -= 1;
    if (this.#left <= 0) this.set({});
    return faults;
  }
}
