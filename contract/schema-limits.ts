// How large a JSON schema for an answer may be. An engine compiles it to a grammar and follows every reading
// of it at once, token by token; a few hundred bytes can keep it busy for ever, and no other task is served
// meanwhile. So what would grow without bound is refused here, before an engine sees it.

export const schemaLimits = {
  /** Written without white space. */
  bytes: 16_384,
  /** Lists and objects inside each other. */
  levels: 64,
  enumValues: 256,
  properties: 256,
  /** Schemas in it, when each $ref is replaced by what it stands for. */
  parts: 4096,
} as const;

type Schema = Readonly<Record<string, unknown>>;

/** What is wrong with it in a sentence that says what to do; undefined when it may be compiled. */
export function schemaProblem(schema: Schema): string | undefined {
  return (
    sizeProblem(schema) ??
    countProblem(schema) ??
    new Unfolding(schema).problem() ??
    new Readings(schema).problem()
  );
}

/** Level by level and only so far, since nothing is known yet of how large or deep it is. */
function sizeProblem(schema: Schema): string | undefined {
  // Every value takes two bytes at least, with what separates it from the next.
  let left = schemaLimits.bytes / 2;
  let level: unknown[] = [schema];
  const tooLarge = `give a schema of at most ${schemaLimits.bytes} bytes.`;
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > schemaLimits.levels) return `nest at most ${schemaLimits.levels} lists and objects.`;
    left -= level.length;
    if (left < 0) return tooLarge;
    level = level.flatMap((value) => (isObject(value) || Array.isArray(value) ? Object.values(value) : []));
  }
  const bytes = new TextEncoder().encode(JSON.stringify(schema)).length;
  return bytes > schemaLimits.bytes ? tooLarge : undefined;
}

function countProblem(schema: Schema): string | undefined {
  let properties = 0;
  for (const part of partsOf(schema)) {
    if (Array.isArray(part.enum) && part.enum.length > schemaLimits.enumValues) {
      return `give at most ${schemaLimits.enumValues} values in one enum.`;
    }
    if (isObject(part.properties)) properties += Object.keys(part.properties).length;
    if (properties > schemaLimits.properties) {
      return `give at most ${schemaLimits.properties} properties in all.`;
    }
    if (part.$ref !== undefined && nameIn(part) === undefined) {
      return "a $ref must point to #/$defs/ or #/definitions/.";
    }
  }
  return undefined;
}

/** How many schemas it holds with every $ref written out; one that leads back to itself counts once. */
class Unfolding {
  readonly #schema: Schema;
  readonly #definitions: ReadonlyMap<string, readonly Schema[]>;
  readonly #sizes = new Map<string, number>();

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#definitions = definitionsIn(schema);
  }

  problem(): string | undefined {
    if (this.#sizeOf(this.#schema) <= schemaLimits.parts) return undefined;
    return `it has more than ${schemaLimits.parts} parts once each $ref is written out; use fewer.`;
  }

  #sizeOf(part: Schema): number {
    const name = nameIn(part);
    let size = 1 + (name === undefined ? 0 : this.#named(name));
    for (const child of childrenOf(part)) size += this.#sizeOf(child);
    return size;
  }

  #named(name: string): number {
    const known = this.#sizes.get(name);
    if (known !== undefined) return known;
    // Whoever comes by while it is being measured came in a circle.
    this.#sizes.set(name, 1);
    const sizes = (this.#definitions.get(name) ?? []).map((each) => this.#sizeOf(each));
    const size = sizes.reduce((sum, each) => sum + each, 0);
    this.#sizes.set(name, size);
    return size;
  }
}

/**
 * Two branches of a choice that begin alike are both followed until the text tells them apart. Where both
 * come back to the choice before it does, each round doubles what is followed.
 */
class Readings {
  readonly #definitions: ReadonlyMap<string, readonly Schema[]>;
  /** Name → the names that stand in it. */
  readonly #named = new Map<string, readonly string[]>();
  /** Name → the names that can be reached from it. */
  readonly #reached = new Map<string, ReadonlySet<string>>();

