// Who takes part. A peer is `start(options)`, and what that gives; its module is loaded in a process of its own.

/**
 * @typedef {object} Options
 * @property {string} url  of the sink
 * @property {boolean} compress  whether it may compress, if it can
 * @property {number} queue  so many spans must fit into its queue
 * @property {object} [more]  further options of `fallom.init`
 *
 * @typedef {object} Peer
 * @property {(agent: object, messages: object[], options?: object, kept?: object) => Promise<object>} generate
 *   an agent's call, traced as its user would, with its tools
 * @property {(input: unknown, output: unknown) => void} span  one span
 * @property {() => Promise<unknown>} flush
 * @property {() => Promise<unknown>} shutdown
 */

export const PEERS = {
  none: { label: "no tracing", module: "none" },
  kept: { label: "stringify kept", module: "none", start: "startKept" },
  whole: { label: "stringify result", module: "none", start: "startWhole" },
  fallom: { label: "@fallom/trace", module: "fallom" },
  opentelemetry: { label: "OpenTelemetry", module: "opentelemetry" },
  langfuse: { label: "Langfuse", module: "langfuse" },
  langsmith: { label: "LangSmith", module: "langsmith" },
  posthog: { label: "PostHog", module: "posthog" },
  mastra: { label: "Mastra", module: "mastra" },
};

/** Those with another tracer's name. */
export const OTHERS = ["opentelemetry", "langfuse", "langsmith", "posthog", "mastra"];

/** @returns {Promise<Peer>} */
export async function startPeer(name, options) {
  const { module, start = "start" } = PEERS[name];
  return (await import(`./${module}.mjs`))[start](options);
}
