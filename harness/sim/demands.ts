// What is demanded of a world that was healed and has come to rest.

import assert from "node:assert/strict";
import type { Case } from "./judge.ts";
import type { Stream } from "./relay.ts";
import { extend, nextFreeFrame, strictFrames } from "./text.ts";
import type { World } from "./world.ts";

export function demandAll(world: World): void {
  demandOutcomes(world);
  demandEmptiness(world);
  for (const found of world.judge.cases.values()) demandStream(world, found);
  demandReaders(world);
  demandBudgets(world);
  if (world.mix.calm) demandCalm(world);
}

function demandOutcomes({ judge }: World): void {
  for (const [jobId, { outcome, attempt }] of judge.cases) {
    assert(outcome !== undefined, `Task ${jobId} was accepted and never ended.`);
    assert(attempt === undefined, `An attempt of ${jobId} never ended.`);
  }
}

function demandEmptiness({ daemon, judge }: World): void {
  const { state } = daemon.core;
  daemon.assertTimers();
  assert.equal(state.jobs.size, 0, "Tasks are left.");
  for (const set of state.sets.values()) {
    assert.equal(set.queue.size + set.returns.size, 0, `Something waits in ${set.id}.`);
    assert(set.replicas.length > 0, `The set ${set.id} has no replicas and is still there.`);
  }
  for (const pool of state.pools.values()) {
    assert(!pool.retired, `The retired pool ${pool.id} is still there.`);
    assert.equal(pool.waitingTokens + pool.waitingBodyBytes, 0, `Pool ${pool.id} counts what is gone.`);
    for (const { running, key } of pool.replicas.values()) {
      assert.equal(running.size, 0, `A slot of ${key} is still taken.`);
    }
  }
  for (const [timer, atMs] of state.timers) {
    const [kind] = timer.split(" ");
    // The one deadline timer moves only when it fires, so it may still wait for a task that has ended.
    const lastMs = Math.max(...[...judge.cases.values()].map((one) => one.submittedAtMs + one.deadlineMs));
    if (kind === "deadline" && atMs <= lastMs) continue;
    const periodic = kind === "node" || (kind === "sessions" && state.sessions.size > 0);
    assert(periodic, `The timer ${timer} at ${atMs} waits for nothing.`);
  }
}

function demandStream({ relay, mix }: World, { accepted, outcome, event }: Case): void {
  const stream = relay.streams.get(accepted.jobId) as Stream;
  const kind = outcome?.outcome.kind;
  const who = `The stream of ${accepted.jobId}`;
  const { frames, prompt, computes } = stream;
  if (event.task.determinism === "strict") assert(stream.strict, `${who} was promised to be strict.`);
  if (outcome?.outcome.kind === "done") {
    assert.equal(outcome.outcome.tokensOut, stream.tokensOut, `${who} is charged for other tokens.`);
  }
  if (frames.length === 0) return;
  if (!stream.strict) return demandContinuation(who, stream);
  if (mix.faults.ailments.flipped > 0) return;
  assert.equal(computes.size, 1, `${who} was made by ${computes.size} kinds of arithmetic.`);
  const [compute] = computes;
  const undisturbed = strictFrames(compute as number, prompt, mix.spread);
  if (kind !== "done") undisturbed.length = Math.min(undisturbed.length, frames.length);
  if (stream.cutShort) undisturbed.length = Math.min(undisturbed.length, frames.length);
  assert.deepEqual(frames, undisturbed, `${who} is not the undisturbed one.`);
}

/** Each frame is the only one that its attempt could have added to the frames before it. */
function demandContinuation(who: string, { frames, by, prompt }: Stream): void {
  let prefix = 0;
  let attempt = 0;
  for (const [i, text] of frames.entries()) {
    const own = by[i] as number;
    assert(own >= attempt, `${who} goes back from attempt ${attempt} to ${own}.`);
    attempt = own;
    assert.equal(text, nextFreeFrame(prompt, prefix, own), `${who} is broken at ${i}, attempt ${own}.`);
    prefix = extend(prefix, text);
  }
}

function demandReaders({ clients, relay }: World): void {
  for (const { jobId, seen } of clients.byJobId.values()) {
    const { frames } = relay.streams.get(jobId) as Stream;
    assert.deepEqual(seen, frames.slice(0, seen.length), `The reader of ${jobId} saw another stream.`);
  }
}

function demandBudgets({ daemon, judge, relay }: World): void {
  const { state } = daemon.core;
  const accounts = [...state.tenants.values(), ...state.sessions.values()];
  for (const { reserved, live } of accounts) {
    assert.equal(live, 0, "An account has live tasks.");
    assert.equal(reserved.tokens, 0, "Tokens are still reserved.");
    assert(Math.abs(reserved.timeMs) + Math.abs(reserved.cost) < 1e-6, "Something is still reserved.");
  }
  for (const [tenantId, { tokens }] of Object.entries(state.settings.tenantBudgets)) {
    let spent = 0;
    for (const { accepted } of judge.cases.values()) {
      if (accepted.tenantId === tenantId) spent += relay.streams.get(accepted.jobId)?.tokensOut ?? 0;
    }
    assert.equal(
      state.tenants.get(tenantId)?.spent.tokens ?? 0,
      spent,
      `The account of ${tenantId} is wrong.`,
    );
    assert(spent <= (tokens ?? Infinity), `Tenant ${tenantId} has spent ${spent} of ${tokens} tokens.`);
  }
}

/** Without faults every task that is not cancelled, displaced or late is done. */
function demandCalm({ judge }: World): void {
  const fair = new Set(["DEADLINE_UNMET", "ADMISSION_REJECT", "QUEUE_FULL_DROP_LRU"]);
  for (const [jobId, { outcome }] of judge.cases) {
    const ended = outcome?.outcome;
    if (ended?.kind !== "failed") continue;
    assert(fair.has(ended.code), `Task ${jobId} failed with ${ended.code} although nothing went wrong.`);
  }
}
