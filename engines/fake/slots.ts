// The slots of the fake engine: who runs, and who waits without limit, as llama-server lets them. A slot
// remembers the prompt it held, so that a next one with the same beginning is cheaper.

export interface Slot {
  readonly id: number;
  busy: boolean;
  prompt: readonly number[];
}

export class Slots {
  readonly all: readonly Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(count: number) {
    this.all = Array.from({ length: count }, (_, id) => ({ id, busy: false, prompt: [] }));
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Undefined when the caller went away while it waited. */
  async take(prompt: readonly number[], gone: AbortSignal): Promise<Slot | undefined> {
    const free = this.all.filter(({ busy }) => !busy);
    if (free.length > 0) return occupied(bestOf(free, prompt));
    return new Promise((resolve) => {
      const onGone = () => {
        this.#waiting.splice(this.#waiting.indexOf(onSlot), 1);
        resolve(undefined);
      };
      const onSlot = (slot: Slot) => {
        gone.removeEventListener("abort", onGone);
        resolve(occupied(slot));
      };
      this.#waiting.push(onSlot);
      gone.addEventListener("abort", onGone, { once: true });
    });
  }

  release(slot: Slot): void {
    slot.busy = false;
    this.#waiting.shift()?.(slot);
  }
}

function occupied(slot: Slot): Slot {
  slot.busy = true;
  return slot;
}

function bestOf(free: readonly Slot[], prompt: readonly number[]): Slot {
  let best = free[0] as Slot;
  for (const slot of free) {
    if (commonStart(slot.prompt, prompt) > commonStart(best.prompt, prompt)) best = slot;
  }
  return best;
}

export function commonStart(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}
