// How the user of a tracer that does not know Mastra traces a run of an agent: a span around the call, with the request
// and the picked answer, and one in Mastra's tool hooks around each tool, with its arguments and its result.

import { picked } from "../support/record.mjs";

/**
 * A span that has begun. `end` is given its output.
 * @typedef {{ end: (output: unknown) => void }} Span
 * @typedef {Span & { tool: (name: string, callId: string, input: unknown) => Span }} AgentSpan
 *
 * @param {(messages: object[]) => AgentSpan} begin
 */
export function traced(begin) {
  return async (agent, messages, options) => {
    const span = begin(messages);
    const open = new Map();
    const hooks = {
      beforeToolCall({ toolName, input, context: { toolCallId } }) {
        open.set(toolCallId, span.tool(toolName, toolCallId, input));
      },
      afterToolCall({ output, context: { toolCallId } }) {
        open.get(toolCallId)?.end(output);
      },
    };
    const result = await agent.generate(messages, { ...options, hooks });
    span.end(picked(result));
    return result;
  };
}
