// PostHog: the events of its LLM analytics, captured by hand, as its documentation shows for frameworks it does not wrap.

import { randomUUID } from "node:crypto";
import { PostHog } from "posthog-node";
import { traced } from "./traced.mjs";

export function start({ url, compress, queue }) {
  const options = {
    host: url,
    disableCompression: compress === false,
    maxQueueSize: queue,
    enableExceptionAutocapture: false,
  };
  const posthog = new PostHog("bench", options);
  const begin = (event, properties, input) => {
    const begun = performance.now();
    return (output) =>
      posthog.capture({
        distinctId: "c-1",
        event,
        properties: {
          ...properties,
          $ai_latency: (performance.now() - begun) / 1000,
          $ai_input_state: input,
          $ai_output_state: output,
        },
      });
  };
  const agent = (messages) => {
    const $ai_trace_id = randomUUID();
    const end = begin("$ai_trace", { $ai_trace_id, $ai_span_name: "agent.generate" }, messages);
    return {
      end,
      tool(name, toolCallId, input) {
        const ids = { $ai_trace_id, $ai_parent_id: $ai_trace_id, $ai_span_id: randomUUID() };
        return { end: begin("$ai_span", { ...ids, $ai_span_name: name, toolCallId }, input) };
      },
    };
  };
  return {
    generate: traced(agent),
    span: (input, output) =>
      begin("$ai_span", { $ai_trace_id: randomUUID(), $ai_span_id: randomUUID() }, input)(output),
    flush: () => posthog.flush(),
    shutdown: () => posthog.shutdown(),
  };
}
