// An answer that is not what was asked for, in llama-server's own words and shape.

const statuses = {
  invalid_request_error: 400,
  exceed_context_size_error: 400,
  authentication_error: 401,
  not_found_error: 404,
  too_large_error: 413,
  server_error: 500,
  not_supported_error: 501,
  unavailable_error: 503,
} as const;

export class Refusal extends Error {
  readonly status: number;
  readonly body: string;

  constructor(kind: keyof typeof statuses, message: string, more: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = "Refusal";
    this.status = statuses[kind];
    this.body = JSON.stringify({ error: { code: this.status, message, type: kind, ...more } });
  }
}

export function invalid(message: string): Refusal {
  return new Refusal("invalid_request_error", message);
}

/** Of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
