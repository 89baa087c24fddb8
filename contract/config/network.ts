// Who may reach the daemons, and how: listening addresses, credentials, the Host and Origin rule, TLS, the
// proxy.

import Type from "typebox";
import { Hostname, ListenAddress, Origin, ProxyUrl } from "./address.ts";
import { closed, derived, optional, path, required, secret, section, setting } from "./setting.ts";

const tokenCharacters = 16;

const Token = secret(
  Type.String({
    pattern: `^[\\x21-\\x7e]{${tokenCharacters},4096}$`,
    "x-accepts": `a token of ${tokenCharacters} to 4096 visible ASCII characters without spaces`,
  }),
);

/** A key stands alone or behind the tenant it belongs to, so it holds neither `=` nor the comma of a list. */
const ApiKey = secret(
  Type.String({
    pattern: "^((?!\\.{1,2}=)[A-Za-z0-9._:-]{1,128}=)?[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{1,512}$",
    "x-accepts": "key or tenant=key, where the key has no space, comma or =",
  }),
);

export const Auth = secret(
  section(
    {
      bind_addr: derived(
        ListenAddress,
        "127.0.0.1:8080; in the cloud profile 0.0.0.0:8080",
        "Where the orchestrator listens; what other machines can reach needs a token or an API key.",
      ),
      token: optional(Token, "The bearer token that callers and nodes send; the cloud profile requires one."),
      api_keys: optional(
        secret(Type.Array(ApiKey, { minItems: 1, maxItems: 10_000, uniqueItems: true })),
        "Keys accepted in X-API-Key, each alone or bound to a tenant as tenant=key.",
      ),
      auth_optional: setting(
        Type.Boolean(),
        false,
        "Lets callers on loopback omit the token; never a request that a proxy forwarded.",
      ),
      trust_proxy_auth: setting(
        Type.Literal(false),
        false,
        "Credentials added by a proxy are never trusted, so only false is accepted.",
      ),
    },
    "The orchestrator's address and the credentials of this installation.",
  ),
);

export const Network = section(
  {
    allowed_hosts: setting(
      Type.Array(Hostname, { maxItems: 256, uniqueItems: true }),
      [],
      "Host names besides those of loopback that a request without a credential may name.",
    ),
    cors_origins: setting(
      Type.Array(Origin, { maxItems: 256, uniqueItems: true }),
      [],
      "Web origins that may call: they get CORS headers and are not foreign to the Origin rule.",
    ),
    proxy_url: optional(
      ProxyUrl,
      "The HTTP proxy to engines and model sources, except those on loopback; traces go straight.",
    ),
  },
  "The Host and Origin rule, CORS, and the way out.",
);

export const Tls = closed({
  cert_file: required(path(), "The PEM file with the certificate chain."),
  key_file: required(path(), "The PEM file with the private key."),
});

export const Gateway = section(
  {
    addr: setting(
      ListenAddress,
      "127.0.0.1:8081",
      "Where the OpenAI-compatible gateway and the page listen.",
    ),
  },
  "The OpenAI-compatible face.",
);

export interface ApiKeyEntry {
  readonly key: string;
  readonly tenant?: string;
}

/** Splits `tenant=key`; a key that stands alone leaves the tenant to the request. */
export function apiKeyEntry(entry: string): ApiKeyEntry {
  const at = entry.indexOf("=");
  return at < 0 ? { key: entry } : { tenant: entry.slice(0, at), key: entry.slice(at + 1) };
}
