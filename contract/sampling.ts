// How the next token is chosen. A request may set any field; what it leaves out comes from a sampler profile,
// and the resolved values travel with the task, so that a replay years later needs no profile of today.

import Type, { type Static } from "typebox";
import { schemaLimits } from "./schema-limits.ts";

const stopMax = 16;

/**
 * Unknown fields are refused here, unlike in the rest of a request: no wish about the text is silently
 * ignored.
 */
export const Sampling = Type.Object(
  {
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    top_k: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    top_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    repeat_penalty: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 10 })),
    presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    frequency_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
    stop: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: stopMax })),
    json_schema: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          `A JSON schema of at most ${schemaLimits.bytes} bytes, with at most ${schemaLimits.properties} ` +
          `properties in all, ${schemaLimits.enumValues} values in one enum, and ${schemaLimits.parts} parts ` +
          "once each $ref is written out.",
      }),
    ),
  },
  { title: "Sampling", additionalProperties: false },
);
export type Sampling = Static<typeof Sampling>;

/** Sampling with nothing left open; `json_schema` alone may be absent, which means free text. */
export type ResolvedSampling = Required<Omit<Sampling, "json_schema">> & Pick<Sampling, "json_schema">;

const noPenalties = { presence_penalty: 0, repeat_penalty: 1, stop: [] as string[] };

/** Their fields are in the order of a canonical text, since every transcript ends with them. */
export const samplerProfiles = {
  default: { frequency_penalty: 0, min_p: 0.05, ...noPenalties, temperature: 0.8, top_k: 40, top_p: 0.95 },
  greedy: { frequency_penalty: 0, min_p: 0, ...noPenalties, temperature: 0, top_k: 0, top_p: 1 },
} as const satisfies Record<string, ResolvedSampling>;

export const SamplerProfile = Type.Enum(Object.keys(samplerProfiles) as (keyof typeof samplerProfiles)[]);
export type SamplerProfile = Static<typeof SamplerProfile>;

export function resolveSampling(
  wished: Sampling = {},
  profile: SamplerProfile = "default",
): ResolvedSampling {
  return { ...samplerProfiles[profile], ...wished };
}
