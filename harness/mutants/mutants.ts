// Ways to break the core, one at a time, each with the promise it breaks. A simulation that lets one of them
// pass proves nothing about that promise.

export interface Mutant {
  readonly breaks: string;
  /** Below core/. */
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Absent: the simulation has to notice. Else this test file of the core. */
  readonly noticedBy?: string;
}

export const mutants: readonly Mutant[] = [
  {
    breaks: "no token follows a cancel",
    file: "attempts/cancel.ts",
    find: 'core.emit({ type: "CloseGate", jobId: live.jobId });',
    replace: "",
  },
  {
    breaks: "a cancelled attempt is told to stop",
    file: "attempts/cancel.ts",
    find: 'if (place?.kind !== "running") return;',
    replace: "return;",
  },
  {
    breaks: "what a task reserved is given back when it ends",
    file: "attempts/finish.ts",
    find: "settle(live, state.settings.session.costPerToken,",
    replace: "void (live, state.settings.session.costPerToken,",
  },
  {
    breaks: "budgets are reserved before anything is spent",
    file: "admission/enrol.ts",
    find: "reserve(facts.reserved, session === undefined ? [tenant] : [tenant, session]);",
    replace: "",
  },
  {
    breaks: "a slot is free once its attempt has ended",
    file: "attempts/end.ts",
    find: "running.replica.running.delete(live);",
    replace: "",
  },
  {
    breaks: "a slot runs one attempt at a time",
    file: "placement/candidates.ts",
    find: "return facts.slotsTotal - facts.slotsElsewhere - running.size;",
    replace: "return facts.slotsTotal - facts.slotsElsewhere;",
  },
  {
    breaks: "reports of an earlier attempt change nothing",
    file: "attempts/end.ts",
    find: "live.place.attempt !== attempt",
    replace: "false",
  },
  {
    breaks: "a strict task is replayed, not continued",
    file: "attempts/lost.ts",
    find: 'return { kind: "replayed", preempted };',
    replace: 'return { kind: "continued", preempted };',
  },
  {
    breaks: "the tries of a task are bounded",
    file: "attempts/lost.ts",
    find: "live.faults >= limits.attemptsPerTask",
    replace: "live.faults > limits.attemptsPerTask",
  },
  {
    breaks: "a lost task goes on",
    file: "attempts/lost.ts",
    find: "enqueueReturned(core, set, live);",
    replace: "",
  },
  {
    breaks: "a queue holds no more than its capacity",
    file: "admission/shed.ts",
    find: "if (fill.total >= capacity) return false;",
    replace: "if (fill.total > capacity) return false;",
  },
  {
    breaks: "a task waits no longer than its deadline",
    file: "attempts/expire.ts",
    find: "if (live.deadlineAtMs > core.nowMs) break;",
    replace: "break;",
  },
  {
    breaks: "another request under a known id is a conflict",
    file: "admission/submit.ts",
    find: "known.fingerprint === event.fingerprint",
    replace: "known.fingerprint !== undefined",
  },
  {
    breaks: "a draining pool gets no work",
    file: "placement/candidates.ts",
    find: 'if (replica.status !== "ready" || pool.draining !== undefined) return false;',
    replace: 'if (replica.status !== "ready") return false;',
  },
  {
    breaks: "a reader that comes back in time keeps its task",
    file: "attempts/readers.ts",
    find: "if (readers > 0) clearGrace(core, live);",
    replace: "",
  },
  {
    breaks: "a strict text is only repeated by its own replica set",
    file: "placement/home.ts",
    find: 'if (live.frames > 0 && live.determinism === "strict") return undefined;',
    replace: "",
  },
  {
    breaks: "a restart forgets no returned task",
    file: "snapshot.ts",
    find: "returns: ids(returns.items()),",
    replace: "returns: [],",
  },
  {
    breaks: "classes and tenants share by weight",
    file: "queue/fair.ts",
    find: "flow.tag = start + handle.item.cost / flow.weight;",
    replace: "flow.tag = start + handle.item.cost;",
    noticedBy: "queue/fair.test.ts",
  },
  {
    breaks: "the flow with the smallest tag is served",
    file: "queue/fair.ts",
    find: "if (aTag !== bTag) return aTag < bTag;",
    replace: "if (aTag !== bTag) return aTag > bTag;",
    noticedBy: "queue/fair.test.ts",
  },
  {
    breaks: "removal from a heap keeps its order",
    file: "queue/heap.ts",
    find: "this.#settle(last);",
    replace: "",
    noticedBy: "queue/heap.test.ts",
  },
];
