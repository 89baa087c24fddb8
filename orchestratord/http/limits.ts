// Every bound the listeners set against slow, greedy and hostile peers, in one place. Bounds on a single body
// are the routes' own (contract/routes); those here hold for a connection or for the whole daemon.

export interface Limits {
  /** From the first byte of a request to the end of its headers; also for a connection that sends nothing. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to the end of its body. Answers and streams have no such limit. */
  readonly requestTimeoutMs: number;
  /** How long an idle connection is kept for the next request. */
  readonly keepAliveTimeoutMs: number;
  /** How often the three above are looked at, and so how late a limit may strike. */
  readonly checkIntervalMs: number;
  /** An answer of which nothing is taken for so long ends its connection. Streams have their own limit. */
  readonly answerStallMs: number;
  readonly tlsHandshakeMs: number;
  /** How long a stop waits for requests that are under way. */
  readonly closeMs: number;
  /** Request line and headers of one request; beyond it 431. */
  readonly headerBytesMax: number;
  /** Half-open, idle and streaming ones together; further ones are closed at once. */
  readonly connectionsMax: number;
  /** Bodies that are being received, and answers that are not taken yet, over all connections. */
  readonly heldBytesMax: number;
  /** Larger bodies and documents leave `smallRoomBytes` of it to the others. */
  readonly smallBytesMax: number;
  readonly smallRoomBytes: number;
  /** So much of a refused body is read and thrown away, so that its sender gets to read why. */
  readonly discardedBytesMax: number;
  /** The same in time, where the connection ends with the refusal. */
  readonly lingerMs: number;
}

const mebibyte = 1_048_576;

export const defaultLimits: Limits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 60_000,
  checkIntervalMs: 1000,
  answerStallMs: 30_000,
  tlsHandshakeMs: 10_000,
  closeMs: 2000,
  headerBytesMax: 16_384,
  connectionsMax: 16_384,
  heldBytesMax: 256 * mebibyte,
  smallBytesMax: 65_536,
  smallRoomBytes: 32 * mebibyte,
  discardedBytesMax: 64 * mebibyte,
  lingerMs: 30_000,
};
