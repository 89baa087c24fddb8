import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerReader } from "./answer-reader.ts";

interface Read {
  readonly status: number;
  readonly body: string;
  readonly isOver: boolean;
}

/** @param cuts where the bytes come apart */
function read(answer: string, cuts: readonly number[] = [], ends = false): Read {
  const bytes = Buffer.from(answer, "latin1");
  const body: Buffer[] = [];
  const reader = new AnswerReader((piece) => body.push(piece));
  for (const [n, from] of [0, ...cuts].entries()) reader.read(bytes.subarray(from, cuts[n]));
  if (ends) reader.end();
  return { status: reader.status, body: Buffer.concat(body).toString("latin1"), isOver: reader.isOver };
}

const chunked =
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nX:\r\n\r\n" +
  "5\r\nhello\r\nA;name=value\r\n, \r\nworld!\r\n0\r\nX-Trailer: y\r\n\r\n";

test("an answer is the same wherever its bytes are cut", () => {
  const whole = { status: 200, body: "hello, \r\nworld!", isOver: true };
  for (let at = 0; at <= chunked.length; at++) assert.deepEqual(read(chunked, [at]), whole, `cut at ${at}`);
  const everywhere = Array.from(chunked, (_, n) => n).slice(1);
  assert.deepEqual(read(chunked, everywhere), whole);
});

test("a body is as long as its framing says, and what follows it is not read", () => {
  const head = "HTTP/1.1 200\r\ncontent-length: 2\r\nContent-Length:2 \r\n\r\n";
  assert.deepEqual(read(`${head}okHTTP/1.1 500 No\r\n\r\n`), { status: 200, body: "ok", isOver: true });
  assert.deepEqual(read("HTTP/1.0 404 No\ncontent-length: 0\n\n"), { status: 404, body: "", isOver: true });
  assert.deepEqual(read("HTTP/1.1 204 Nothing\r\n\r\nx"), { status: 204, body: "", isOver: true });
  const both =
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
  assert.deepEqual(read(both), { status: 200, body: "ok", isOver: true });
});

test("without a length the body ends with the connection, and any other answer must be whole by then", () => {
  const open = "HTTP/1.1 200 OK\r\n\r\nall of it";
  assert.deepEqual(read(open), { status: 200, body: "all of it", isOver: false });
  assert.deepEqual(read(open, [], true), { status: 200, body: "all of it", isOver: true });
  const cutAt = chunked.length - 1;
  for (let at = 0; at <= cutAt; at++) assert.throws(() => read(chunked.slice(0, at), [], true), /its end/);
});

test("what is no answer is refused, with no more of it than its start", () => {
  const fields = (...lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.join("\r\n")}\r\n\r\n`;
  const bodies = (text: string) => `${fields("Transfer-Encoding: chunked")}${text}`;
  for (const answer of [
    "What?\r\n",
    "HTTP/2 200 OK\r\n",
    "HTTP/1.1 2000 OK\r\n",
    "HTTP/1.1 600 OK\r\n",
    "HTTP/1.1 101 Switching\r\n\r\n",
    fields("no colon"),
    fields("A: b", " folded"),
    fields("Content-Length: 1, 1"),
    fields("Content-Length: -1"),
    fields("Content-Length: 1", "Content-Length: 2"),
    fields("Transfer-Encoding: gzip, chunked"),
    bodies("\r\n"),
    bodies("-1\r\n"),
    bodies("5 6\r\n"),
    bodies("2\r\nokk\r\n"),
    `HTTP/1.1 200 OK\r\nA: ${"x".repeat(20_000)}`,
    `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(300)}`,
    bodies(`0\r\n${"A: b\r\n".repeat(300)}`),
    `${"x".repeat(1000)}\r\n`,
  ]) {
    assert.throws(() => read(answer), /^Error: no HTTP: ".{0,48}"$/, answer.slice(0, 100));
  }
});

test("what came before an answer turned out to be none has been told", () => {
  const body: string[] = [];
  const reader = new AnswerReader((piece) => body.push(piece.toString()));
  const bytes = Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nwhat?\r\n");
  assert.throws(() => reader.read(bytes), /no HTTP/);
  assert.deepEqual([reader.status, body], [200, ["ok"]]);
});
