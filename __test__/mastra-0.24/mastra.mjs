// Mastra 0.24 under the names that both lines share; ../mastra-1/mastra.mjs is its twin.

import { createRequire } from "node:module";
import { InMemoryStore } from "@mastra/core/storage";
import { createTool } from "@mastra/core/tools";
import { Memory } from "@mastra/memory";

export { createOpenAI } from "@ai-sdk/openai";
export { Agent } from "@mastra/core/agent";
export { noopLogger } from "@mastra/core/logger";
export { Mastra } from "@mastra/core/mastra";
export { createStep, createWorkflow } from "@mastra/core/workflows";
export { z } from "zod";
export { createTool };

export const line = "0.24";

/** The two ways in, as a program in this folder has them. */
export const require = createRequire(import.meta.url);
export const load = (specifier) => import(specifier);

/** A tool whose `execute` is `(input, { toolCallId, suspend, resumeData })`. */
export function makeTool({ execute, ...rest }) {
  return createTool({
    ...rest,
    execute: ({ context, suspend, resumeData }, { toolCallId }) =>
      execute(context, { toolCallId, suspend, resumeData }),
  });
}

/** The agent option that holds the defaults of `generate` and `stream`. */
export const defaultsOf = (options) => ({ defaultVNextStreamOptions: options });

export const listTools = (agent) => agent.getTools();

export const makeStore = () => new InMemoryStore();

/** A memory that asks the model for nothing. */
export const makeMemory = () =>
  new Memory({ storage: makeStore(), options: { threads: { generateTitle: false } } });
