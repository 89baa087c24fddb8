import assert from "node:assert/strict";
import { test } from "node:test";
import { faulty } from "../adapter.conformance.ts";
import { type HttpFailureKind, httpFailure } from "../http/http-failure.ts";
import { faultOf, parseUpstream, toEngineError, upstreamError } from "./failures.ts";

const asIs = (text: string) => text;

function faultText(status: number, message: string): string {
  const { fault } = faultOf({ status, message });
  return fault.kind === "lost" ? fault.reason : fault.code;
}

test("a 4xx is refused for good, 503 says busy, other 5xx a reset [OC-ADAPT-5008]", () => {
  for (const status of [400, 404, 405, 413, 415, 422]) assert.equal(faultText(status, "x"), "INVALID_PARAMS");
  for (const status of [401, 403]) assert.equal(faultText(status, "x"), "INTERNAL");
  assert.equal(faultText(503, "Loading model"), "busy");
  for (const status of [500, 502, 504, 599]) assert.equal(faultText(status, "x"), "reset");
});

const known: readonly [number, string, string][] = [
  [400, "request (600 tokens) exceeds the available context size (512 tokens)", "INVALID_PARAMS"],
  [500, "[json.exception.parse_error.101] parse error at line 1", "INVALID_PARAMS"],
  [500, "input (600 tokens) is too large to process. increase the physical batch size", "INVALID_PARAMS"],
  [501, "This server does not support reranking. Start it with `--reranking`", "INVALID_PARAMS"],
  [503, "no slot available", "busy"],
  [500, "Context size has been exceeded.", "busy"],
  [500, "Compute error.", "reset"],
  [500, "CUDA error: out of memory", "vram_oom"],
  [500, "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory", "vram_oom"],
  [500, "failed to allocate CUDA0 buffer of size 1048576", "vram_oom"],
  [500, "std::bad_alloc", "host_oom"],
  [500, "failed to allocate CPU buffer of size 1048576", "host_oom"],
  [500, "CUDA error: an illegal memory access was encountered", "driver_reset"],
  [503, "failed to allocate CUDA0 buffer", "vram_oom"],
];

for (const [status, message, fault] of known) {
  test(`${status} with "${message.slice(0, 40)}" means ${fault}`, () => {
    assert.equal(faultText(status, message), fault);
  });
}

test("what a client wrote and the engine quotes is never taken for a fault of the machine", () => {
  const written = [
    "Field 'json_schema.vram': this part is not supported",
    'json_schema={"cuda out of memory":1}',
    "Field 'x': CUDA error: an illegal memory access",
    "std::bad_alloc is no tool",
  ];
  for (const message of written) {
    for (const status of [400, 413, 422, 501]) assert.equal(faultText(status, message), "INVALID_PARAMS");
    assert.equal(faultText(500, `parse error: unexpected ${message}`), "INVALID_PARAMS");
    assert.equal(faultText(401, message), "INTERNAL");
    assert.equal(faultText(302, message), "reset");
  }
});

test("a connection that broke is told by how it broke", () => {
  const reasons: Record<HttpFailureKind, string> = {
    refused: "crash",
    unreachable: "crash",
    reset: "reset",
    connect_timeout: "hung",
    untrusted: "crash",
    proxy_refused: "crash",
    timeout: "hung",
    too_large: "reset",
  };
  const { signal } = new AbortController();
  for (const [kind, reason] of Object.entries(reasons)) {
    const error = toEngineError(httpFailure(kind as HttpFailureKind, "http://x"), signal, asIs);
    faulty({ kind: "lost", reason: reason as "crash" })(error);
  }
});

test("an error says what the engine said, without credentials and not without end", () => {
  const { message } = upstreamError(
    parseUpstream(400, JSON.stringify({ error: { code: 400, message: `no ${"x".repeat(9_000)} secret` } })),
    (text) => text.replaceAll("no ", "**** "),
  );
  assert.match(message, /^The engine answered 400: \*\*\*\* x+$/);
  assert.ok(message.length < 600);
  assert.deepEqual(parseUpstream(502, "<html>bad gateway"), { status: 502, message: "<html>bad gateway" });
});
