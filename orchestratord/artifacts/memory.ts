// Artifacts for as long as the process lives: a store of its own, or the mirror of one that keeps them
// longer.

import { type ArtifactCreated, type ArtifactDocument, parseArtifactId } from "@llama-orch/contract";
import type { ArtifactPut, Artifacts } from "./artifacts.ts";
import { createdOf, Inventory, type Item, type Keeping, nameOf } from "./inventory.ts";

export interface MemoryArtifactsOptions {
  readonly keeping: Keeping;
  /** When there are more, the longest stored go, whatever their keeping. */
  readonly documentsMax?: number;
}

export class MemoryArtifacts implements Artifacts {
  readonly #inventory: Inventory;
  readonly #documentsMax: number;
  /** Longest stored first. */
  readonly #contents = new Map<Item, readonly Buffer[]>();

  constructor({ keeping, documentsMax = Number.POSITIVE_INFINITY }: MemoryArtifactsOptions) {
    this.#inventory = new Inventory(keeping);
    this.#documentsMax = documentsMax;
  }

  async put(put: ArtifactPut): Promise<ArtifactCreated> {
    const { tenantId, document, keep, createdMs } = put;
    const { id, pieces, bytes } = await nameOf(document);
    const known = this.#inventory.find(tenantId, id);
    if (known !== undefined && (known.keep === "upload" || keep === "transcript"))
      return createdOf(known, put);
    const item = { tenantId, id, keep, createdMs: known?.createdMs ?? createdMs, bytes };
    this.#inventory.requireRoom(item);
    this.keep(item, pieces);
    return createdOf(item, put);
  }

  /** Stores what somebody else has identified, in place of what it has under that id. */
  keep(item: Item, pieces: readonly Buffer[]): void {
    this.forget(item);
    this.#inventory.add(item);
    this.#contents.set(item, pieces);
    for (const surplus of this.#inventory.surplus()) this.#remove(surplus);
    for (const oldest of this.#contents.keys()) {
      if (this.#contents.size <= this.#documentsMax) return;
      this.#remove(oldest);
    }
  }

  forget({ tenantId, id }: Pick<Item, "tenantId" | "id">): void {
    const known = this.#inventory.find(tenantId, id);
    if (known !== undefined) this.#remove(known);
  }

  async get(tenantId: string | undefined, id: string): Promise<ArtifactDocument | undefined> {
    const item = this.#inventory.findFor(tenantId, parseArtifactId(id) ?? "");
    const pieces = item && this.#contents.get(item);
    return pieces && (JSON.parse(Buffer.concat(pieces).toString()) as ArtifactDocument);
  }

  async sizeOf(tenantId: string | undefined, id: string): Promise<number | undefined> {
    return this.#inventory.findFor(tenantId, parseArtifactId(id) ?? "")?.bytes;
  }

  async sweep(nowMs: number): Promise<void> {
    for (const item of this.#inventory.outdated(nowMs)) this.#remove(item);
  }

  async close(): Promise<void> {
    this.#contents.clear();
  }

  #remove(item: Item): void {
    this.#inventory.remove(item);
    this.#contents.delete(item);
  }
}
