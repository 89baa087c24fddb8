import assert from "node:assert/strict";
import { test } from "node:test";
import { type Measured, measure, newRates, serviceOf, totalMs } from "./rates.ts";

const work = { promptTokens: 100, outputTokens: 50 };

const measured = (fields: Partial<Measured> = {}): Measured => ({
  promptTokens: 100,
  prefillMs: 200,
  tokensOut: 50,
  decodeMs: 1000,
  outputTokens: 50,
  ...fields,
});

test("without any measurement and without hints the speed is unknown, and stays so", () => {
  assert.equal(serviceOf(newRates(), {}, work), undefined);
  assert.equal(serviceOf(newRates(), { firstTokenMs: 10 }, work), undefined);
  assert.equal(serviceOf(newRates(), { tokensPerS: 0 }, work), undefined);
});

test("what the engine declares counts until something was measured: first token plus tokens ÷ rate", () => {
  const service = serviceOf(newRates(), { tokensPerS: 25, firstTokenMs: 40 }, work);
  assert.equal(service?.prefillMs, 40);
  assert.equal(service?.decodeMs, 2000);
  const rates = newRates();
  measure(rates, measured());
  const known = serviceOf(rates, { tokensPerS: 25, firstTokenMs: 40 }, work);
  assert.equal(known === undefined ? 0 : Math.round(totalMs(known)), 1200);
});

test("several tasks together take the time of one for each, first tokens included", () => {
  for (const declared of [{ tokensPerS: 25, firstTokenMs: 40 }, {}]) {
    const rates = newRates();
    if (declared.tokensPerS === undefined) measure(rates, measured());
    const one = serviceOf(rates, declared, work);
    const five = serviceOf(rates, declared, { promptTokens: 500, outputTokens: 250 }, 5);
    assert.ok(one !== undefined && five !== undefined);
    assert.ok(Math.abs(totalMs(five) - 5 * totalMs(one)) < 1e-6);
  }
});

test("tasks that stop before their limit teach how much of it is really used", () => {
  const rates = newRates();
  for (let i = 0; i < 30; i++) measure(rates, measured({ tokensOut: 25, decodeMs: 500 }));
  assert.equal(Math.round(serviceOf(rates, {}, work)?.decodeMs ?? 0), 500);
});

test("a replica whose times scatter has a larger variance than one that is steady", () => {
  const [steady, scattered] = [newRates(), newRates()];
  for (let i = 0; i < 40; i++) {
    measure(steady, measured());
    measure(scattered, measured({ decodeMs: i % 2 === 0 ? 200 : 1800 }));
  }
  const variance = (rates: ReturnType<typeof newRates>) =>
    serviceOf(rates, {}, work)?.varianceMs2 ?? Number.NaN;
  assert.ok(variance(steady) < 1);
  assert.ok(variance(scattered) > 100_000);
});
