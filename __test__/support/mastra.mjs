// The real Mastra, of the line that the environment names: MASTRA=0.24 (the default) or MASTRA=1. What differs between
// the lines is papered over in mastra-0.24/mastra.mjs and mastra-1/mastra.mjs, and nowhere else.

import { readdirSync } from "node:fs";

const HERE = new URL("..", import.meta.url);
const LINES = readdirSync(HERE).flatMap((name) => /^mastra-([\d.]+)$/.exec(name)?.[1] ?? []);

/** @type {"0.24" | "1"} */
export const line = process.env.MASTRA || "0.24";
if (!LINES.includes(line)) throw new Error(`MASTRA is "${line}", but must be one of ${LINES.join(", ")}`);

/** The folder in which `@mastra/core`, `@ai-sdk/openai`, `zod` and `@fallom/trace` resolve. */
export const fixture = new URL(`mastra-${line}/`, HERE);

export const {
  Agent,
  Mastra,
  createOpenAI,
  createStep,
  createTool,
  createWorkflow,
  defaultsOf,
  listTools,
  load,
  makeMemory,
  makeStore,
  makeTool,
  noopLogger,
  require,
  z,
} = await import(new URL("mastra.mjs", fixture));

/** Options for a call that shall not retry a failing model. On 0.24 the agent's own `maxRetries` does not do it. */
export const once = { modelSettings: { maxRetries: 0 } };

/**
 * The model of a server that `startModel` started.
 * @param {{ baseURL: string }} server
 * @param {{ api?: "responses" | "chat", name?: string, fetch?: typeof fetch }} [options]
 */
export function modelOf(server, { api = "responses", name = "gpt-4o-mini", fetch } = {}) {
  const provider = createOpenAI({ apiKey: "test-key", baseURL: server.baseURL, fetch });
  return provider[api](name);
}

/** An agent with a name and instructions, unless they are given, that does not log the failures that a test is about. */
export function makeAgent(options) {
  const agent = new Agent({
    id: "support",
    name: "SupportAgent",
    instructions: "You help customers.",
    ...options,
  });
  agent.__setLogger(noopLogger);
  return agent;
}
