// How a connection to the server of a URL is begun: TCP, or TLS where the URL says so, over a connection that
// is there already or over one of its own. A certificate is always verified, whatever the environment says.

import { connect, isIP, type Socket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { httpFailure } from "./http-failure.ts";

/** `over`: what TLS is laid over, instead of a connection of its own. */
export function beginConnection(url: URL, over?: Socket): Socket {
  // An IPv6 address has brackets in a URL alone.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const address = { host, port: portOf(url), noDelay: true };
  if (!isSecure(url)) return connect(address);
  const names = isIP(host) === 0 ? { servername: host } : {};
  const carrier = over === undefined ? {} : { socket: over };
  return connectSecurely({ ...address, ...names, ...carrier, rejectUnauthorized: true });
}

/** One that does not stand in time is destroyed, with a failure that says so of `where`. */
export function connectWithin(limitMs: number, url: URL, where: string): Socket {
  const socket = beginConnection(url);
  const timer = setTimeout(() => {
    socket.destroy(httpFailure("connect_timeout", where, `${limitMs} ms`));
  }, limitMs);
  const settled = () => clearTimeout(timer);
  return socket.once(readyEvent(url), settled).once("close", settled);
}

/** The event after which such a connection carries bytes. */
export const readyEvent = (url: URL) => (isSecure(url) ? "secureConnect" : "connect");

export const portOf = (url: URL): number => (url.port === "" ? (isSecure(url) ? 443 : 80) : Number(url.port));

export const isSecure = ({ protocol }: URL): boolean => protocol === "https:";
