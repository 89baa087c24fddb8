import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "./events.ts";
import { effectsOf, readGolden } from "./fixtures/golden.ts";
import { stories } from "./fixtures/stories.ts";

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

for (const [story, tell] of Object.entries(stories)) {
  test(`the story ${story} has the effects that are written down`, () => {
    const events = readGolden(story, "events") as Event[];
    assert.deepEqual(
      plain(tell().events),
      events,
      "run `node core/fixtures/golden.ts` and read the difference",
    );
    assert.deepEqual(plain(effectsOf(events)), readGolden(story, "effects"));
  });
}
