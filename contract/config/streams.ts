// The way of tokens to their readers: grace, heartbeats, memory per stream, and merging.

import Type from "typebox";
import { bytes, ms, section, setting } from "./setting.ts";

export const Stream = section(
  {
    disconnect_grace_ms: setting(
      ms(0, 3_600_000),
      5000,
      "How long a task waits for its last reader to come back before it is cancelled; 0 is at once.",
    ),
    cancel_on_disconnect: setting(
      Type.Boolean(),
      true,
      "Whether a task without readers is cancelled at all.",
    ),
    heartbeat_ms: setting(ms(0, 600_000), 15_000, "Time between heartbeat comments; 0 sends none."),
    ring_bytes: setting(
      bytes(4096),
      65_536,
      "Frames of one live task kept in memory; older ones go to disk.",
    ),
    reader_stall_ms: setting(
      ms(100, 3_600_000),
      30_000,
      "A reader whose socket has not drained for so long is dropped.",
    ),
    microbatch: setting(Type.Boolean(), false, "Sends tokens that arrived together in one frame."),
    microbatch_tokens: setting(
      Type.Integer({ minimum: 2, maximum: 256 }),
      16,
      "Tokens one such frame may hold.",
    ),
  },
  "How streams are served.",
);
