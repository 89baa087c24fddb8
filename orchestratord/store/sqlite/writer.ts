// The thread that writes: one message is one transaction, answered when it is safe. Between the messages it
// makes the reserve, a piece at a time. It decides nothing but what the disk's refusals mean.

import { parentPort, workerData } from "node:worker_threads";
import { Reserve } from "../reserve.ts";
import { openForWriting, reservePath } from "./database.ts";
import { GroupWriter } from "./group.ts";
import type { Message, Reply, WriterOptions } from "./messages.ts";
import { Sweep } from "./sweep.ts";

/** Between two pieces of the reserve; the disk is there for others, too. */
const pauseMs = 100;

const { folder, reserveBytes, pagesMax } = workerData as WriterOptions;
const port = parentPort as NonNullable<typeof parentPort>;
const db = openForWriting(folder, pagesMax);
const reserve = new Reserve({ path: reservePath(folder), bytes: reserveBytes });
const group = new GroupWriter(db, reserve);
let sweep: Sweep | undefined;
let growing: NodeJS.Timeout | undefined;

growReserve();
port.on("message", (message: Message) => {
  const reply = answer(message);
  if (reply === undefined) return leave();
  port.postMessage(reply);
  growLater();
});

function answer(message: Message): Reply | undefined {
  switch (message.kind) {
    case "group":
      return { kind: "written", refused: group.write(message.calls) };
    case "sweep": {
      sweep ??= new Sweep(db, message.limits);
      const reply = sweep.next();
      if (reply.kind !== "swept" || !reply.more) sweep = undefined;
      return reply;
    }
    case "close":
      return undefined;
    default:
      return message satisfies never;
  }
}

function growReserve(): void {
  growing = undefined;
  if (!reserve.isMade && reserve.isWanted) group.growReserve();
  growLater();
}

function growLater(): void {
  if (reserve.isMade || !reserve.isWanted) return;
  growing ??= setTimeout(growReserve, pauseMs);
}

function leave(): void {
  clearTimeout(growing);
  db.close();
  port.close();
}
