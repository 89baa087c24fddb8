// What the engines of one pool write, each line with its replica in front: `engine-{pool_id}.log`.

import { join } from "node:path";
import { LogFile } from "../log-file.ts";

export class EngineLog {
  readonly #file: LogFile;

  /** `onError` hears of the first failure in a row; what could not be written is lost. */
  constructor(folder: string, poolId: string, onError: (error: unknown) => void) {
    this.#file = new LogFile(join(folder, `engine-${poolId}.log`), onError);
  }

  write(replicaId: string, line: string): void {
    this.#file.write(`${replicaId} ${line}`);
  }

  /** Everything written so far is in the file afterwards. */
  close(): Promise<void> {
    return this.#file.close();
  }
}
