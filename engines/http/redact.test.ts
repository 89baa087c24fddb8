import assert from "node:assert/strict";
import { test } from "node:test";
import { redactor } from "./redact.ts";

test("a credential becomes four stars and its fingerprint, wherever it stands", () => {
  const redact = redactor(["hunter2-key", "hunter2"]);
  // printf hunter2-key | sha256sum
  assert.equal(redact("Invalid key hunter2-key!"), "Invalid key ****8be9fd!");
  assert.doesNotMatch(redact("hunter2hunter2-key"), /hunter2/);
});

test("credentials of others are recognised by what stands in front of them", () => {
  const redact = redactor([]);
  for (const text of [
    "Authorization: Bearer abcdefgh1234",
    '{"api_key":"abcdefgh1234"}',
    "https://me:abcdefgh1234@example.org/x",
    "password=abcdefgh1234&x=1",
  ]) {
    const clean = redact(text);
    assert.doesNotMatch(clean, /abcdefgh/);
    assert.match(clean, /\*{4}[0-9a-f]{6}/);
    assert.equal(redact(clean), clean);
  }
});
