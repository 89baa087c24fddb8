// What the daemons say about themselves, and the service levels they hold themselves to. Nothing is sent
// anywhere unless an endpoint is named.

import Type from "typebox";
import { HttpUrl } from "./address.ts";
import { ms, optional, positive, section, setting } from "./setting.ts";

export const Telemetry = section(
  {
    log_format: setting(Type.Enum(["json", "pretty"]), "json", "The form of log lines."),
    log_level: setting(
      Type.Enum(["trace", "debug", "info", "warn", "error"]),
      "info",
      "The least level that is logged.",
    ),
    mask_uuids: setting(Type.Boolean(), false, "Whether narration hides UUIDs as well as secrets."),
    otlp_endpoint: optional(HttpUrl, "Where traces are sent with OTLP; none are sent when absent."),
    otlp_narration: setting(
      Type.Boolean(),
      false,
      "Whether the span of a task carries its narration, as llama_orch.narration.",
    ),
    metrics_port: optional(positive(65_535), "One more port that serves the metrics, usually 9090 or 9091."),
    share_window_ms: setting(
      ms(1000, 3_600_000),
      60_000,
      "The window of the admission_share gauge, over which a cost fades to 1/e.",
    ),
    deadlines_window_ms: setting(
      ms(1000, 86_400_000),
      300_000,
      "The window of the deadlines_met_ratio gauge.",
    ),
  },
  "Logs, traces and metrics.",
);

const ratio = () => Type.Number({ minimum: 0, maximum: 1 });

export const Slo = section(
  {
    interactive: section(
      {
        first_token_p95_ms: setting(ms(1, 3_600_000), 900, "The 95th percentile of the first token."),
        tokens_64_p95_ms: setting(ms(1, 3_600_000), 2500, "The 95th percentile of the first 64 tokens."),
        error_rate: setting(ratio(), 0.005, "The share of tasks that may fail."),
      },
      "The service level of interactive tasks.",
    ),
    batch: section(
      {
        throughput_ratio: setting(
          ratio(),
          0.8,
          "The least share of the nominal tokens per second, which is what the replica set has shown it can do.",
        ),
        error_rate: setting(ratio(), 0.01, "The share of tasks that may fail."),
      },
      "The service level of batch tasks.",
    ),
    breaker: section(
      {
        window_ms: setting(ms(100, 3_600_000), 10_000, "The length of one window."),
        windows: setting(
          positive(1000),
          3,
          "Windows in a row below the level that open the breaker of a class.",
        ),
        open_ms: setting(
          ms(100, 3_600_000),
          10_000,
          "How long it refuses before one task is let through as a probe.",
        ),
      },
      "When a class that misses its level takes no new work.",
    ),
  },
  "Service levels.",
);
