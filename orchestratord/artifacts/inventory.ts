// What is stored, without the documents: how each is named, how long it is kept, and whether there is room
// for one more. Both stores count here, so that they refuse and forget alike. It touches no disk.

import { createHash, type Hash, hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import {
  type ArtifactCreated,
  canonicalJson,
  kindOf,
  OrchError,
  type OrchestratordConfig,
} from "@llama-orch/contract";
import { type ArtifactPut, WrittenDocument } from "./artifacts.ts";

export interface Keeping {
  readonly transcriptsMs: number;
  readonly transcriptsBytes: number;
  readonly uploadsBytes: number;
}

export function keepingOf({ retention }: Pick<OrchestratordConfig, "retention">): Keeping {
  return {
    transcriptsMs: retention.transcripts_ms,
    transcriptsBytes: retention.transcripts_bytes,
    uploadsBytes: retention.uploads_bytes,
  };
}

export interface Item {
  readonly tenantId: string;
  readonly id: string;
  readonly bytes: number;
  readonly createdMs: number;
  readonly keep: ArtifactPut["keep"];
}

/** A document under its name, as the bytes that are stored. */
export interface Named {
  readonly id: string;
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
}

/** The one text of a document, and its name. */
export async function nameOf(document: ArtifactPut["document"]): Promise<Named> {
  if (!(document instanceof WrittenDocument)) return named([Buffer.from(canonicalJson(document))]);
  const pieces: Buffer[] = [];
  let sum: Hash | undefined;
  for (const text of document.pieces) {
    if (pieces.length > 0) {
      // Whoever waits for the loop goes first, since the next piece is as much work again.
      await setImmediate();
      sum ??= createHash("sha256").update(pieces[0] as Buffer);
    }
    const piece = Buffer.from(text);
    pieces.push(piece);
    sum?.update(piece);
  }
  return named(pieces, sum?.digest("hex"));
}

/** Most have one piece, and the hash of that in one go costs a third. */
function named(pieces: readonly Buffer[], hex: string = hash("sha256", pieces[0] as Buffer)): Named {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return { id: `sha256:${hex}`, pieces, bytes };
}

export function createdOf(
  { id, createdMs }: Pick<Item, "id" | "createdMs">,
  { document }: ArtifactPut,
): ArtifactCreated {
  const { tags = [] } = document;
  return { id, kind: kindOf(document), digest: id, created_ms: createdMs, tags: [...tags] };
}

export class Inventory {
  readonly #keeping: Keeping;
  /** Oldest first, as far as they came in order. */
  readonly #items = { upload: new Map<string, Item>(), transcript: new Map<string, Item>() };
  readonly #bytes = { upload: 0, transcript: 0 };
  /** Everybody who has ever stored something here. */
  readonly tenants = new Set<string>();

  constructor(keeping: Keeping) {
    this.#keeping = keeping;
  }

  find(tenantId: string, id: string): Item | undefined {
    const key = keyOf(tenantId, id);
    return this.#items.upload.get(key) ?? this.#items.transcript.get(key);
  }

  /** Without a tenant the default one's is meant, else whoever's there is. */
  findFor(tenantId: string | undefined, id: string): Item | undefined {
    if (tenantId !== undefined) return this.find(tenantId, id);
    for (const each of ["default", ...this.tenants]) {
      const item = this.find(each, id);
      if (item !== undefined) return item;
    }
    return undefined;
  }

  /** @throws OrchError ARTIFACT_STORE_FULL when it can never fit, or uploads leave no room */
  requireRoom({ keep, bytes }: Pick<Item, "keep" | "bytes">): void {
    const { uploadsBytes, transcriptsBytes } = this.#keeping;
    if (keep === "transcript") requireTranscriptRoom(bytes, transcriptsBytes);
    else if (this.#bytes.upload + bytes > uploadsBytes) {
      throw full(`The document has ${bytes} bytes, and ${this.#bytes.upload} of ${uploadsBytes} are used.`);
    }
  }

  add(item: Item): void {
    this.tenants.add(item.tenantId);
    this.#items[item.keep].set(keyOf(item.tenantId, item.id), item);
    this.#bytes[item.keep] += item.bytes;
  }

  remove(item: Item): void {
    if (this.#items[item.keep].delete(keyOf(item.tenantId, item.id))) this.#bytes[item.keep] -= item.bytes;
  }

  /** Transcripts that are too old or for which there is no room any more; the caller removes them. */
  outdated(nowMs: number): Item[] {
    const outdated: Item[] = [];
    let bytes = this.#bytes.transcript;
    for (const item of this.#items.transcript.values()) {
      const isOld = item.createdMs <= nowMs - this.#keeping.transcriptsMs;
      if (!isOld && bytes <= this.#keeping.transcriptsBytes) continue;
      outdated.push(item);
      bytes -= item.bytes;
    }
    return outdated;
  }

  /** The oldest transcripts, so many that the rest fits. */
  surplus(): Item[] {
    return this.#bytes.transcript > this.#keeping.transcriptsBytes ? this.outdated(0) : [];
  }
}

/** @throws OrchError ARTIFACT_STORE_FULL when it can never fit */
export function requireTranscriptRoom(bytes: number, transcriptsBytes: number): void {
  if (bytes <= transcriptsBytes) return;
  throw full(`The transcript has ${bytes} bytes, and retention.transcripts_bytes is ${transcriptsBytes}.`);
}

function full(message: string): OrchError {
  return new OrchError("ARTIFACT_STORE_FULL", `${message} Delete artifacts or allow more.`);
}

const keyOf = (tenantId: string, id: string): string => `${tenantId}/${id}`;
