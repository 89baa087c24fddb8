// One request on its way through a handler: what it asked, who asks, and where the answer goes.

import { accepted, OrchError, parser, TaskId } from "@llama-orch/contract";
import type { Application, Caller } from "../application.ts";
import type { Clock } from "../clock.ts";
import type { Wire } from "./reply.ts";
import type { Streams } from "./streams.ts";

export interface Exchange {
  readonly wire: Wire;
  readonly caller: Caller;
  /** The `{id}` of the path, decoded; empty on paths without one. It may be any text. */
  readonly id: string;
  readonly query: Readonly<Record<string, unknown>>;
}

/** What handlers work with; the same for every request of a server. */
export interface Room {
  readonly application: Application;
  readonly streams: Streams;
  readonly clock: Clock;
}

/** Answers the exchange, or throws an OrchError that becomes its answer. */
export type Handler = (exchange: Exchange, room: Room, limitBytes: number) => void | Promise<void>;

const parseId = parser(TaskId);

/** Tasks, sessions, tenants and pools share one form of id. */
export const isSafeId = (id: string): boolean => parseId.problems(id).length === 0;

/** For routes where an id of a wrong form can name nothing. */
export function requireKnownForm(id: string, what: string): void {
  if (isSafeId(id)) return;
  throw new OrchError("NOT_FOUND", `There is no ${what} with this id; an id is ${accepted({ ...TaskId })}.`);
}

/** A caller whose key is bound to no tenant works in the default one. */
export const tenantOf = ({ tenantId = "default" }: Caller): string => tenantId;
