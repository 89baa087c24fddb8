import assert from "node:assert/strict";
import { test } from "node:test";
import { portOf } from "./connection.ts";

test("a URL that names no port means that of its scheme, and one that names port 0 means no other", () => {
  const ports = ["http://e", "https://e", "http://e:443", "http://e:0", "https://e:0/x"];
  assert.deepEqual(
    ports.map((url) => portOf(new URL(url))),
    [80, 443, 443, 0, 0],
  );
});
