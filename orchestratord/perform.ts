// What the core wants, done. One row per effect; each row acts at once or starts something that goes on by
// itself, so that the loop never waits. Who waits for durability is the row's own business.

import type { Effect, EffectType, Event } from "@llama-orch/core";
import type { Observer } from "./observer.ts";

export type Performers = {
  readonly [T in EffectType]: (effect: Extract<Effect, { readonly type: T }>) => void;
};

export function performer(performers: Performers, observer: Observer) {
  return (effects: readonly Effect[], event: Event): void => {
    for (const effect of effects) (performers[effect.type] as (effect: Effect) => void)(effect);
    observer.handled(event, effects);
  };
}
