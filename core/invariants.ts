// What must always be true of the state. Cheap enough to be asked after every event of a simulation; a
// failure is a bug of the core and names itself.

import { limits } from "./limits.ts";
import type { Live, Pool, ReplicaSet, State } from "./state.ts";

export function assertInvariants(state: State): void {
  for (const pool of state.pools.values()) assertPool(state, pool);
  for (const set of state.sets.values()) assertSet(state, set);
  for (const live of state.jobs.values()) assertLive(live);
  assertAccounts(state);
  const first = state.deadlines.first()?.deadlineAtMs ?? Infinity;
  for (const live of state.jobs.values()) {
    const unwatched = live.place?.kind === "waiting" && first > live.deadlineAtMs;
    check(!unwatched, `nobody watches the deadline of task ${live.jobId}`);
  }
}

function assertPool(state: State, pool: Pool): void {
  let tokens = 0;
  let bytes = 0;
  for (const lives of Object.values(pool.waiting)) {
    for (const live of lives.items()) {
      check(live.poolId === pool.id, `task ${live.jobId} waits in ${pool.id} and says ${live.poolId}`);
      tokens += live.outputTokens;
      bytes += live.bodyBytes;
    }
  }
  check(tokens === pool.waitingTokens, `pool ${pool.id} counts ${pool.waitingTokens} tokens, has ${tokens}`);
  check(
    bytes === pool.waitingBodyBytes,
    `pool ${pool.id} counts ${pool.waitingBodyBytes} bytes, has ${bytes}`,
  );
  for (const replica of pool.replicas.values()) {
    for (const live of replica.running) {
      check(
        live.place?.kind === "running" && live.place.replica === replica,
        `a slot of ${replica.key} is nobody's`,
      );
      check(state.jobs.get(live.jobId) === live, `a slot of ${replica.key} is held by a forgotten task`);
    }
  }
}

function assertSet(state: State, set: ReplicaSet): void {
  for (const live of [...set.queue.items(), ...set.returns.items()]) {
    check(live.setId === set.id, `task ${live.jobId} waits in ${set.id} and says ${live.setId}`);
    check(live.place?.kind === "waiting", `task ${live.jobId} waits and runs`);
    check(
      state.tasks.get(live.tenantId, live.task.taskId)?.live === live,
      `task ${live.jobId} waits after its end`,
    );
  }
}

function assertLive(live: Live): void {
  if (live.over) check(live.place?.kind === "running", `task ${live.jobId} is over and holds nothing`);
  else check(live.place !== undefined, `task ${live.jobId} is neither waiting nor running`);
  check(live.faults <= limits.attemptsPerTask, `task ${live.jobId} was tried ${live.faults} times`);
  if (live.place?.kind === "running") {
    check(live.place.replica.running.has(live), `task ${live.jobId} runs without a slot`);
  }
}

/** Reserved is what live tasks have reserved, and no account has spent more than its limit. */
function assertAccounts(state: State): void {
  const live = new Map<string, number>();
  for (const { over, task } of state.jobs.values()) {
    if (!over) live.set(task.tenantId, (live.get(task.tenantId) ?? 0) + 1);
  }
  for (const tenant of state.tenants.values()) {
    check(tenant.live === (live.get(tenant.id) ?? 0), `tenant ${tenant.id} counts ${tenant.live} live tasks`);
    assertWithin(state.settings.tenantBudgets[tenant.id] ?? {}, tenant, `tenant ${tenant.id}`);
  }
  for (const session of state.sessions.values()) {
    check(!session.deleted, `session ${session.key} was deleted and is kept`);
    const idle = state.idleSessions.get(session.key) === session;
    check(
      idle === (session.live === 0),
      `session ${session.key} has ${session.live} live tasks and is idle: ${idle}`,
    );
    check(session.live >= 0, `session ${session.key} has ${session.live} live tasks`);
    assertWithin(state.settings.session.budgets, session, `session ${session.key}`);
  }
}

type Kind = "tokens" | "timeMs" | "cost";
type Amounts = Readonly<Record<Kind, number>>;

/** Sums of money are sums of fractions; this much is noise. */
const noise = 1e-6;

function assertWithin(
  limitsOf: Partial<Amounts>,
  account: { readonly spent: Amounts; readonly reserved: Amounts },
  who: string,
): void {
  for (const kind of ["tokens", "timeMs", "cost"] as const) {
    const limit = limitsOf[kind] ?? Infinity;
    check(account.reserved[kind] >= -noise, `${who} has reserved ${account.reserved[kind]} ${kind}`);
    const used = account.spent[kind] + account.reserved[kind];
    check(used <= limit + noise, `${who} may use ${limit} ${kind} and has ${used} in use`);
  }
}

function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(`Broken invariant: ${otherwise}.`);
}
