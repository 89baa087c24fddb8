// Finding one's way in the configuration: a path such as `pools[0].queue.capacity` names a value, and with
// `pools[]` the key of every pool. All walks over the schema are here; nothing here knows what a key means.

import type { TSchema } from "typebox";
import { ConfigFile } from "./config.ts";

export type Draft = Record<string, unknown>;

/** What the walks read of a schema. */
export interface Key extends TSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Key>>;
  readonly items?: Key;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly "x-default"?: string;
  readonly "x-secret"?: true | "in part";
  readonly "x-path"?: boolean;
  readonly "x-url"?: boolean;
}

export const wholeFile: Key = ConfigFile as TSchema;

export function isObject(value: unknown): value is Draft {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const steps = (path: string): string[] => path.replaceAll("[", ".").replaceAll("]", "").split(".");

/** The schema of a key, or undefined when there is no such key. */
export function keyAt(path: string): Key | undefined {
  return steps(path).reduce<Key | undefined>(
    (key, step) => (/^\d*$/.test(step) ? key?.items : key?.properties?.[step]),
    wholeFile,
  );
}

export function valueAt(root: unknown, path: string): unknown {
  return steps(path).reduce<unknown>((value, step) => (value as Draft | null | undefined)?.[step], root);
}

/** Sets a value, making the objects on the way; where something else stands in the way, nothing is set. */
export function setAt(root: Draft, path: string, value: unknown): void {
  const way = steps(path);
  const last = way.pop() as string;
  let place: unknown = root;
  for (const step of way) {
    if (typeof place !== "object" || place === null) return;
    (place as Draft)[step] ??= {};
    place = (place as Draft)[step];
  }
  if (isObject(place)) place[last] = value;
}

/** `pools[].x` becomes one path per pool of the draft. */
export function everyPool(path: string, draft: Draft): string[] {
  if (!path.startsWith("pools[]")) return [path];
  const pools = Array.isArray(draft.pools) ? draft.pools : [];
  return pools.map((_, index) => path.replace("[]", `[${index}]`));
}

/** Puts in every constant default. Values of a wrong type stay as they are; they are problems already. */
export function fill(schema: Key, value: unknown): void {
  if (schema.items !== undefined && Array.isArray(value)) {
    for (const item of value) fill(schema.items, item);
  } else if (schema.properties !== undefined && isObject(value)) {
    for (const [name, key] of Object.entries(schema.properties)) {
      if (value[name] === undefined && "default" in key) value[name] = structuredClone(key.default);
      fill(key, value[name]);
    }
  }
}

/** Turns a leading `~/` of every path into the home directory. */
export function expandHome(draft: Draft, home: string): void {
  for (const { path, key, value } of [...leaves(wholeFile, draft)]) {
    const expand = (text: unknown) =>
      typeof text === "string" ? text.replace(/^~(?=\/|$)/, () => home) : text;
    if (key["x-path"] === true) setAt(draft, path, expand(value));
    else if (key.items?.["x-path"] === true && Array.isArray(value)) setAt(draft, path, value.map(expand));
  }
}

/** Every value of a configuration with its path and schema. A list of plain values or a free map is one. */
export function* leaves(
  schema: Key,
  value: unknown,
  path = "",
): Generator<{ path: string; key: Key; value: unknown }> {
  if (schema.items?.properties !== undefined && Array.isArray(value) && value.length > 0) {
    for (const [index, item] of value.entries()) yield* leaves(schema.items, item, `${path}[${index}]`);
  } else if (schema.properties !== undefined && isObject(value)) {
    for (const [name, key] of Object.entries(schema.properties)) {
      if (value[name] !== undefined) yield* leaves(key, value[name], path === "" ? name : `${path}.${name}`);
    }
  } else if (schema.properties === undefined) {
    yield { path, key: schema, value };
  }
}
