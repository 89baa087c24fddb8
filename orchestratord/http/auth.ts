// Who asks: the gate in its three settings (nothing configured, API keys, a bearer token) turns a request
// into a caller or refuses it. Secrets are compared as digests in constant time and never leave this file.

import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { apiKeyEntry, type Config, type ErrorCode, OrchError, type Route } from "@llama-orch/contract";
import type { Caller } from "../application.ts";
import type { OriginRule } from "./origin.ts";

export interface AuthEntry {
  readonly event: "auth_success" | "auth_failed";
  readonly correlationId: string;
  /** Absent where nobody was recognised. */
  readonly identity?: string;
  readonly code?: ErrorCode;
}

/** @throws OrchError with a code of the edge when the caller may not pass */
export type Gate = (asks: Route["auth"], request: IncomingMessage, correlationId: string) => Caller;

export function createGate(auth: Config["auth"], origin: OriginRule, log: (entry: AuthEntry) => void): Gate {
  const credentials = readCredentials(auth);
  return (asks, request, correlationId) => {
    const { headers } = request;
    const address = request.socket.remoteAddress ?? "";
    const anonymous = () => ({ client: address, identity: "localhost", correlationId });
    if (!credentials.any) {
      origin.require(headers);
      return anonymous();
    }
    // A scraper names this machine as its network does, so the Host rule is for open installations alone.
    if (asks === "open") return anonymous();
    const verdict = credentials.judge(asks, headers);
    if (verdict instanceof OrchError) {
      if (maySkip(auth, asks, verdict, address, headers)) {
        origin.require(headers);
        return anonymous();
      }
      log({ event: "auth_failed", correlationId, code: verdict.code });
      throw verdict;
    }
    const { digest, tenant } = verdict;
    const identity = `token:${digest.slice(0, 6)}`;
    log({ event: "auth_success", correlationId, identity });
    const caller = { client: `token:${digest.slice(0, 16)}`, identity, correlationId };
    return tenant === undefined ? caller : { ...caller, tenantId: tenant };
  };
}

/** Whether a caller of this machine goes on without a token. A wrong one is never excused. */
function maySkip(
  { auth_optional, token }: Config["auth"],
  asks: Route["auth"],
  refusal: OrchError,
  address: string,
  headers: IncomingHttpHeaders,
): boolean {
  if (!auth_optional || token === undefined || asks !== "key" || refusal.code !== "MISSING_TOKEN")
    return false;
  const forwarded = Object.keys(headers).some((name) => /^(forwarded$|x-forwarded-)/.test(name));
  return !forwarded && /^(::1|(::ffff:)?127(\.\d{1,3}){3})$/.test(address);
}

interface Credential {
  /** sha256 in hex. */
  readonly digest: string;
  readonly tenant?: string;
}

interface Credentials {
  readonly any: boolean;
  judge(asks: Route["auth"], headers: IncomingHttpHeaders): Credential | OrchError;
}

function readCredentials({ token, api_keys = [] }: Config["auth"]): Credentials {
  const tokenDigest = token === undefined ? undefined : sha256(token);
  const keys = new Map<string, Credential>();
  for (const { key, tenant } of api_keys.map(apiKeyEntry)) {
    const digest = sha256(key);
    keys.set(digest, tenant === undefined ? { digest } : { digest, tenant });
  }
  return {
    any: tokenDigest !== undefined || keys.size > 0,
    judge(asks, headers) {
      const keyCounts = keys.size > 0 && (asks === "key" || tokenDigest === undefined);
      const sent = keyCounts ? headers["x-api-key"] : undefined;
      const key = typeof sent === "string" ? findKey(keys, sent) : undefined;
      // Before the token, since a key may be bound to a tenant.
      if (key !== undefined) return key;
      const bearer = tokenDigest === undefined ? undefined : bearerOf(headers.authorization);
      if (tokenDigest !== undefined && bearer !== undefined && isSame(sha256(bearer), tokenDigest)) {
        return { digest: tokenDigest };
      }
      if (bearer !== undefined) return refusals.BAD_TOKEN();
      if (sent !== undefined) return refusals.INVALID_API_KEY();
      return tokenDigest === undefined ? refusals.MISSING_API_KEY() : refusals.MISSING_TOKEN();
    },
  };
}

const headerBytesMax = 8192;

/** Undefined when no bearer credential was sent; a text that can be no token is as wrong as another. */
function bearerOf(header: string | undefined): string | undefined {
  const sent =
    header === undefined ? null : /^bearer(?:[ \t]+(.*))?$/is.exec(header.slice(0, headerBytesMax + 1));
  if (sent === null) return undefined;
  const token = (sent[1] ?? "").trim();
  return (header as string).length <= headerBytesMax && /^[\x21-\x7e]+$/.test(token) ? token : "";
}

/** The table is entered by a digest, which nobody can steer; the last step takes constant time. */
function findKey(keys: ReadonlyMap<string, Credential>, sent: string): Credential | undefined {
  if (sent.length > headerBytesMax) return undefined;
  const digest = sha256(sent.trim());
  const found = keys.get(digest);
  return found !== undefined && isSame(digest, found.digest) ? found : undefined;
}

const sha256 = (text: string): string => hash("sha256", text);

/** Both are digests, so their lengths are equal whatever was sent. */
export function isSame(digest: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(digest), Buffer.from(other));
}

const tokenHint = "Send Authorization: Bearer with the token of this installation (LLORCH_API_TOKEN).";
const keyHint = "Send the header X-API-Key with one of the keys of this installation (ORCHD_API_KEYS).";

const refusals = {
  MISSING_TOKEN: () => new OrchError("MISSING_TOKEN", "A bearer token is missing.", { hint: tokenHint }),
  BAD_TOKEN: () => new OrchError("BAD_TOKEN", "The bearer token is wrong.", { hint: tokenHint }),
  MISSING_API_KEY: () => new OrchError("MISSING_API_KEY", "An API key is missing.", { hint: keyHint }),
  INVALID_API_KEY: () => new OrchError("INVALID_API_KEY", "The API key is wrong.", { hint: keyHint }),
};
