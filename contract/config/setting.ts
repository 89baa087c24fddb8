// How a key of the configuration is written down: its shape, one sentence about it, and its default. The file
// may leave out whatever has a default; the resolved configuration never does, and the types here know the
// difference.

import Type, {
  type Static,
  type TArray,
  type TObject,
  type TOptional,
  type TProperties,
  type TSchema,
} from "typebox";

/** Marks a key that the resolved configuration always has, although the file may leave it out. */
export interface Filled {
  "~filled": true;
}

type FilledProperty<S extends TSchema> = TOptional<S> & Filled;

/** A key with a constant default. */
export function setting<S extends TSchema>(
  schema: S,
  value: unknown,
  description: string,
): FilledProperty<S> {
  return Type.Optional(annotated(schema, { description, default: value })) as unknown as FilledProperty<S>;
}

/** A key whose default is computed from other values by `derived.ts`; `says` tells a reader how. */
export function derived<S extends TSchema>(schema: S, says: string, description: string): FilledProperty<S> {
  return Type.Optional(annotated(schema, { description, "x-default": says })) as unknown as FilledProperty<S>;
}

/** A key that stays absent when nobody sets it. */
export function optional<S extends TSchema>(schema: S, description: string): TOptional<S> {
  return Type.Optional(annotated(schema, { description })) as unknown as TOptional<S>;
}

/** A key the file must have, wherever the object around it stands. */
export function required<S extends TSchema>(schema: S, description: string): S {
  return annotated(schema, { description });
}

/** A closed object: a key it does not name is a mistake of the writer. */
export function closed<P extends TProperties>(properties: P, options: object = {}): TObject<P> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** A group of keys that is always there once resolved. */
export function section<P extends TProperties>(
  properties: P,
  description: string,
): FilledProperty<TObject<P>> {
  return setting(closed(properties), {}, description);
}

/** Hidden in problems and in printed configurations. */
export function secret<S extends TSchema>(schema: S): S {
  return annotated(schema, { "x-secret": true });
}

/** Printed without its secrets; a wrong value is never shown, since nobody can tell what in it is one. */
export function secretInPart<S extends TSchema>(schema: S): S {
  return annotated(schema, { "x-secret": "in part" });
}

/** TypeBox keeps its own marks in hidden properties, which a plain spread would lose. */
function annotated<S extends TSchema>(schema: S, annotations: object): S {
  const copy = Object.defineProperties({}, Object.getOwnPropertyDescriptors(schema));
  return Object.assign(copy, annotations) as S;
}

type Always<P extends TProperties, K extends keyof P> = P[K] extends Filled
  ? K
  : P[K] extends TOptional<TSchema>
    ? never
    : K;

type Flat<T> = { [K in keyof T]: T[K] };

/** The type of a value once every default is filled in, frozen. */
export type Resolved<S> =
  S extends TObject<infer P>
    ? Flat<
        { readonly [K in keyof P as Always<P, K>]: Resolved<P[K]> } & {
          readonly [K in keyof P as Exclude<K, Always<P, K>>]?: Resolved<P[K]>;
        }
      >
    : S extends TArray<infer I>
      ? readonly Resolved<I>[]
      : S extends TSchema
        ? Static<S>
        : never;

export const ms = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum });
export const bytes = (minimum = 1) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER });
export const positive = (maximum: number) => Type.Integer({ minimum: 1, maximum });
export const text = (maxLength = 1024) => Type.String({ minLength: 1, maxLength });
export const texts = () => Type.Array(text(), { maxItems: 256 });

/** A path on this machine; a leading `~/` becomes the home directory when the configuration is resolved. */
export const path = () =>
  Type.String({ minLength: 1, maxLength: 4096, "x-accepts": "a path", "x-path": true });
