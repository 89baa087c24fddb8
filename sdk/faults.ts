// What can go wrong between a client and its server without the server saying so in its own words. Everything
// the server does say is an OrchError; whether trying again makes sense is judged in retry.ts.

import { OrchError } from "@llama-orch/contract";

/** One exchange broke off; whoever sees this tries again or gives up with an UnreachableError. */
export class ConnectionLost extends Error {
  readonly url: string;

  constructor(url: string, why: string, cause?: unknown) {
    super(`The connection to ${url} broke off: ${why}.`, cause === undefined ? {} : { cause });
    this.name = "ConnectionLost";
    this.url = url;
  }
}

/** The server was not reached in the time that was given; `code` is the system's, such as ECONNREFUSED. */
export class UnreachableError extends Error {
  readonly url: string;
  readonly code: string | undefined;

  constructor(url: string, triedMs: number, cause: unknown) {
    const code = causeCode(cause);
    const reason = code === undefined ? "" : ` (${code})`;
    const tried = triedMs < 1000 ? "" : ` within ${Math.round(triedMs / 1000)} s`;
    super(
      `${url} could not be reached${tried}${reason}. ` +
        "Check that orchestratord runs there and that the address is right.",
      { cause },
    );
    this.name = "UnreachableError";
    this.url = url;
    this.code = code;
  }
}

/** Something answered that does not speak the contract: another program, or a proxy with an opinion. */
export class UnexpectedReplyError extends Error {
  readonly url: string;
  readonly status: number;

  constructor(url: string, status: number, what: string, cause?: unknown) {
    super(
      `${url} answered ${what}, which is no answer of llama-orch. Check the address and what stands in between.`,
      cause === undefined ? {} : { cause },
    );
    this.name = "UnexpectedReplyError";
    this.url = url;
    this.status = status;
  }
}

/** What arrived does not continue what was delivered, so nothing more is delivered. */
export function mismatch(taskId: string, says: string, cause?: unknown): OrchError {
  return new OrchError(
    "WORKER_RESET",
    `The stream of task ${taskId} cannot be continued exactly: ${says}. Start it again under a new task_id.`,
    {},
    cause,
  );
}

/** The system's code, however deep fetch has wrapped it. */
function causeCode(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string") return code;
    if (at instanceof AggregateError) return causeCode(at.errors[0]);
  }
  return undefined;
}
