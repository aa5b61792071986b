// Mastra's own tracing, with its exporter to Mastra's platform. It cuts content by default (50 items, 128 KB of a text):
// here it keeps all, as the others do.

import { MastraPlatformExporter, Observability } from "@mastra/observability";
import { traced } from "./traced.mjs";

const KEEP_ALL = { maxStringLength: 2 ** 27, maxDepth: 32, maxArrayLength: 1e6, maxObjectKeys: 1e6 };

export function start({ url }) {
  const endpoints = { tracesEndpoint: `${url}/mastra/spans/publish` };
  const exporter = new MastraPlatformExporter({ accessToken: "bench", logLevel: "error", ...endpoints });
  const config = { serviceName: "bench", exporters: [exporter], serializationOptions: KEEP_ALL };
  const observability = new Observability({ configs: { bench: config } });
  const tracing = observability.getDefaultInstance();
  const agent = (input) => {
    const span = tracing.startSpan({ type: "agent_run", name: "agent.generate", input });
    return {
      end: (output) => span.end({ output }),
      tool(name, toolCallId, input) {
        const metadata = { toolCallId };
        const tool = span.createChildSpan({ type: "tool_call", name, input, metadata });
        return { end: (output) => tool.end({ output }) };
      },
    };
  };
  return {
    generate: traced(agent),
    async adopt(agent) {
      const { Mastra } = await import("@mastra/core/mastra");
      return new Mastra({ agents: { support: agent }, observability, logger: false }).getAgent("support");
    },
    span: (input, output) => tracing.startSpan({ type: "agent_run", name: "answer", input }).end({ output }),
    flush: () => tracing.flush(),
    shutdown: () => observability.shutdown(),
  };
}
