// How a call can fail before there is an answer, in words that do not depend on the library beneath. An
// answer with a bad status is no failure here; only the caller knows what it means.

/**
 * `refused`: nobody listens. `unreachable`: no way there. `reset`: the connection broke. `untrusted`: the
 * certificate of the other side. `proxy_refused`: a proxy on the way lets this call not through.
 */
export type HttpFailureKind =
  | "refused"
  | "unreachable"
  | "reset"
  | "connect_timeout"
  | "untrusted"
  | "proxy_refused"
  | "timeout"
  | "too_large";

export class HttpFailure extends Error {
  readonly kind: HttpFailureKind;

  constructor(kind: HttpFailureKind, message: string) {
    super(message);
    this.name = "HttpFailure";
    this.kind = kind;
  }
}

const kinds: Readonly<Record<string, HttpFailureKind>> = {
  ECONNREFUSED: "refused",
  ENOENT: "refused",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ETIMEDOUT: "connect_timeout",
  CERT_HAS_EXPIRED: "untrusted",
  CERT_NOT_YET_VALID: "untrusted",
  CERT_REVOKED: "untrusted",
  CERT_UNTRUSTED: "untrusted",
  DEPTH_ZERO_SELF_SIGNED_CERT: "untrusted",
  ERR_TLS_CERT_ALTNAME_INVALID: "untrusted",
  SELF_SIGNED_CERT_IN_CHAIN: "untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "untrusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "untrusted",
};

const says: Readonly<Record<HttpFailureKind, string>> = {
  refused: "nobody listens there",
  unreachable: "there is no way there",
  reset: "the connection broke",
  connect_timeout: "the connection was not made in time",
  untrusted: "its certificate is not trusted",
  proxy_refused: "it lets nothing through to there",
  timeout: "the answer did not come in time",
  too_large: "the answer is larger than allowed",
};

/** `where` names the call; it must hold no credential. */
export function httpFailure(kind: HttpFailureKind, where: string, detail?: string): HttpFailure {
  return new HttpFailure(kind, `${where}: ${says[kind]}${detail === undefined ? "" : ` (${detail})`}.`);
}

/** The library's error is not kept: it may hold the request with its headers. */
export function failureOf(error: unknown, where: string): HttpFailure {
  if (error instanceof HttpFailure) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const kind = (typeof code === "string" ? kinds[code] : undefined) ?? "reset";
  return httpFailure(kind, where, typeof code === "string" ? code : String(message));
}
