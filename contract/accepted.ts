// What a schema accepts, in the words that error messages and the documents of the configuration share.

type Json = Record<string, unknown>;

/** `x-accepts` on a schema replaces what can be derived. */
export function accepted(schema: Json): string {
  if (typeof schema["x-accepts"] === "string") return schema["x-accepts"];
  if (Array.isArray(schema.enum)) return oneOf(schema.enum);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map((branch) => accepted(branch as Json)).join(" or ");
  switch (schema.type) {
    case "integer":
    case "number":
      return `${schema.type === "integer" ? "an integer" : "a number"}${range(schema)}`;
    case "string":
      return `a string${lengths(schema, "characters")}`;
    case "boolean":
      return "true or false";
    case "array":
      return `a list${lengths(schema, "items")}${listed(schema)}`;
    case "object":
      return "an object";
    case "null":
      return "null";
    default:
      return "a JSON value";
  }
}

export function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(", ")}`;
}

function listed(schema: Json): string {
  const items = schema.items as Json | undefined;
  if (items === undefined) return "";
  return `, each ${accepted(items)}${schema.uniqueItems === true ? ", none twice" : ""}`;
}

function range(schema: Json): string {
  const above = schema.exclusiveMinimum;
  const { minimum = above, maximum } = schema;
  if (maximum === Number.MAX_SAFE_INTEGER) return ` ${minimum}..2^53-1`;
  if (above !== undefined)
    return maximum === undefined ? ` above ${above}` : ` above ${above}, at most ${maximum}`;
  if (minimum !== undefined && maximum !== undefined) return ` ${minimum}..${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? "" : ` of at most ${maximum}`;
}

function lengths(schema: Json, unit: string): string {
  const low = schema.minLength ?? schema.minItems;
  const high = schema.maxLength ?? schema.maxItems;
  if (low !== undefined && high !== undefined) return ` of ${low} to ${high} ${unit}`;
  if (low !== undefined) return ` of at least ${low} ${unit}`;
  return high === undefined ? "" : ` of at most ${high} ${unit}`;
}
