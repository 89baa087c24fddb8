// What a data directory holds: the store, the room that is held for it, and the journal. Only words are made
// here; who looks is the daemon's own survey, which a daemon that runs there does not notice.

import type { StoreSurvey, Survey } from "@llama-orch/orchestratord/survey";
import { bytesText, countText } from "../print/quantity.ts";
import type { Finding } from "./finding.ts";

/** @param freeBytes on its disk, as far as that is known */
export function checkData(dataDir: string, survey: Survey, freeBytes: number | undefined): Finding[] {
  const { store, reserveBytes, journal } = survey;
  if (store === undefined) {
    return [{ check: "data", level: "ok", says: `${dataDir} has no store yet; the first start makes it` }];
  }
  const findings = [{ check: "data", level: "ok", says: dataDir } as const, checkStore(store)];
  if (store.kind === "unreadable") return findings;
  return [...findings, checkReserve(reserveBytes, freeBytes), checkJournal(journal)];
}

function checkStore(store: StoreSurvey): Finding {
  const check = "store";
  if (store.kind === "unreadable") {
    const todo =
      "Run this as the user of the daemon. If it is damaged, restore it from a copy, or move the files of " +
      "store/ away and lose the tasks in it.";
    return { check, level: "bad", says: `cannot be read: ${store.reason}`, todo };
  }
  const { version, versionMax, bytes, tasksLive } = store;
  if (version > versionMax) {
    const todo = "Start the release that wrote it or a later one, or another data directory.";
    return {
      check,
      level: "bad",
      says: `version ${version}, and this release knows ${versionMax} at most`,
      todo,
    };
  }
  const old = version < versionMax ? ", which the next start brings up to date" : "";
  const tasks = tasksLive === undefined ? "" : `, ${countText(tasksLive, "task")} waiting or running`;
  return { check, level: "ok", says: `version ${version}${old}, ${bytesText(bytes)}${tasks}` };
}

function checkReserve(reserveBytes: number, freeBytes: number | undefined): Finding {
  const check = "reserve";
  if (reserveBytes > 0) {
    return { check, level: "ok", says: `${bytesText(reserveBytes)} held for the ends of admitted tasks` };
  }
  const left = freeBytes === undefined ? "" : `; the disk has ${bytesText(freeBytes)} free`;
  const todo =
    "Free some space, and a daemon that runs holds it again. With store.reserve_bytes 0 none is wanted.";
  return { check, level: "warn", says: `No room is held for the ends of admitted tasks${left}.`, todo };
}

function checkJournal(journal: Survey["journal"]): Finding {
  const check = "journal";
  if (journal === undefined) return { check, level: "ok", says: "none is kept" };
  const { files, bytes, writtenAtMs } = journal;
  const when = new Date(writtenAtMs).toISOString();
  return {
    check,
    level: "ok",
    says: `${countText(files, "file")}, ${bytesText(bytes)}, last written ${when}`,
  };
}
