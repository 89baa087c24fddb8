// Addresses and URLs as operators write them, and the one answer to "can only this machine reach it?".

import Type from "typebox";
import { secretInPart } from "./setting.ts";

const port = "([1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])";
const host = "(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)";

export const ListenAddress = Type.String({
  pattern: `^${host}:(0|${port})$`,
  maxLength: 261,
  "x-accepts": "host:port with a port 0..65535, for example 127.0.0.1:8080 or [::1]:8080",
});

/** It may carry a password or a key, so what was given instead of one is never shown. */
export const HttpUrl = secretInPart(
  Type.String({
    pattern: "^https?://[^\\s/?#]+(/[^\\s]*)?$",
    maxLength: 2048,
    "x-accepts": "a URL that begins with http:// or https://",
    "x-url": true,
  }),
);

/**
 * Where an engine is reached, which may be behind a path. Paths are appended to it, and a key travels in a
 * header, so a user, a query and a fragment would be of no effect and are not taken.
 */
export const EngineUrl = secretInPart(
  Type.String({
    pattern: "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$",
    maxLength: 2048,
    "x-accepts":
      "a URL that begins with http:// or https://, without a user, a query and a fragment, " +
      "such as http://10.0.0.7:8080/path",
    "x-url": true,
  }),
);

/** Nothing but its host, its port and who asks says anything to a proxy, so nothing else is taken. */
export const ProxyUrl = secretInPart(
  Type.String({
    pattern: `^https?://([^\\s/?#]+@)?${host}(:${port})?/?$`,
    maxLength: 2048,
    "x-accepts": "a proxy without a path, such as http://proxy:3128 or https://user:password@proxy:3129",
    "x-url": true,
  }),
);

/** Where a pool manager is reached. Paths are appended to it, and the token travels in a header. */
export const NodeAddress = secretInPart(
  Type.String({
    pattern: `^https?://${host}(:${port})?/?$`,
    maxLength: 300,
    "x-accepts": "an http:// or https:// address without a path, such as http://10.0.0.7:9200",
    "x-url": true,
  }),
);

/** A web origin as a browser sends it: scheme, host and port, nothing after. */
export const Origin = Type.String({
  pattern: `^https?://${host}(:${port})?$`,
  "x-accepts": "an origin such as https://chat.example.org, without a path",
  "x-url": true,
});

export const Hostname = Type.String({
  pattern: `^${host}$`,
  maxLength: 255,
  "x-accepts": "a host name without a port",
});

/** True for 127.0.0.0/8, ::1 and localhost, the addresses that no other machine can reach. */
export function isLoopback(address: string): boolean {
  const name = address.replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}

// A password may hold any character, so a credential goes on to the last @; an image's @sha256: is none.
// Without // it needs a colon, and the references hf: and file: may hold an @ of their own.
const credential = /(\/\/|(?<!\S)"?(?!hf:|file:)(?=[^\s@:/]+:(?!\/\/)))\S*@(?!sha256:)/g;
const queryValue = /([?&#](?:[^=&#\s]*=)?)[^&#\s]+?(?=[&#\s]|"?$)/g;

/** A URL may carry a password or a key; whoever prints one prints this instead. */
export function withoutCredentials(value: string): string {
  const named = value.replace(credential, "$1[REDACTED]@");
  return named.includes("//") ? named.replace(queryValue, "$1[REDACTED]") : named;
}
