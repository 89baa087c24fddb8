// From facts to what is written: the name of a statement and its values. It is done where the facts are, so
// that plain strings and numbers are all that goes to the thread that writes.

import type { SessionFacts, Spent } from "@llama-orch/core";
import type { Admitted, Ended, Fact } from "../store.ts";
import type { StatementName } from "./statements.ts";

export type Value = string | number | null;
export type Row = readonly [StatementName, ...Value[]];

/** By which number a task is known here. */
export type SerialOf = (jobId: string) => number | undefined;

/** @param body what is written of an admission's texts */
export function rowsOf(fact: Fact, serialOf: SerialOf, body: string): Row[] {
  switch (fact.fact) {
    case "admitted":
      return admittedRows(fact, serialOf(fact.facts.jobId) as number, body);
    case "sent":
      return live(serialOf(fact.jobId), (serial) => ["send", JSON.stringify(fact.to), serial]);
    case "progressed": {
      const { frames, tokensOut, streamDigest } = fact;
      return live(serialOf(fact.jobId), (serial) => ["progress", frames, tokensOut, streamDigest, serial]);
    }
    case "read":
      return live(serialOf(fact.jobId), (serial) => ["read", serial]);
    case "ended":
      return endedRows(fact, serialOf(fact.jobId));
    case "drained":
      return [["drain", fact.poolId, fact.sinceMs, fact.deadlineAtMs]];
    case "undrained":
      return [["undrain", fact.poolId]];
    case "session-deleted":
      return [["deleteSession", fact.tenantId, fact.sessionId]];
    case "replica-seen":
      return [["replica", fact.poolId, fact.replicaId, JSON.stringify(fact.facts)]];
    case "replica-gone":
      return [["dropReplica", fact.poolId, fact.replicaId]];
    case "configured": {
      const pools = JSON.stringify(fact.settings.pools.map(({ id }) => id));
      return [
        ["configure", JSON.stringify(fact.settings)],
        ["dropDrains", pools],
        ["dropReplicas", pools],
      ];
    }
    default:
      return fact satisfies never;
  }
}

function admittedRows({ facts, asked, session }: Admitted, serial: number, body: string): Row[] {
  const { jobId, fingerprint, answer, ...more } = facts;
  const { tenantId, taskId } = facts.task;
  const named = [jobId, tenantId, taskId, facts.sessionSerial, fingerprint, JSON.stringify(answer)] as const;
  return [
    ["admit", serial, ...named],
    ["keepTexts", serial, JSON.stringify({ ...more, ...asked }), body],
    ...(session === undefined ? [] : [sessionRow(session)]),
  ];
}

function endedRows(ended: Ended, serial: number | undefined): Row[] {
  const { jobId, tenantId, taskId, atMs, outcome, view, spent, tenantPays, transcript = null } = ended;
  const ending = [JSON.stringify(outcome), transcript, JSON.stringify(view)] as const;
  // It is told again when its transcript comes later.
  if (serial === undefined) return [["endAgain", ...ending, taskId, tenantId, jobId]];
  return [
    ...(tenantPays ? [["bookOnTenant", ...spentValues(spent), serial] as const] : []),
    ["bookOnSession", ...spentValues(spent), serial],
    ["end", atMs, ...ending, serial],
    ["dropTexts", serial],
  ];
}

function sessionRow({ tenantId, sessionId, serial, expiresAtMs, turns, spent }: SessionFacts): Row {
  return ["session", serial, tenantId, sessionId, expiresAtMs, turns, ...spentValues(spent)];
}

const spentValues = ({ tokens, timeMs, cost }: Spent) => [tokens, timeMs, cost] as const;

/** What is told of a task that nobody knows is told of nothing. */
const live = (serial: number | undefined, row: (serial: number) => Row): Row[] =>
  serial === undefined ? [] : [row(serial)];
