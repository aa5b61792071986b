// LangSmith: run trees, posted when they begin and patched when they end, as its `traceable` does.

import { Client, RunTree } from "langsmith";
import { traced } from "./traced.mjs";

export async function start({ url, compress }) {
  if (compress === false) process.env.LANGSMITH_DISABLE_RUN_COMPRESSION = "true";
  const client = new Client({ apiUrl: url, apiKey: "bench" });
  const begin = (run, _inputs) => {
    const posted = run.postRun();
    return async (outputs) => {
      await posted;
      await run.end(outputs);
      await run.patchRun();
    };
  };
  const pending = new Set();
  const track = (promise) => {
    pending.add(promise);
    promise.finally(() => pending.delete(promise));
  };
  const agent = (messages) => {
    const run = new RunTree({ name: "agent.generate", run_type: "chain", inputs: { messages }, client });
    const end = begin(run);
    return {
      end: (output) => track(end(output)),
      tool(name, toolCallId, input) {
        const metadata = { toolCallId };
        const child = run.createChild({ name, run_type: "tool", inputs: input, extra: { metadata } });
        const endChild = begin(child);
        return { end: (output) => track(endChild(output)) };
      },
    };
  };
  return {
    generate: traced(agent),
    span: (input, output) =>
      track(begin(new RunTree({ name: "answer", run_type: "llm", inputs: { input }, client }))({ output })),
    async flush() {
      await Promise.all(pending);
      await client.flush();
      await client.awaitPendingTraceBatches();
    },
    shutdown: () => client.awaitPendingTraceBatches(),
  };
}
