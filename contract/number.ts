// The numbers of the wire. None is unbounded: beyond 2^53-1 a JSON integer is no longer the one that was
// sent, and a duration beyond a year is a mistake in the unit.

import Type from "typebox";

export const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** Longer than any model's context; the most that tokens are counted to in requests and configuration. */
export const requestTokensMax = 16_777_216;

export const yearMs = 365 * 86_400_000;

export const durationMs = Type.Integer({ minimum: 0, maximum: yearMs });
