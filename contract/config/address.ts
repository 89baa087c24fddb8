// Addresses and URLs as operators write them, and the one answer to "can only this machine reach it?".

import Type from "typebox";

const port = "([1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])";
const host = "(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)";

export const ListenAddress = Type.String({
  pattern: `^${host}:(0|${port})$`,
  maxLength: 261,
  "x-accepts": "host:port with a port 0..65535, for example 127.0.0.1:8080 or [::1]:8080",
});

export const HttpUrl = Type.String({
  pattern: "^https?://[^\\s/?#]+(/[^\\s]*)?$",
  maxLength: 2048,
  "x-accepts": "a URL that begins with http:// or https://",
});

/** A web origin as a browser sends it: scheme, host and port, nothing after. */
export const Origin = Type.String({
  pattern: `^https?://${host}(:${port})?$`,
  "x-accepts": "an origin such as https://chat.example.org, without a path",
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

/** A URL may carry a password; whoever prints one prints this instead. */
export function withoutCredentials(value: string): string {
  return value.replace(/(\/\/)[^/\s@]*@/g, "$1[REDACTED]@");
}
