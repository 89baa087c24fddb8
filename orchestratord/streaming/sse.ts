// The socket side of a stream: a Node response as a sink. Headers are set by whoever answers the request;
// frames, heartbeats and the pace come from the stream.

import type { ServerResponse } from "node:http";
import type { Sink } from "./reader.ts";

export interface SinkOptions {
  /** A client that does not take the last bytes is given up after this long. */
  readonly lingerMs?: number;
}

/** The first write sends the headers. The caller closes its reader when the response closes. */
export function responseSink(response: ServerResponse, { lingerMs = 30_000 }: SinkOptions = {}): Sink {
  return {
    write: (text) => response.write(text),
    onDrain: (drained) => {
      response.on("drain", drained);
    },
    end() {
      response.end();
      if (!response.writableFinished) response.setTimeout(lingerMs, () => response.destroy());
    },
    destroy: () => {
      response.destroy();
    },
  };
}
