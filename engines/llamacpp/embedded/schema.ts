// Holds a JSON schema against what the grammar of node-llama-cpp can promise. A keyword that it would skip is
// refused, since an answer that breaks the schema is worse than none; annotations are let through.

import { schemaProblem } from "@llama-orch/contract";
import type { Llama, LlamaGrammar } from "node-llama-cpp";
import { isObject } from "./fields.ts";
import { invalid } from "./refusal.ts";

const annotations = ["$schema", "$id", "$comment", "title", "description", "default", "examples", "required"];
/** Keyword → whether its value is fine as it is; the ones that hold schemas are walked below. */
const types = ["string", "number", "integer", "boolean", "null", "object", "array"];
const plain = ["const", "enum", "minLength", "maxLength", "minItems", "maxItems"];
const counted = ["minProperties", "maxProperties"];
const formats = ["date-time", "time", "date"];
const depthMax = 32;

/** @throws Refusal that names the keyword and where it stands */
export async function grammarFor(llama: Llama, value: unknown): Promise<LlamaGrammar> {
  const schema = readSchema(value);
  try {
    // The schema came from outside and was checked; the type wants it known while compiling.
    const { grammar } = await llama.createGrammarForJsonSchema(schema as never);
    return await llama.createGrammar({ grammar: narrowed(grammar) });
  } catch (error) {
    throw invalid(`Failed to initialize samplers: ${(error as Error).message}`);
  }
}

/** The library ends each answer with blank lines and lets an integer be 1e-5; neither is wanted. */
function narrowed(grammar: string): string {
  return grammar
    .replace(' "\\n\\n\\n\\n" [\\n]*', "")
    .replace(/^(integer-number-rule ::= .*\)) \(\[eE\].*$/m, "$1");
}

function readSchema(value: unknown): unknown {
  if (!isObject(value)) throw invalid("Field 'json_schema': expected an object");
  // Also here: not every caller came through a door that looked.
  const problem = schemaProblem(value);
  if (problem !== undefined) throw invalid(`Field 'json_schema': ${problem}`);
  return translate(value, "json_schema", 0);
}

function translate(value: unknown, path: string, depth: number): unknown {
  if (depth > depthMax) throw invalid(`Field '${path}': schemas are nested at most ${depthMax} deep`);
  if (value === true) return anything;
  if (!isObject(value)) throw invalid(`Field '${path}': expected a schema`);
  const known: Record<string, unknown> = {};
  for (const [keyword, inner] of Object.entries(value)) {
    const result = keywordIn(keyword, inner, `${path}.${keyword}`, depth + 1);
    if (result !== undefined) known[keyword === "anyOf" ? "oneOf" : keyword] = result;
  }
  if (Object.keys(known).every((keyword) => keyword === "$defs")) return { ...anything, ...known };
  // Without this the grammar would allow nothing but {}.
  if (known.type === "object" && known.properties === undefined) known.additionalProperties ??= true;
  if (known.type === "array" && known.items === undefined && known.prefixItems === undefined) {
    known.items = anything;
  }
  return known;
}

const anything = {
  oneOf: [
    { type: ["string", "number", "boolean", "null"] },
    { type: "object", additionalProperties: true },
    { type: "array" },
  ],
};

function keywordIn(keyword: string, value: unknown, path: string, depth: number): unknown {
  if (annotations.includes(keyword)) return undefined;
  if (keyword === "type" && isKnownType(value)) return value;
  if (plain.includes(keyword) || counted.includes(keyword)) return value;
  if (keyword === "format" && formats.includes(value as string)) return value;
  if (keyword === "$ref" && typeof value === "string" && value.startsWith("#/$defs/")) return value;
  if (keyword === "additionalProperties") {
    return typeof value === "boolean" ? value : translate(value, path, depth);
  }
  if (keyword === "items") return translate(value, path, depth);
  if (["oneOf", "anyOf", "prefixItems"].includes(keyword) && Array.isArray(value)) {
    return value.map((item, index) => translate(item, `${path}[${index}]`, depth));
  }
  if (["properties", "$defs"].includes(keyword) && isObject(value)) {
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([name, item]) => [name, translate(item, `${path}.${name}`, depth)]),
    );
  }
  throw invalid(`Field '${path}': this part of a JSON schema is not supported by the embedded engine`);
}

/** Several types at once work only where none of them has parts. */
function isKnownType(value: unknown): boolean {
  if (!Array.isArray(value)) return types.includes(value as string);
  return value.every((type) => types.includes(type as string) && type !== "object" && type !== "array");
}
