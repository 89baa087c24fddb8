// A resolved configuration as a person may see it: one row per value, with where it comes from, and no
// secret.

import { withoutCredentials } from "./address.ts";
import { leaves, wholeFile } from "./keys.ts";
import type { ResolvedConfig } from "./resolve.ts";

export interface PrintedValue {
  readonly path: string;
  readonly value: unknown;
  readonly origin: string;
}

const hidden = "[REDACTED]";

export function printedValues({
  config,
  origins,
}: Pick<ResolvedConfig, "config" | "origins">): PrintedValue[] {
  return [...leaves(wholeFile, config)].map(({ path, key, value }) => ({
    path,
    value: key["x-secret"] === true ? conceal(value) : reveal(value),
    origin: origins.get(path) ?? "default",
  }));
}

/** Keeps the number of keys and the names of variables, since they help and tell nothing. */
function conceal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(() => hidden);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.keys(value).map((name) => [name, hidden]));
  }
  return hidden;
}

/** `-hft` is what llama.cpp calls `--hf-token` for short. */
const secretFlag = /^(--?[\w-]*(key|token|secret|password|passwd|credentials?|auth)|-hft)$/i;

/** URLs and engine flags may carry secrets without being one. */
function reveal(value: unknown): unknown {
  if (typeof value === "string") return withoutCredentials(value);
  if (!Array.isArray(value)) return value;
  return value.map((item, index) => {
    if (typeof item !== "string") return item;
    if (secretFlag.test(String(value[index - 1]))) return hidden;
    const [, name = "", between] = /^(\S+?)(=|\s+)/.exec(item) ?? [];
    return secretFlag.test(name) ? `${name}${between}${hidden}` : withoutCredentials(item);
  });
}
