import { count, type Fields, field, isObject, list, text } from "./read";

/** Token usage as the wire takes it (`fallom.raw.usage`). */
export type Usage = Partial<Record<(typeof USAGE_FIELDS)[number], number>>;

const USAGE_FIELDS = [
  "inputTokens",
  "outputTokens",
  "totalTokens",
  "reasoningTokens",
  "cachedInputTokens",
  "cacheCreationInputTokens",
] as const;

/** A result with none of these is no agent's of Mastra's, and kept whole. */
const KNOWN = ["text", "finishReason", "steps", "toolResults", "object"] as const;

/** What the AI SDK 4 called them (the legacy methods). */
const OLD_NAMES: Partial<Record<string, string>> = {
  inputTokens: "promptTokens",
  outputTokens: "completionTokens",
};

/** A tool call or its result, whatever form Mastra gave it. */
export interface ToolPart {
  toolCallId: string | undefined;
  toolName: string;
  args: unknown;
  result: unknown;
  hasResult: boolean;
}

/** The usage in `value`, if it counts anything. */
export function pickUsage(value: unknown): Usage | undefined {
  const usage: Usage = {};
  for (const name of USAGE_FIELDS) {
    const old = OLD_NAMES[name];
    const tokens = count(field(value, name)) ?? (old === undefined ? undefined : count(field(value, old)));
    if (tokens !== undefined) usage[name] = tokens;
  }
  // A total of 0 beside nothing else is Mastra's sum over a run that was cut short: not known is not none.
  const { totalTokens, ...parts } = usage;
  return totalTokens || Object.keys(parts).length > 0 ? usage : undefined;
}

/** The usage of a run: the total over its steps, where Mastra tells that apart. */
export function usageOf(result: unknown): Usage | undefined {
  return pickUsage(field(result, "totalUsage")) ?? pickUsage(field(result, "usage"));
}

export function sumUsage(usages: readonly (Usage | undefined)[], sign: 1 | -1 = 1): Usage | undefined {
  const [first, ...rest] = usages;
  const sum: Usage = { ...first };
  for (const usage of rest) {
    for (const name of USAGE_FIELDS) {
      const tokens = usage?.[name];
      if (tokens !== undefined) sum[name] = Math.max(0, (sum[name] ?? 0) + sign * tokens);
    }
  }
  return Object.keys(sum).length > 0 ? sum : undefined;
}

/** Chunks of Mastra carry a `payload`; parts of the AI SDK are it. */
export function toolPart(chunk: unknown): ToolPart | undefined {
  const payload = isObject(field(chunk, "payload")) ? field(chunk, "payload") : chunk;
  const toolName = text(field(payload, "toolName"));
  if (toolName === undefined) return undefined;
  return {
    toolCallId: text(field(payload, "toolCallId")),
    toolName,
    args: field(payload, "args") ?? field(payload, "input"),
    result: field(payload, "result") ?? field(payload, "output"),
    hasResult: isObject(payload) && ("result" in payload || "output" in payload),
  };
}

export function toolParts(chunks: unknown): ToolPart[] {
  return list(chunks).flatMap((chunk) => toolPart(chunk) ?? []);
}

/** Some 0.24 give an empty `toolCalls`: then the calls are those of the results. */
export function callsOf(value: unknown): ToolPart[] {
  const calls = toolParts(field(value, "toolCalls"));
  return calls.length > 0 ? calls : toolParts(field(value, "toolResults"));
}

/** The content of an answer, picked: never the whole result, which grows quadratically with its steps. */
export function pickResponse(result: unknown): Fields {
  if (!KNOWN.some((name) => field(result, name) !== undefined)) {
    return typeof result === "string" ? { text: result } : { object: result };
  }
  const object = field(result, "object");
  return {
    text: field(result, "text"),
    finishReason: field(result, "finishReason"),
    toolCalls: callsOf(result).map(callJson),
    toolResults: toolParts(field(result, "toolResults")).map(resultJson),
    steps: list(field(result, "steps")).map(pickStep),
    ...(object !== undefined && object !== null && { object }),
    reasoningText: text(field(result, "reasoningText")),
    ...modelsOf(result),
  };
}

function pickStep(step: unknown): Fields {
  return {
    stepType: field(step, "stepType"),
    text: field(step, "text"),
    finishReason: field(step, "finishReason"),
    toolCalls: callsOf(step).map(callJson),
    toolResults: toolParts(field(step, "toolResults")).map(resultJson),
    usage: pickUsage(field(step, "usage")),
    timestamp: field(field(step, "response"), "timestamp"),
    responseId: text(field(field(step, "response"), "id")),
  };
}

function callJson({ toolCallId, toolName, args }: ToolPart): Fields {
  return { toolCallId, toolName, args, type: "tool-call" };
}

function resultJson({ toolCallId, toolName, result }: ToolPart): Fields {
  return { toolCallId, toolName, result, type: "tool-result" };
}

/** The model that answered, else the one asked for; and the answer's id. */
export function modelsOf(result: unknown): { modelId: string | undefined; responseId: string | undefined } {
  const response = field(result, "response");
  const asked = field(response, "modelMetadata");
  return {
    modelId: text(field(response, "modelId")) ?? text(field(asked, "modelId")),
    responseId: text(field(response, "id")),
  };
}

/** `openai` of `openai.responses`. */
export function providerOf(result: unknown): string | undefined {
  return text(field(field(field(result, "response"), "modelMetadata"), "modelProvider"))?.split(".", 1)[0];
}

/** An allow-list, with nothing of the content in it (`fallom.raw.metadata`). */
export function pickMetadata(result: unknown): Fields {
  return {
    finishReason: text(field(result, "finishReason")),
    ...modelsOf(result),
    modelProvider: text(field(field(field(result, "response"), "modelMetadata"), "modelProvider")),
    stepCount: list(field(result, "steps")).length,
    toolCallCount: callsOf(result).length,
    warningCount: list(field(result, "warnings")).length,
  };
}
