// The port to stored documents: what callers upload and the transcripts of tasks, each under the sha256 of
// its canonical JSON, so that equal documents are one. Ids live inside their tenant.

import type { ArtifactCreated, ArtifactDocument, ArtifactKind } from "@llama-orch/contract";

export interface Artifacts {
  /**
   * Stores a document, or finds it stored already; `createdMs` counts only the first time.
   * @throws OrchError ARTIFACT_STORE_FULL when the room for its kind of keeping is used up, or the disk is
   *   full: then what the system said is its cause
   */
  put(put: ArtifactPut): Promise<ArtifactCreated>;
  /**
   * The document as it was stored, or undefined when this tenant has none under the id. Without a tenant the
   * default one's is meant, else whoever's has one.
   */
  get(tenantId: string | undefined, id: string): Promise<ArtifactDocument | undefined>;
  /** How many bytes `get` would read, so that whoever asks can make room first; undefined like `get`. */
  sizeOf(tenantId: string | undefined, id: string): Promise<number | undefined>;
  /** Removes what is older than its keeping allows, the oldest first where room is short. */
  sweep(nowMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface ArtifactPut {
  readonly tenantId: string;
  readonly document: ArtifactDocument | WrittenDocument;
  /** Uploads are kept until the room is full, transcripts for a time. */
  readonly keep: "upload" | "transcript";
  readonly createdMs: number;
}

/**
 * A document as its canonical JSON, from somebody who can write that without making the document. It is a
 * class so that no document which a caller sends can be taken for one.
 */
export class WrittenDocument {
  readonly kind: ArtifactKind;
  readonly tags: string[];
  /** Taken once and in order. Others have their turn between two pieces, so a long text comes in several. */
  readonly pieces: Iterable<string>;

  constructor(kind: ArtifactKind, tags: string[], pieces: Iterable<string>) {
    this.kind = kind;
    this.tags = tags;
    this.pieces = pieces;
  }
}
