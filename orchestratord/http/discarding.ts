// What peers go on sending after their answer. It is read and thrown away within bounds, since a connection
// that is closed over unread bytes is reset, and a reset takes the answer from a peer that is still sending.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import { hasBody } from "./body.ts";
import type { Limits } from "./limits.ts";

export interface Discarding {
  /** To be called for every answer that was begun: what is left of its request is thrown away. */
  rest(request: IncomingMessage, response: ServerResponse): void;
  /** Ends a connection whose bytes are no requests any more; what was written to it is its last answer. */
  close(socket: Socket): void;
}

export function discarding({ discardedBytesMax, lingerMs }: Limits, clock: Clock): Discarding {
  const discard = (stream: IncomingMessage | Socket, socket: Socket) => {
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > discardedBytesMax) socket.destroy();
    });
    stream.resume();
  };
  /** Only our side; the other has until it has seen that, or its time is up. */
  const end = (socket: Socket) => {
    socket.end();
    const patience = clock.after(lingerMs, () => socket.destroy());
    socket.once("close", () => patience.cancel());
  };
  return {
    rest(request, response) {
      if (request.complete || !hasBody(request.headers)) return;
      const { socket } = request;
      discard(request, socket);
      if (response.shouldKeepAlive) return;
      // By this name Node ends a connection as soon as its last answer is with the kernel, whatever may come.
      const close = socket.destroySoon.bind(socket);
      socket.destroySoon = () => {
        if (request.complete) return close();
        end(socket);
        request.once("end", close);
      };
    },
    close(socket) {
      // The parser would call every further piece malformed.
      socket.removeAllListeners("data");
      discard(socket, socket);
      end(socket);
    },
  };
}
