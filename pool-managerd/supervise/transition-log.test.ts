import assert from "node:assert/strict";
import { test } from "node:test";
import { LogRecord, parser, problemText } from "@llama-orch/contract";
import { poolConfig, shortTimes, supervise, tell } from "./fixtures/place.ts";
import type { LogLine } from "./log.ts";

const quick = { initial_ms: 1, max_ms: 1 };
const leases = { activeLeases: (poolId: string) => (poolId === "demo" ? 2 : 0) };

/** The fields that tell which engine this was and how it stood, each of them there even where it is null. */
function expectFields(line: LogLine | undefined, expected: Partial<LogLine>): void {
  assert.ok(line);
  const { level: _level, human, event: _event, replica_id, error_kind: _kind, ...fields } = line;
  assert.ok((human ?? "").length > 10);
  assert.equal(replica_id, "r0");
  const common = { pool_id: "demo", engine: "llamacpp", device_mask: "", active_leases: 2 };
  assert.deepEqual(fields, { ...common, ...expected });
  const record = { timestamp: "2026-01-31T12:00:00Z", service: "pool-managerd", version: "0.1.0", ...line };
  assert.deepEqual(parser(LogRecord).problems(record).map(problemText), []);
}

test(
  "the log of each transition says pool, engine, version, devices, model, restarts, pause, last error and leases " +
    "[PM-3507]",
  async (t) => {
    const { heard, lines, replicas } = await supervise(t, poolConfig({ supervision: quick }), leases);
    const served = { engine_version: "played-good", model_id: "good" };
    const first = await heard.phase("ready");
    expectFields(lines.at(-1), { ...served, restart_count: 0, backoff_ms: null, last_error: null });
    assert.equal(lines.at(-1)?.event, "engine_ready");

    await tell(first.url, "/exit?code=7");
    const { lastError } = await heard.phase("backing_off");
    const scheduled = lines.at(-1);
    assert.equal(scheduled?.event, "engine_restart_scheduled");
    const backoff_ms = scheduled?.backoff_ms as number;
    assert.ok(backoff_ms > 0);
    expectFields(scheduled, { ...served, restart_count: 1, backoff_ms, last_error: lastError as string });

    const second = await heard.until(({ phase, epoch }) => phase === "ready" && epoch > first.epoch);
    expectFields(lines.at(-1), { ...served, restart_count: 1, backoff_ms: null, last_error: null });
    await tell(second.url, "/exit?code=0");
    const ended = await heard.phase("stopped");
    assert.equal(lines.at(-1)?.event, "engine_ended");
    const last_error = ended.lastError as string;
    expectFields(lines.at(-1), { ...served, restart_count: 1, backoff_ms: null, last_error });
    await replicas.stop();
  },
);

test("an engine that is given up is logged with the devices it was to use and no version, as it had none", async (t) => {
  const pool = poolConfig({ model: "refused", devices: [1, 3], allow_cpu: false });
  const { heard, lines } = await supervise(t, pool, { times: shortTimes, ...leases });
  const { lastError } = await heard.phase("failed");
  assert.equal(lines.at(-1)?.event, "engine_given_up");
  expectFields(lines.at(-1), {
    engine_version: null,
    device_mask: "1,3",
    model_id: "refused",
    restart_count: 0,
    backoff_ms: null,
    last_error: lastError as string,
  });
});
