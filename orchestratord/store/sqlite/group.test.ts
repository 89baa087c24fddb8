import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { admitted, ended, replicaFacts } from "../fixtures/facts.ts";
import { Reserve } from "../reserve.ts";
import type { Fact } from "../store.ts";
import { openForWriting, prepareDatabase, reservePath } from "./database.ts";
import { GroupWriter } from "./group.ts";
import type { Call } from "./messages.ts";
import { Reading } from "./reading.ts";
import { rowsOf } from "./rows.ts";

/** A store of 60 pages, with a reserve that is made. */
function small(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "store-"));
  prepareDatabase(folder);
  const db = openForWriting(folder, 60);
  t.after(() => {
    db.close();
    rmSync(folder, { recursive: true });
  });
  const reserve = new Reserve({ path: reservePath(folder), bytes: 1000 });
  reserve.grow();
  const isReserved = () => existsSync(reservePath(folder));
  return { db, group: new GroupWriter(db, reserve), reading: new Reading(db), isReserved };
}

let serial = 0;

function call(fact: Fact): Call {
  const body = fact.fact === "admitted" ? JSON.stringify(fact.body) : "";
  if (fact.fact === "admitted") serial++;
  return {
    rows: rowsOf(fact, () => serial, body),
    atMs: 0,
    kind: fact.fact === "admitted" ? "admits" : "keeps",
  };
}

const asks: Call = { rows: [], atMs: 0, kind: "asks" };
const drained = (poolId: string) => call({ fact: "drained", poolId, sinceMs: 0, deadlineAtMs: 1 });
const large = "x".repeat(1_000_000);

test("of a group that is refused the admissions are, and everything else is kept with the reserve's room", (t) => {
  const { group, reading, isReserved } = small(t);
  const calls = [
    drained("p"),
    call(admitted("large", { body: { prompt: large } })),
    call(admitted("j1")),
    drained("q"),
  ];
  const refused = group.write(calls);
  assert.deepEqual(
    [...refused].map(([at, why]) => [at, "reason" in why && why.reason]),
    [1, 2].map((at) => [at, "database or disk is full"]),
  );
  assert.equal(isReserved(), false);
  const { drains, tasks } = reading.recover();
  assert.deepEqual(
    drains.map(({ poolId }) => poolId),
    ["p", "q"],
  );
  assert.deepEqual(tasks, []);
  assert.deepEqual([...group.write([call(admitted("j2"))]).keys()], [0]);
});

test("what does not fit even so is refused alone", (t) => {
  const { group, reading } = small(t);
  const facts = replicaFacts(large);
  const seen = call({ fact: "replica-seen", poolId: "p", replicaId: "r", facts });
  assert.deepEqual([...group.write([drained("p"), seen, drained("q")]).keys()], [1]);
  assert.equal(reading.recover().drains.length, 2);
});

test("whoever asks gets the reserve made again, and admissions of the same group are kept", (t) => {
  const { group, reading, isReserved } = small(t);
  assert.equal(group.write([call(admitted("large", { body: { prompt: large } }))]).size, 1);
  assert.deepEqual([...group.write([asks, call(admitted("j1"))])], []);
  assert.equal(isReserved(), true);
  assert.equal(reading.recover().tasks[0]?.jobId, "j1");
});

test("of a group with a wrong call that one is refused alone, and it is not the disk's doing", (t) => {
  const { group, db, reading, isReserved } = small(t);
  const wrong = { ...call(ended("j1", { atMs: Number.NaN })), atMs: Number.NaN };
  const refused = group.write([drained("p"), wrong, call(admitted("j1")), drained("q")]);
  assert.deepEqual(
    [...refused].map(([at, why]) => [at, Object.keys(why)]),
    [[1, ["bug"]]],
  );
  assert.equal(db.isTransaction, false);
  assert.equal(isReserved(), true);
  const { drains, tasks } = reading.recover();
  assert.deepEqual([drains.length, tasks[0]?.jobId], [2, "j1"]);
  assert.deepEqual([...group.write([call(admitted("j2"))])], []);
});
