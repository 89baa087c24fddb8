// The id by which one request is followed: the caller's own when it is fit to be repeated, else a new one.

import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isCorrelationId } from "@llama-orch/contract";

export function correlationIdFrom(headers: IncomingHttpHeaders): string {
  const given = headers["x-correlation-id"];
  return isCorrelationId(given) ? given : randomUUID();
}
