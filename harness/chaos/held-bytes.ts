// What a Node process has in use and not only in reserve, by the inspector that every such process opens when
// it is sent SIGUSR1: its garbage is collected before it is asked, so that the answer is no question of luck.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What such a process is started with, so that two of them do not want one port. */
export const inspectable = "--inspect-port=0";

const opensWithinMs = 10_000;
const lookEveryMs = 20;

/** @param outFile where its standard error goes, from byte `from` on */
export async function heldBytesOf(pid: number, outFile: string, from: number): Promise<number> {
  process.kill(pid, "SIGUSR1");
  const socket = new WebSocket(await addressIn(outFile, from));
  try {
    await once(socket, "open");
    await tell(socket, "HeapProfiler.collectGarbage");
    // What is let go of when something else has gone goes with the next.
    await tell(socket, "HeapProfiler.collectGarbage");
    const { result } = await tell(socket, "Runtime.evaluate", {
      expression: "const { heapUsed, external } = process.memoryUsage(); heapUsed + external",
      replMode: true,
    });
    return (result as { value: number }).value;
  } finally {
    socket.close();
  }
}

async function addressIn(outFile: string, from: number): Promise<string> {
  for (const untilMs = performance.now() + opensWithinMs; performance.now() < untilMs; ) {
    const said = readFileSync(outFile).subarray(from).toString("utf8");
    const address = /^Debugger listening on (ws:\S+)$/m.exec(said)?.[1];
    if (address !== undefined) return address;
    await delay(lookEveryMs);
  }
  throw new Error(`No inspector was opened within ${opensWithinMs} ms.`);
}

/** Nobody else asks it anything, so the next answer is the one. */
async function tell(socket: WebSocket, method: string, params = {}): Promise<Record<string, unknown>> {
  const answered = once(socket, "message");
  socket.send(JSON.stringify({ id: 1, method, params }));
  const [{ data }] = (await answered) as [MessageEvent];
  return (JSON.parse(String(data)) as { result: Record<string, unknown> }).result;
}
