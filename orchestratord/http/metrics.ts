// The Prometheus exposition.

import type { Handler } from "./exchange.ts";
import { sendText } from "./reply.ts";

export const getMetrics: Handler = async ({ wire }, { application }) => {
  sendText(wire, 200, "text/plain; version=0.0.4", await application.metrics());
};