  constructor(schema: Schema) {
    this.#definitions = definitionsIn(schema);
    for (const [name, schemas] of this.#definitions) this.#named.set(name, namesIn(schemas));
    for (const name of this.#definitions.keys()) this.#reached.set(name, this.#closure(name));
  }

  problem(): string | undefined {
    // A choice outside every definition cannot be come back to, except through those inside.
    for (const [name, schemas] of this.#definitions) {
      for (const part of schemas.flatMap((schema) => [...inlineParts(schema)])) {
        if (this.#isAmbiguous(part, name)) {
          return (
            `two branches of ${name} begin alike and both contain it again; ` +
            "let them differ in type, or in the constant of a required first property."
          );
        }
      }
    }
    return undefined;
  }

  #isAmbiguous(part: Schema, home: string): boolean {
    const returning = [...listIn(part.oneOf), ...listIn(part.anyOf)].filter((branch) =>
      this.#returns(branch, home),
    );
    const leaders = returning.map((branch) => this.#leadersOf(branch));
    return leaders.some((own, index) =>
      leaders.slice(index + 1).some((other) => own.some((a) => other.some((b) => isAlike(a, b)))),
    );
  }

  #returns(branch: Schema, home: string): boolean {
    return namesIn([branch]).some((name) => name === home || this.#reached.get(name)?.has(home) === true);
  }

  /** The schemas with which a text of this branch may begin: what stands behind refs and choices. */
  #leadersOf(branch: Schema, seen = new Set<string>()): Schema[] {
    const name = nameIn(branch);
    if (name !== undefined) {
      if (seen.has(name)) return [];
      seen.add(name);
      return (this.#definitions.get(name) ?? []).flatMap((each) => this.#leadersOf(each, seen));
    }
    const choices = [...listIn(branch.oneOf), ...listIn(branch.anyOf)];
    if (choices.length === 0) return [branch];
    return choices.flatMap((each) => this.#leadersOf(each, seen));
  }

  #closure(start: string): ReadonlySet<string> {
    const found = new Set<string>();
    const open = [start];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      for (const next of this.#named.get(name) ?? []) {
        if (found.has(next)) continue;
        found.add(next);
        open.push(next);
      }
    }
    return found;
  }
}

/** The names of all definitions that stand in these schemas. */
function namesIn(schemas: readonly Schema[]): string[] {
  const names = schemas.flatMap((schema) => [...inlineParts(schema)].map(nameIn));
  return names.filter((name) => name !== undefined);
}

/** Whether one text may begin as both. Where that is not plain, it may. */
function isAlike(a: Schema, b: Schema): boolean {
  if (typeof a.type === "string" && typeof b.type === "string" && a.type !== b.type) return false;
  const [first, second] = [firstConstant(a), firstConstant(b)];
  return first === undefined || second === undefined || first === second;
}

/** The name and the constant of the first property, where an object has to begin with it. */
function firstConstant({ type, properties, required }: Schema): string | undefined {
  if (type !== "object" || !isObject(properties)) return undefined;
  const [name, schema] = Object.entries(properties)[0] ?? [];
  if (name === undefined || !Array.isArray(required) || !required.includes(name)) return undefined;
  if (!isObject(schema) || !["string", "number", "boolean"].includes(typeof schema.const)) return undefined;
  return JSON.stringify([name, schema.const]);
}

const definitionKeys = ["$defs", "definitions"];
const mapKeys = ["properties", "patternProperties", "dependentSchemas"];
/** They hold values, whatever these look like. */
const dataKeys = ["const", "enum", "default", "examples", ...definitionKeys, ...mapKeys];

/** The schemas right inside a schema; definitions are not, they are where they are used. */
function childrenOf(schema: Schema): Schema[] {
  const inside = mapKeys.flatMap((key) => (isObject(schema[key]) ? Object.values(schema[key]) : []));
  for (const [key, value] of Object.entries(schema)) {
    if (!dataKeys.includes(key)) inside.push(...(Array.isArray(value) ? value : [value]));
  }
  return inside.filter(isObject);
}

/** Itself and all that stands in it, definitions left out. */
function* inlineParts(schema: Schema): Generator<Schema> {
  yield schema;
  for (const child of childrenOf(schema)) yield* inlineParts(child);
}

function* partsOf(schema: Schema): Generator<Schema> {
  for (const part of inlineParts(schema)) {
    yield part;
    for (const definition of definedIn(part)) yield* partsOf(definition[1]);
  }
}

function definedIn(schema: Schema): [string, Schema][] {
  const maps = definitionKeys.map((key) => schema[key]).filter(isObject);
  return maps.flatMap((map) =>
    Object.entries(map).flatMap(([name, each]) => (isObject(each) ? [[name, each] as [string, Schema]] : [])),
  );
}

/** All of one name together, wherever they stand: which one is meant depends on the engine. */
function definitionsIn(schema: Schema): Map<string, Schema[]> {
  const found = new Map<string, Schema[]>();
  for (const part of partsOf(schema)) {
    for (const [name, each] of definedIn(part)) found.set(name, [...(found.get(name) ?? []), each]);
  }
  return found;
}

/** The definition that a $ref means. */
function nameIn({ $ref }: Schema): string | undefined {
  return typeof $ref === "string" ? /^#\/(?:\$defs|definitions)\/([^/~%]+)$/.exec($ref)?.[1] : undefined;
}

function listIn(value: unknown): Schema[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
