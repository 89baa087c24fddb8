// How fast a replica works, learnt from every attempt it ended: time to the first token over prompt length,
// and decoding time over tokens. Until something was measured, what the engine declares counts; without
// either the speed is unknown, and nobody pretends otherwise.

import { average, learn, type Mean, newMean, newTrend, predict, type Trend } from "./trend.ts";

export interface Rates {
  readonly prefill: Trend;
  readonly decode: Trend;
  /** Tokens a task really made ÷ tokens it was admitted for. */
  readonly yield: Mean;
}

export function newRates(): Rates {
  return { prefill: newTrend(), decode: newTrend(), yield: newMean() };
}

/** What another process starts from that is expected to be as fast. */
export function copyOf({ prefill, decode, yield: share }: Rates): Rates {
  return { prefill: { ...prefill }, decode: { ...decode }, yield: { ...share } };
}

export interface DeclaredSpeed {
  readonly tokensPerS?: number;
  readonly firstTokenMs?: number;
}

export interface Measured {
  readonly promptTokens: number;
  readonly prefillMs: number;
  readonly tokensOut: number;
  readonly decodeMs: number;
  readonly outputTokens: number;
}

export interface Service {
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly varianceMs2: number;
  /** False where it is only what the engine declares. */
  readonly measured: boolean;
}

export function measure(rates: Rates, measured: Measured): void {
  learn(rates.prefill, measured.promptTokens, measured.prefillMs);
  learn(rates.decode, measured.tokensOut, measured.decodeMs);
  average(rates.yield, measured.tokensOut / measured.outputTokens);
}

/** Tokens of one task, or of several together. */
export interface Work {
  readonly promptTokens: number;
  readonly outputTokens: number;
}

/** Engine time of `items` tasks together; undefined while nothing is known about the speed. */
export function serviceOf(rates: Rates, declared: DeclaredSpeed, work: Work, items = 1): Service | undefined {
  if (rates.decode.weight === 0) return declaredService(declared, work, items);
  const share = rates.yield.value;
  const prefillMs = predict(rates.prefill, work.promptTokens / items);
  const decodeMs = predict(rates.decode, (work.outputTokens / items) * share);
  const yieldSpread = share > 0 ? (decodeMs / share) ** 2 * rates.yield.variance : 0;
  return {
    prefillMs: prefillMs * items,
    decodeMs: decodeMs * items,
    varianceMs2: (rates.prefill.variance + rates.decode.variance + yieldSpread) * items,
    measured: true,
  };
}

function declaredService(
  { tokensPerS, firstTokenMs }: DeclaredSpeed,
  work: Work,
  items: number,
): Service | undefined {
  if (tokensPerS === undefined || tokensPerS <= 0) return undefined;
  const decodeMs = (work.outputTokens / tokensPerS) * 1000;
  return {
    prefillMs: (firstTokenMs ?? 0) * items,
    decodeMs,
    varianceMs2: (decodeMs / 4) ** 2,
    measured: false,
  };
}

export function totalMs(service: Service): number {
  return service.prefillMs + service.decodeMs;
}
