// This package, as built in the clone.

import { createRequire } from "node:module";
import { ENTRY } from "../support/build.mjs";

export async function start({ url, more }) {
  const fallom = createRequire(import.meta.url)(ENTRY);
  // No refresh falls into the measurement.
  const urls = { tracesUrl: url, configsUrl: url, promptsUrl: url, refreshMs: 3_600_000 };
  await fallom.init({ apiKey: "bench", ...urls, ...more });
  const session = fallom.session({ configKey: "bench", sessionId: "s-1", customerId: "c-1" });
  return {
    generate: (agent, messages, options) => session.wrapMastraAgent(agent).generate(messages, options),
    span: (input, output) => session.span("answer", { kind: "llm" }).set({ input, output }).end(),
    flush: () => fallom.flush({ timeoutMs: 60_000 }),
    shutdown: () => fallom.shutdown(),
    stats: () => fallom.stats(),
  };
}
