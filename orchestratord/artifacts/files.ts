// Artifacts on the disk: an upload is a file `<root>/<hex>` with its canonical JSON, and every tenant but
// `default` has a folder of its own under `tenants/`; transcripts are in one log for all, in `transcripts/`.
// The time of a file is the time its document was created. An upload is there whole or not at all: it is
// written aside, synced and renamed, and what a crash left aside is removed at the next start.

import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type ArtifactCreated,
  type ArtifactDocument,
  OrchError,
  parseArtifactId,
} from "@llama-orch/contract";
import { isDiskFull } from "../disk-full.ts";
import type { ArtifactPut, Artifacts } from "./artifacts.ts";
import { codeOf, namesIn, syncFolder } from "./folder.ts";
import { createdOf, Inventory, type Item, type Keeping, type Named, nameOf } from "./inventory.ts";
import type { MemoryArtifacts } from "./memory.ts";
import { TranscriptLog } from "./transcript-log.ts";

export interface FileArtifactsOptions {
  readonly root: string;
  readonly keeping: Keeping;
  /** Has the newest documents as well, for when a file is gone. */
  readonly mirror?: MemoryArtifacts;
}

/** Larger documents are not mirrored. */
const mirroredBytesMax = 256 * 1024;

const tenantWithoutFolder = "default";
const hexName = /^[0-9a-f]{64}$/;

export class FileArtifacts implements Artifacts {
  readonly #root: string;
  readonly #uploads: Inventory;
  readonly #mirror: MemoryArtifacts | undefined;
  readonly #folders = new Map<string, Promise<unknown>>();
  readonly #syncs = new Map<string, FolderSync>();
  /** Uploads of one document follow one another. */
  readonly #writing = new Map<string, Promise<ArtifactCreated>>();
  readonly #ready: Promise<TranscriptLog>;

