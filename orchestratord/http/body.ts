// The body of a request: read within its limit, checked to be UTF-8 JSON, and parsed once. What its fields
// mean is the contract's business.

import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { OrchError } from "@llama-orch/contract";
import type { Held } from "./held.ts";

/** It has its room until it is disposed of, by whoever is done with its value. */
export interface Body extends Disposable {
  readonly value: unknown;
  readonly bytes: number;
}

/** @throws OrchError UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, INVALID_PARAMS, ADMISSION_REJECT */
export async function readBody(request: IncomingMessage, limitBytes: number, held: Held): Promise<Body> {
  requireJson(request.headers);
  const announced = announcedBytes(request.headers);
  if (announced !== undefined && announced > limitBytes) throw tooLarge(limitBytes);
  const room = held.reserve(announced ?? limitBytes);
  try {
    const bytes = await collect(request, limitBytes);
    room.shrinkTo(bytes.length);
    const value = parseJson(bytes);
    return { value, bytes: bytes.length, [Symbol.dispose]: () => room[Symbol.dispose]() };
  } catch (error) {
    room[Symbol.dispose]();
    throw error;
  }
}

/** Undefined for a body in chunks, which says how long it is by ending. */
function announcedBytes(headers: IncomingHttpHeaders): number | undefined {
  return headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : undefined;
}

const jsonType = /^application\/json(?:;charset="?utf-?8"?)?;?$/i;
const typeCharactersMax = 100;

function requireJson(headers: IncomingHttpHeaders): void {
  const type = headers["content-type"];
  const coding = headers["content-encoding"] ?? "identity";
  if ((type === "application/json" || (type !== undefined && isJson(type))) && coding === "identity") {
    return;
  }
  const message = "Bodies are JSON in UTF-8 without a content coding; send Content-Type: application/json.";
  if (type !== undefined || hasBody(headers)) throw new OrchError("UNSUPPORTED_MEDIA_TYPE", message);
  throw noBody();
}

const isJson = (type: string): boolean =>
  type.length <= typeCharactersMax && jsonType.test(type.replaceAll(/[ \t]/g, ""));

export function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
}

function collect(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let settled = false;
    // The listeners go with the request; taking them away one by one would cost more than they do.
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (settled) return;
      if (bytes <= limitBytes) chunks.push(chunk);
      else fail(tooLarge(limitBytes));
    });
    request.on("end", () => {
      settled = true;
      const whole = chunks.splice(0);
      resolve(whole.length === 1 ? (whole[0] as Buffer) : Buffer.concat(whole));
    });
    const fail = (error: OrchError) => {
      settled = true;
      chunks.length = 0;
      reject(error);
    };
    const onClose = () => {
      if (!settled) fail(new OrchError("INVALID_PARAMS", "The connection ended before the body did."));
    };
    request.on("close", onClose).on("error", onClose);
  });
}

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw noBody();
  if (!isUtf8(bytes))
    throw new OrchError("INVALID_PARAMS", "The body is not valid UTF-8; send JSON in UTF-8.");
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    // The parser's own words quote the body, which may be a prompt.
    const at = /position (\d+)/.exec((error as Error).message)?.[1];
    const where = at === undefined ? "" : ` at character ${at}`;
    throw new OrchError(
      "INVALID_PARAMS",
      `The body is not valid JSON${where}; correct it and send it again.`,
    );
  }
}

const noBody = () => new OrchError("INVALID_PARAMS", "The body is empty; send a JSON object.");

function tooLarge(limitBytes: number): OrchError {
  const limit = `${limitBytes / 1_048_576} MiB`;
  return new OrchError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${limit}; send less, or in several parts.`,
  );
}
