// A model of the AI SDK 4, which is what Mastra's legacy methods take; no provider package of that age is installed.

/** Calls the tool `name` with `args` first, if one is given, then answers with `answer`. */
export function legacyModel({ answer = "A legacy answer.", tool } = {}) {
  const usage = { promptTokens: 30, completionTokens: 4 };
  const rawCall = (options) => ({ rawPrompt: options.prompt, rawSettings: {} });
  const response = () => ({ id: "legacy-1", modelId: "legacy-model-dated", timestamp: new Date() });
  const asks = (options) => tool && !options.prompt.some(({ role }) => role === "tool");
  const call = () => ({ toolCallType: "function", toolCallId: "call_legacy", toolName: tool.name });
  return {
    specificationVersion: "v1",
    provider: "legacy",
    modelId: "legacy-model",
    defaultObjectGenerationMode: "json",
    supportsStructuredOutputs: true,
    async doGenerate(options) {
      const said = asks(options)
        ? { toolCalls: [{ ...call(), args: JSON.stringify(tool.args) }], finishReason: "tool-calls" }
        : { text: answer, finishReason: "stop" };
      return { ...said, usage, response: response(), rawCall: rawCall(options), warnings: [] };
    },
    async doStream(options) {
      const { id, modelId } = response();
      const said = asks(options)
        ? [{ type: "tool-call", ...call(), args: JSON.stringify(tool.args) }]
        : answer.split(/(?= )/).map((textDelta) => ({ type: "text-delta", textDelta }));
      const finishReason = asks(options) ? "tool-calls" : "stop";
      const parts = [
        { type: "response-metadata", id, modelId },
        ...said,
        { type: "finish", finishReason, usage },
      ];
      return { stream: ReadableStream.from(parts), rawCall: rawCall(options) };
    },
  };
}
