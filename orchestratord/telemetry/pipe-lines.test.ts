// The log of a process of its own, whose standard output is a pipe that this test reads when it pleases.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";

const log = JSON.stringify(join(import.meta.dirname, "log.ts"));

/** A process that writes so many lines of a kilobyte, says so on stderr, and ends its log on `Enter`. */
function start(t: TestContext, lines: number) {
  const program = `
    import { createLog } from ${log};
    const log = createLog({ service: "s", version: "v", level: "info", format: "json", secrets: [] });
    for (let n = 0; n < ${lines}; n++) {
      log.write("info", "line", { human: n + " " + "x".repeat(1000) });
      if (n % 100 === 0) await new Promise(setImmediate);
    }
    console.error(process.memoryUsage().rss);
    process.stdin.once("data", async () => {
      process.stdin.destroy();
      log.write("info", "last", {});
      await log.end();
    });`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program]);
  t.after(() => child.kill("SIGKILL"));
  return { child, written: once(child.stderr, "data"), left: once(child, "exit") };
}

const patience = { timeout: 30_000 };

test("a process whose log nobody reads stays small, and can be stopped", patience, async (t) => {
  const { child, written, left } = start(t, 100_000);
  const [rss] = await written;
  assert.ok(Number(rss) < 200 * 2 ** 20, `${rss} bytes are held`);
  child.stdin.write("\n");
  assert.deepEqual(await left, [0, null]);
});

test(
  "a reader that comes late is told how many lines it missed, and gets all that follow",
  patience,
  async (t) => {
    const { child, written, left } = start(t, 20_000);
    await written;
    let whole = 0;
    let missed = 0;
    const events: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      const { event, details } = JSON.parse(line);
      if (event === "line") whole++;
      else events.push(event);
      if (event !== "log_lines_dropped") continue;
      missed += details.lines;
      child.stdin.write("\n");
    }
    assert.deepEqual(events, ["log_lines_dropped", "last"]);
    assert.equal(whole + missed, 20_000);
    assert.ok(missed > 0);
    assert.deepEqual(await left, [0, null]);
  },
);

test("a reader that keeps up gets every line", patience, async (t) => {
  const { child, written, left } = start(t, 2000);
  written.then(() => child.stdin.write("\n"));
  const events: string[] = [];
  for await (const line of createInterface(child.stdout)) events.push(JSON.parse(line).event);
  assert.equal(events.length, 2001);
  assert.equal(events.at(-1), "last");
  assert.deepEqual(await left, [0, null]);
});

test("a reader that goes away ends nothing", patience, async (t) => {
  const { child, written, left } = start(t, 2000);
  child.stdout.destroy();
  await written;
  child.stdin.write("\n");
  assert.deepEqual(await left, [0, null]);
});

test("the last words of a process that ends by a bug are read", patience, async (t) => {
  const program = `
    import { createLog } from ${log};
    const log = createLog({ service: "s", version: "v", level: "info", format: "pretty", secrets: [] });
    log.write("error", "bug", { human: "It broke." });
    throw new Error("bug");`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program]);
  t.after(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) lines.push(line);
  assert.equal(lines.length, 1);
  assert.match(lines[0] as string, /ERROR It broke\. event=bug$/);
});
