// The JSON Schema document of the configuration file, for editors and for other programs. Deterministic: the
// same schemas always give the same bytes.

import { configExamples } from "./examples.ts";
import { wholeFile } from "./keys.ts";

const dialect = "https://json-schema.org/draft/2020-12/schema";

/** The document as a plain object; `JSON.stringify(document, null, 2)` is what is checked in. */
export function configSchemaDocument(): Record<string, unknown> {
  return {
    $schema: dialect,
    $id: "urn:llama-orch:config",
    ...(published(JSON.parse(JSON.stringify(wholeFile))) as Record<string, unknown>),
    description: `The examples show: ${configExamples.map(({ title }) => title).join("; ")}.`,
    examples: configExamples.map(({ file }) => file),
  };
}

/** Our own annotations are for the resolver; a reader gets computed defaults as part of the sentence. */
function published(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(published);
  if (typeof schema !== "object" || schema === null) return schema;
  const { "x-default": computed, description, ...rest } = schema as Record<string, unknown>;
  const kept = Object.entries(rest).filter(([name]) => !name.startsWith("x-"));
  const says = typeof computed === "string" ? `${description} Default: ${computed}.` : description;
  return {
    ...(typeof says === "string" ? { description: says } : {}),
    ...Object.fromEntries(kept.map(([name, value]) => [name, published(value)])),
  };
}
