// OpenTelemetry's own SDK: batch processor, OTLP over HTTP with protobuf. Attributes are texts, so that the user turns
// messages into JSON, under the names of OpenInference.

import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { traced } from "./traced.mjs";

export function start({ url, compress, queue }) {
  const compression = compress ? "gzip" : "none";
  const exporter = new OTLPTraceExporter({ url: `${url}/v1/traces`, compression });
  const processor = new BatchSpanProcessor(exporter, { maxQueueSize: queue });
  const provider = new BasicTracerProvider({ spanProcessors: [processor] });
  const tracer = provider.getTracer("bench");
  const begin = (name, input, attributes, parent = ROOT_CONTEXT) => {
    const span = tracer.startSpan(name, { attributes }, parent);
    span.setAttribute("input.value", JSON.stringify(input));
    return span;
  };
  const end = (span, output) => span.setAttribute("output.value", JSON.stringify(output)).end();
  const agent = (messages) => {
    const span = begin("agent.generate", messages, { "openinference.span.kind": "AGENT" });
    const inside = trace.setSpan(ROOT_CONTEXT, span);
    return {
      end: (output) => end(span, output),
      tool(name, id, input) {
        const attributes = { "openinference.span.kind": "TOOL", "tool.name": name, "tool.id": id };
        const tool = begin(`tool.${name}`, input, attributes, inside);
        return { end: (output) => end(tool, output) };
      },
    };
  };
  return {
    generate: traced(agent),
    span: (input, output) => end(begin("answer", input, { "openinference.span.kind": "LLM" }), output),
    flush: () => provider.forceFlush(),
    shutdown: () => provider.shutdown(),
  };
}
