import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { redactor } from "./redact.ts";

test("a credential becomes four stars and its fingerprint, wherever it stands", () => {
  const redact = redactor(["hunter2-key", "hunter2"]);
  // printf hunter2-key | sha256sum
  assert.equal(redact("Invalid key hunter2-key!"), "Invalid key ****8be9fd!");
  assert.doesNotMatch(redact("hunter2hunter2-key"), /hunter2/);
});

test("credentials are replaced in one pass, so that none is found in what stands for another", () => {
  // The mark of the second begins with ****8be9fd, which holds the first.
  const redact = redactor(["8be9", "hunter2-key", "8be9", "a.c+"]);
  assert.equal(redact("hunter2-key"), "****8be9fd");
  assert.match(redact("a.c+ 8be9"), /^\*{4}[0-9a-f]{6} \*{4}[0-9a-f]{6}$/);
  assert.equal(redact("abcc"), "abcc");
});

test("a credential that is found in every text garbles none", () => {
  const redact = redactor(["4", "p", "", "123"]);
  const text = "The proxy http://10.0.0.4:3128: it answered 407 to CONNECT engine.test:1234.";
  assert.equal(redact(text), text);
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

test("Authorization, X-API-Key and token-like pairs become four stars and the fingerprint of what they hid [HTU-1004]", () => {
  const redact = redactor([]);
  // printf abcdefgh1234 | sha256sum
  const hidden = `****${createHash("sha256").update("abcdefgh1234").digest("hex").slice(0, 6)}`;
  for (const [text, clean] of [
    ["Authorization: Bearer abcdefgh1234", `Authorization: Bearer ${hidden}`],
    ["authorization: Basic abcdefgh1234", `authorization: Basic ${hidden}`],
    ["Authorization: abcdefgh1234, and more", `Authorization: ${hidden}, and more`],
    ["X-API-Key: abcdefgh1234", `X-API-Key: ${hidden}`],
    ["x-api-key=abcdefgh1234&y=2", `x-api-key=${hidden}&y=2`],
    ["token=abcdefgh1234;", `token=${hidden};`],
    ['{"hf_token":"abcdefgh1234"}', `{"hf_token":"${hidden}"}`],
    ["access_token: abcdefgh1234", `access_token: ${hidden}`],
    ["client-secret = abcdefgh1234", `client-secret = ${hidden}`],
  ] as const) {
    assert.equal(redact(text), clean);
  }
  const harmless = "request (4096 tokens) exceeds n_ctx: 2048; tokens: 4096";
  assert.equal(redact(harmless), harmless);
});