  private constructor({ root, keeping, mirror }: FileArtifactsOptions) {
    this.#root = root;
    this.#mirror = mirror;
    this.#uploads = new Inventory(keeping);
    this.#ready = this.#takeStock(keeping);
    this.#ready.catch(() => {
      // Whoever puts, sweeps or closes hears of it; without this the process would end before.
    });
  }

  /** Uploads can be read at once; all else waits until what is there has been counted. */
  static async open(options: FileArtifactsOptions): Promise<FileArtifacts> {
    await rm(asideIn(options.root), { recursive: true, force: true });
    await mkdir(asideIn(options.root), { recursive: true, mode: 0o700 });
    return new FileArtifacts(options);
  }

  async put(put: ArtifactPut): Promise<ArtifactCreated> {
    requireTenantId(put.tenantId);
    const log = await this.#ready;
    const named = await nameOf(put.document);
    const key = `${put.tenantId}/${named.id}`;
    const before = this.#writing.get(key);
    if (put.keep === "transcript") {
      await before?.catch(() => {
        // Whoever uploads it hears of that; as a transcript it may still find its place.
      });
      return this.#keepTranscript(log, put, named);
    }
    const next = () => this.#upload(log, put, named);
    const written = (before ?? Promise.resolve()).then(next, next);
    this.#writing.set(key, written);
    try {
      return await written;
    } finally {
      if (this.#writing.get(key) === written) this.#writing.delete(key);
    }
  }

  async get(tenantId: string | undefined, id: string): Promise<ArtifactDocument | undefined> {
    const known = parseArtifactId(id);
    if (known === undefined) return undefined;
    if (tenantId === undefined) return this.#ofAny(known, (owner) => this.get(owner, known));
    const text =
      (await readIfThere(this.#pathOf({ tenantId, id: known }))) ??
      (await (await this.#ready).get(tenantId, known));
    if (text !== undefined) return JSON.parse(text.toString()) as ArtifactDocument;
    return this.#mirror?.get(tenantId, known);
  }

  async sizeOf(tenantId: string | undefined, id: string): Promise<number | undefined> {
    const known = parseArtifactId(id);
    if (known === undefined) return undefined;
    if (tenantId === undefined) return this.#ofAny(known, (owner) => this.sizeOf(owner, known));
    const path = this.#pathOf({ tenantId, id: known });
    return (
      (await sizeIfThere(path)) ??
      (await this.#ready).find(tenantId, known)?.bytes ??
      (await this.#mirror?.sizeOf(tenantId, known))
    );
  }

  async sweep(nowMs: number): Promise<void> {
    const log = await this.#ready;
    await log.sweep(nowMs);
    await this.#mirror?.sweep(nowMs);
  }

  async close(): Promise<void> {
    const log = await this.#ready;
    await Promise.allSettled(this.#writing.values());
    await log.close();
  }

  async #ofAny<T>(id: string, read: (tenantId: string) => Promise<T | undefined>): Promise<T | undefined> {
    const common = await read(tenantWithoutFolder);
    if (common !== undefined) return common;
    const log = await this.#ready;
    for (const tenantId of new Set([...this.#uploads.tenants, ...log.tenants])) {
      if ((this.#uploads.find(tenantId, id) ?? log.find(tenantId, id)) !== undefined) return read(tenantId);
    }
    return undefined;
  }

  async #keepTranscript(log: TranscriptLog, put: ArtifactPut, named: Named): Promise<ArtifactCreated> {
    const { tenantId, createdMs } = put;
    const { id, bytes, pieces } = named;
    const upload = this.#uploads.find(tenantId, id);
    if (upload !== undefined) return createdOf(upload, put);
    try {
      const { createdMs: sinceMs } = await log.put(tenantId, named, createdMs);
      const item: Item = { tenantId, id, keep: "transcript", bytes, createdMs: sinceMs };
      if (bytes <= mirroredBytesMax) this.#mirror?.keep(item, pieces);
      return createdOf(item, put);
    } catch (error) {
      throw failureOf(error);
    }
  }

  async #upload(log: TranscriptLog, put: ArtifactPut, named: Named): Promise<ArtifactCreated> {
    const { tenantId } = put;
    const { id, bytes, pieces } = named;
    const known = this.#uploads.find(tenantId, id);
    if (known !== undefined) return createdOf(known, put);
    const createdMs = log.find(tenantId, id)?.createdMs ?? put.createdMs;
    const item: Item = { tenantId, id, keep: "upload", createdMs, bytes };
    this.#uploads.requireRoom(item);
    // Counted before it is written, so that two writers cannot both take the last room.
    this.#uploads.add(item);
    try {
      await this.#write(item, pieces);
    } catch (error) {
      this.#uploads.remove(item);
      throw failureOf(error);
    }
    log.forget(tenantId, id);
    if (bytes <= mirroredBytesMax) this.#mirror?.keep(item, pieces);
    return createdOf(item, put);
  }

  async #write(item: Item, pieces: readonly Buffer[]): Promise<void> {
    const path = this.#pathOf(item);
    const folder = dirname(path);
    const aside = join(asideIn(this.#root), randomUUID());
    try {
      await this.#make(folder);
      await writeSynced(aside, pieces, item.createdMs);
      await rename(aside, path);
      await this.#syncOf(folder).done();
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }

  #make(folder: string): Promise<unknown> {
    const made = this.#folders.get(folder) ?? mkdir(folder, { recursive: true, mode: 0o700 });
    this.#folders.set(folder, made);
    // One that failed is tried again.
    made.catch(() => this.#folders.delete(folder));
    return made;
  }

  #syncOf(folder: string): FolderSync {
    const sync = this.#syncs.get(folder) ?? new FolderSync(folder);
    this.#syncs.set(folder, sync);
    return sync;
  }

  #pathOf({ tenantId, id }: Pick<Item, "tenantId" | "id">): string {
    return join(this.#folderOf(tenantId), id.slice("sha256:".length));
  }

  #folderOf(tenantId: string): string {
    requireTenantId(tenantId);
    return tenantId === tenantWithoutFolder ? this.#root : join(this.#root, "tenants", `t.${tenantId}`);
  }

  async #takeStock(keeping: Keeping): Promise<TranscriptLog> {
    const log = await TranscriptLog.open({ folder: join(this.#root, "transcripts"), keeping });
    const folders = await namesIn(join(this.#root, "tenants"));
    const tenants = folders.filter((name) => name.startsWith("t.")).map((name) => name.slice(2));
    const found: Item[] = [];
    for (const tenantId of [tenantWithoutFolder, ...tenants]) {
      const folder = this.#folderOf(tenantId);
      for (const name of await namesIn(folder)) {
        if (!hexName.test(name)) continue;
        const { size, mtimeMs } = await stat(join(folder, name));
        const id = `sha256:${name}`;
        found.push({ tenantId, keep: "upload", id, bytes: size, createdMs: Math.round(mtimeMs) });
        // A transcript that was uploaded as well is kept like an upload; the log cannot have struck it out.
        log.forget(tenantId, id);
      }
    }
    for (const item of found.sort((a, b) => a.createdMs - b.createdMs)) this.#uploads.add(item);
    return log;
  }
}

/** What is a tenant's id is also a name in a folder, and no way out of it once it has a prefix. */
function requireTenantId(tenantId: string): void {
  if (/^[A-Za-z0-9._:-]{1,128}$/.test(tenantId)) return;
  throw new OrchError("INVALID_PARAMS", `tenant_id: ${JSON.stringify(tenantId)} is no tenant id.`);
}

/** Makes renames in a folder safe; all that wait at the same time share one sync. */
class FolderSync {
  readonly #folder: string;
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A sync that has begun may have missed the caller's rename, so it waits for one that begins later. */
  done(): Promise<void> {
    if (this.#current === undefined) return this.#begin();
    this.#next ??= this.#current.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    this.#current = syncFolder(this.#folder).finally(() => {
      this.#current = undefined;
    });
    return this.#current;
  }
}

async function writeSynced(path: string, pieces: readonly Buffer[], createdMs: number): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(pieces);
    await file.utimes(createdMs / 1000, createdMs / 1000);
    await file.sync();
  } finally {
    await file.close();
  }
}

const asideIn = (root: string): string => join(root, "aside");

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function sizeIfThere(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function failureOf(error: unknown): unknown {
  if (!isDiskFull(error)) return error;
  return new OrchError(
    "ARTIFACT_STORE_FULL",
    "The disk of the artifact store is full. Make room on it.",
    {},
    error,
  );
}
