// The secrets of this installation, and the way to take them out of a text. Whatever comes from elsewhere and
// is shown or logged goes through here.

import { apiKeyEntry, type OrchestratordConfig, redacted } from "@llama-orch/contract";

export type Hide = (text: string) => string;

export function secretsOf({ auth }: OrchestratordConfig): string[] {
  const keys = (auth.api_keys ?? []).map((entry) => apiKeyEntry(entry).key);
  return auth.token === undefined ? keys : [auth.token, ...keys];
}

/** Undefined where there is nothing to hide. */
export function hiderOf(secrets: readonly string[]): Hide | undefined {
  // The longest first, so that none is left in part where one holds another.
  const known = secrets.filter((secret) => secret !== "").sort((a, b) => b.length - a.length);
  if (known.length === 0) return undefined;
  const pattern = new RegExp(known.map(escaped).join("|"), "g");
  return (text) => text.replace(pattern, redacted);
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
