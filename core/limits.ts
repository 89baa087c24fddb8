// Every bound of the core that is not a setting. Nothing in here may grow without one of these.

export const limits = {
  /** Tries of one task that end in a fault; preemption and drains are nobody's fault and do not count. */
  attemptsPerTask: 3,
  attemptsPerReplica: 2,
  /**
   * First answers kept in memory for repeats; older ones come from the store, inside the event. All of them
   * travel with every snapshot, and each makes the lookup of every new task a little slower.
   */
  rememberedAnswers: 1_000,
  /** Callers with a rate-limit bucket of their own; beyond it the longest unseen is forgotten. */
  rateLimitedClients: 100_000,
  /** A replica that comes up within this time still lets its pool admit tasks. */
  startingReplicaMs: 60_000,
  /** After a loss a replica is left alone until it is heard of again, or for this long. */
  doubtMs: 1000,
  retryAfterMinMs: 1,
  retryAfterMaxMs: 60_000,
  /** A first token is waited for at least this long. */
  firstTokenMinMs: 30_000,
  firstTokenPrefillFactor: 3,
  /** After a restart readers have at least this long to come back. */
  graceAfterRestartMs: 30_000,
  sessionSweepMs: 60_000,
  ctxDefault: 32_768,
  /** Tokens never exceed the bytes of the rendered prompt by more than this. */
  tokensOverBytes: 2,
} as const;
