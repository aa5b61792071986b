// Who takes part. A peer is `start(options)`, and what that gives; its module is loaded in a process of its own.

/**
 * @typedef {object} Options
 * @property {string} url  of the sink
 * @property {boolean} [compress]  whether it compresses, if it can; its own default, if undefined
 * @property {number} [queue]  so many spans fit into its queue; its own default, if undefined
 * @property {object} [more]  further options of `fallom.init`
 *
 * @typedef {object} Peer
 * @property {(agent: object, messages: object[], options?: object, kept?: object) => Promise<object>} generate
 *   an agent's call, traced as its user would, with its tools
 * @property {(agent: object) => Promise<object>} [adopt]  makes a real agent one that traces itself
 * @property {(input: unknown, output: unknown) => void} span  one span
 * @property {() => Promise<unknown>} flush
 * @property {() => Promise<unknown>} shutdown
 */

export const PEERS = {
  none: { label: "no tracing", module: "none", floor: true },
  kept: { label: "stringify kept", module: "none", start: "startKept", floor: true },
  whole: { label: "stringify result", module: "none", start: "startWhole", floor: true },
  copied: { label: "copied and sent", module: "copied", floor: true },
  compressed: { label: "zstd alone", module: "compressed", floor: true },
  fallom: { label: "@fallom/trace", module: "fallom" },
  opentelemetry: { label: "OpenTelemetry", module: "opentelemetry" },
  langfuse: { label: "Langfuse", module: "langfuse" },
  langsmith: { label: "LangSmith", module: "langsmith" },
  posthog: { label: "PostHog", module: "posthog" },
  mastra: { label: "Mastra", module: "mastra" },
};

/** As `opentelemetry` and `langfuse`, which do not compress by default. */
export const COMPRESSED = {
  opentelemetryGzip: { label: "OTel, gzip", module: "opentelemetry", options: { compress: true } },
  langfuseGzip: { label: "Langfuse, gzip", module: "langfuse", options: { compress: true } },
};
Object.assign(PEERS, COMPRESSED);

/** Those with another tracer's name. */
export const OTHERS = ["opentelemetry", "langfuse", "langsmith", "posthog", "mastra"];

/** @returns {Promise<Peer>} */
export async function startPeer(name, options) {
  const { module, start = "start", options: own } = PEERS[name];
  return (await import(`./${module}.mjs`))[start]({ ...options, ...own });
}
