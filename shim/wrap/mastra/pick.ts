import { putArray, putEnd, putObject, putText } from "../../bytes";
import { putNamed, Written } from "../../values";
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

/** A tool call or its result, whatever form Mastra gave it. */
export interface ToolPart {
  toolCallId: string | undefined;
  toolName: string;
  args: unknown;
  result: unknown;
}

/** The usage in `value`, if it counts anything. The AI SDK 4 had other names for two (the legacy methods). */
export function pickUsage(value: unknown): Usage | undefined {
  if (!isObject(value)) return undefined;
  const usage: Usage = {};
  let parts = 0;
  const take = (name: keyof Usage, tokens: number | undefined): void => {
    if (tokens === undefined) return;
    usage[name] = tokens;
    parts++;
  };
  take("inputTokens", count(field(value, "inputTokens")) ?? count(field(value, "promptTokens")));
  take("outputTokens", count(field(value, "outputTokens")) ?? count(field(value, "completionTokens")));
  const total = count(field(value, "totalTokens"));
  if (total !== undefined) usage.totalTokens = total;
  take("reasoningTokens", count(field(value, "reasoningTokens")));
  take("cachedInputTokens", count(field(value, "cachedInputTokens")));
  take("cacheCreationInputTokens", count(field(value, "cacheCreationInputTokens")));
  // A total of 0 beside nothing else is Mastra's sum over a run that was cut short: not known is not none.
  return total || parts > 0 ? usage : undefined;
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
  const wrapped = field(chunk, "payload");
  const payload = isObject(wrapped) ? wrapped : chunk;
  const toolName = text(field(payload, "toolName"));
  if (toolName === undefined) return undefined;
  return {
    toolCallId: text(field(payload, "toolCallId")),
    toolName,
    args: field(payload, "args") ?? field(payload, "input"),
    result: field(payload, "result") ?? field(payload, "output"),
  };
}

export function toolParts(chunks: unknown): ToolPart[] {
  const parts: ToolPart[] = [];
  for (const chunk of list(chunks)) {
    const part = toolPart(chunk);
    if (part !== undefined) parts.push(part);
  }
  return parts;
}

/** Some 0.24 give an empty `toolCalls`: then the calls are those of the results. */
export function callsOf(value: unknown): ToolPart[] {
  const calls = toolParts(field(value, "toolCalls"));
  return calls.length > 0 ? calls : toolParts(field(value, "toolResults"));
}

/** The content of an answer, picked: never the whole result, which grows quadratically with its steps. */
export function responseOf(result: unknown): Written<unknown> {
  return new Written(putResponse, result);
}

function putResponse(result: unknown): void {
  putObject();
  if (KNOWN.some((name) => field(result, name) !== undefined)) putAnswer(result);
  else putNamed(typeof result === "string" ? "text" : "object", result);
  putEnd();
}

function putAnswer(result: unknown): void {
  const object = field(result, "object");
  putNamed("text", field(result, "text"));
  putNamed("finishReason", field(result, "finishReason"));
  putTools(result);
  putText("steps");
  putArray();
  for (const step of list(field(result, "steps"))) putStep(step);
  putEnd();
  if (object !== null) putNamed("object", object);
  putNamed("reasoningText", text(field(result, "reasoningText")));
  const { modelId, responseId } = modelsOf(result);
  putNamed("modelId", modelId);
  putNamed("responseId", responseId);
}

function putStep(step: unknown): void {
  const response = field(step, "response");
  putObject();
  putNamed("stepType", field(step, "stepType"));
  putNamed("text", field(step, "text"));
  putNamed("finishReason", field(step, "finishReason"));
  putTools(step);
  putNamed("usage", pickUsage(field(step, "usage")));
  putNamed("timestamp", field(response, "timestamp"));
  putNamed("responseId", text(field(response, "id")));
  putEnd();
}

function putTools(holder: unknown): void {
  putText("toolCalls");
  putArray();
  for (const call of callsOf(holder)) putPart(call, "args", call.args, "tool-call");
  putEnd();
  putText("toolResults");
  putArray();
  for (const part of toolParts(field(holder, "toolResults")))
    putPart(part, "result", part.result, "tool-result");
  putEnd();
}

function putPart({ toolCallId, toolName }: ToolPart, content: string, value: unknown, type: string): void {
  putObject();
  putNamed("toolCallId", toolCallId);
  putNamed("toolName", toolName);
  putNamed(content, value);
  putNamed("type", type);
  putEnd();
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
