// The way to an engine through an HTTP proxy: CONNECT, and behind the proxy's answer a connection to the
// engine, with TLS up to the engine where its URL says so. All of it has one limit of time. What fails on the
// way names the proxy, never its credential. Nothing here reads the environment: what is not configured is
// not used.

import type { Socket } from "node:net";
import { unescape as decoded } from "node:querystring";
import { isLoopback } from "@llama-orch/contract";
import { AnswerReader } from "./answer-reader.ts";
import { beginConnection, isSecure, portOf, readyEvent } from "./connection.ts";
import { failureOf, type HttpFailure, httpFailure } from "./http-failure.ts";

export interface TunnelCall {
  /** May hold a user and a password. */
  readonly proxy: URL;
  /** Its host, port and protocol say where the tunnel ends. */
  readonly server: URL;
  readonly limitMs: number;
}

/** The proxy on the way to a server; none to this machine, where no proxy could find it. */
export function proxyTo(server: URL, proxyUrl: string | undefined): URL | undefined {
  return proxyUrl === undefined || isLoopback(server.host) ? undefined : new URL(proxyUrl);
}

/** What must stand in no text. */
export function secretsOf(proxy: URL | undefined): string[] {
  return proxy === undefined ? [] : [basicOf(proxy), proxy.password, decoded(proxy.password)];
}

/** A connection that carries what is said to the engine. @throws HttpFailure or the signal's reason */
export async function openTunnel(
  { proxy, server, limitMs }: TunnelCall,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  let where = `The proxy ${proxy.origin}`;
  let socket = beginConnection(proxy);
  let isLate = false;
  const giveUp = () => void socket.destroy();
  const timer = setTimeout(() => {
    isLate = true;
    giveUp();
  }, limitMs);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    await happened(socket, readyEvent(proxy));
    const status = await statusOfConnect(socket, proxy, server);
    if (status < 200 || status > 299) throw refusal(status, where, server);
    where = `${server.origin} through the proxy ${proxy.origin}`;
    if (isSecure(server)) {
      socket = beginConnection(server, socket);
      await happened(socket, "secureConnect");
    }
    if (socket.destroyed) throw new Error("it was closed");
    return socket;
  } catch (error) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    throw isLate ? httpFailure("connect_timeout", where, `${limitMs} ms`) : failureOf(error, where);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  }
}

/** The listener for errors stays, so that a socket that breaks between two owners is no bug. */
function happened(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once(event, resolve);
  socket.once("error", reject);
  socket.once("close", () => reject(new Error("it was closed")));
  return promise;
}

async function statusOfConnect(socket: Socket, proxy: URL, server: URL): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // The answer has a head and nothing else: engines speak when they are spoken to.
  const answer = new AnswerReader(() => {});
  const read = (bytes: Buffer) => {
    try {
      answer.read(bytes);
      if (answer.status !== 0) resolve(answer.status);
    } catch (error) {
      reject(error);
    }
  };
  const closed = () => reject(new Error("it was closed"));
  socket.on("data", read).once("close", closed).once("error", reject);
  socket.write(connectText(proxy, server));
  try {
    return await promise;
  } finally {
    socket.off("data", read).off("close", closed).off("error", reject).pause();
  }
}

function connectText(proxy: URL, server: URL): string {
  const authority = `${server.hostname}:${portOf(server)}`;
  const basic = basicOf(proxy);
  const credential = basic === "" ? "" : `proxy-authorization: Basic ${basic}\r\n`;
  return `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${credential}\r\n`;
}

function basicOf({ username, password }: URL): string {
  if (username === "" && password === "") return "";
  return Buffer.from(`${decoded(username)}:${decoded(password)}`).toString("base64");
}

/** A 5xx says that the engine cannot be reached from there; anything else that the proxy does not want to. */
function refusal(status: number, where: string, server: URL): HttpFailure {
  const asked = `it answered ${status} to CONNECT ${server.hostname}:${portOf(server)}`;
  if (status >= 500) return httpFailure("unreachable", where, asked);
  const hint = status === 407 ? "; network.proxy_url must hold its user and password" : "";
  return httpFailure("proxy_refused", where, asked + hint);
}
