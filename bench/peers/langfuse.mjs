// Langfuse: its span processor on OpenTelemetry's SDK, its own observations.

import { LangfuseSpanProcessor } from "@langfuse/otel";
import { setLangfuseTracerProvider, startObservation } from "@langfuse/tracing";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { traced } from "./traced.mjs";

export function start({ url, compress, queue }) {
  // It has no options of its own for these two, but the SDK below it reads them.
  if (queue) process.env.OTEL_BSP_MAX_QUEUE_SIZE = String(queue);
  process.env.OTEL_EXPORTER_OTLP_COMPRESSION = compress ? "gzip" : "none";
  const processor = new LangfuseSpanProcessor({ publicKey: "pk", secretKey: "sk", baseUrl: url });
  const provider = new BasicTracerProvider({ spanProcessors: [processor] });
  setLangfuseTracerProvider(provider);
  const agent = (messages) => {
    const span = startObservation("agent.generate", { input: messages }, { asType: "agent" });
    return {
      end: (output) => span.update({ output }).end(),
      tool(name, toolCallId, input) {
        const metadata = { toolCallId };
        const tool = span.startObservation(`tool.${name}`, { input, metadata }, { asType: "tool" });
        return { end: (output) => tool.update({ output }).end() };
      },
    };
  };
  return {
    generate: traced(agent),
    span: (input, output) =>
      startObservation("answer", { input }, { asType: "generation" }).update({ output }).end(),
    flush: () => processor.forceFlush(),
    shutdown: () => provider.shutdown(),
  };
}
