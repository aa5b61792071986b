import { putEnd, putName, putObject } from "../../bytes";
import { Name } from "../../names";
import { putKnown, Written } from "../../values";
import { count, type Fields, field, isObject, list, readable, text } from "./read";

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

/** A tool call or its result, whatever form Mastra gave it. */
export interface ToolPart {
  toolCallId: string | undefined;
  toolName: string;
  args: unknown;
  result: unknown;
}

/** The AI SDK 4 had other names for two (the legacy methods). */
const COUNTS = [...USAGE_FIELDS, "promptTokens", "completionTokens"] as const;

/** The usage in `value`, if it counts anything. */
export function pickUsage(value: unknown): Usage | undefined {
  if (!isObject(value)) return undefined;
  try {
    const usage: Usage = {};
    const input = count(value.inputTokens) ?? count(value.promptTokens);
    const output = count(value.outputTokens) ?? count(value.completionTokens);
    const total = count(value.totalTokens);
    const reasoning = count(value.reasoningTokens);
    const cached = count(value.cachedInputTokens);
    const creation = count(value.cacheCreationInputTokens);
    if (input !== undefined) usage.inputTokens = input;
    if (output !== undefined) usage.outputTokens = output;
    if (total !== undefined) usage.totalTokens = total;
    if (reasoning !== undefined) usage.reasoningTokens = reasoning;
    if (cached !== undefined) usage.cachedInputTokens = cached;
    if (creation !== undefined) usage.cacheCreationInputTokens = creation;
    const parts = input ?? output ?? reasoning ?? cached ?? creation;
    // A total of 0 beside nothing else is Mastra's sum over a run that was cut short: not known is not none.
    return total || parts !== undefined ? usage : undefined;
  } catch {
    // One of them throws: that one is missing.
    return pickUsage(readable(value, COUNTS));
  }
}

/** Writes the member `usage` of a step. */
export function putUsage(usage: Usage | undefined): void {
  if (usage === undefined) return;
  putName(Name.usage);
  putCounts(usage);
}

export function writtenUsage(usage: Usage): Written<Usage> {
  return new Written(putCounts, usage);
}

function putCounts(usage: Usage): void {
  putObject();
  putKnown(Name.inputTokens, usage.inputTokens);
  putKnown(Name.outputTokens, usage.outputTokens);
  putKnown(Name.totalTokens, usage.totalTokens);
  putKnown(Name.reasoningTokens, usage.reasoningTokens);
  putKnown(Name.cachedInputTokens, usage.cachedInputTokens);
  putKnown(Name.cacheCreationInputTokens, usage.cacheCreationInputTokens);
  putEnd();
}

/** The usage of a run: the total over its steps, where Mastra tells that apart. */
export function usageOf({ totalUsage, usage }: Told): Usage | undefined {
  return pickUsage(totalUsage) ?? pickUsage(usage);
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

const PART = ["toolCallId", "toolName", "args", "input", "result", "output"] as const;

/** Chunks of Mastra carry a `payload`; parts of the AI SDK are it. */
export function toolPart(chunk: unknown): ToolPart | undefined {
  if (!isObject(chunk)) return undefined;
  try {
    const { payload } = chunk;
    return partOf(isObject(payload) ? payload : chunk);
  } catch {
    // One of its fields throws: that one is missing.
    const payload = field(chunk, "payload");
    return partOf(readable(isObject(payload) ? payload : chunk, PART));
  }
}

function partOf(payload: Fields): ToolPart | undefined {
  const toolName = text(payload.toolName);
  if (toolName === undefined) return undefined;
  const { toolCallId, args, result } = payload;
  return {
    toolCallId: text(toolCallId),
    toolName,
    args: args ?? payload.input,
    result: result ?? payload.output,
  };
}

export function toolParts(chunks: unknown): ToolPart[] {
  const parts: ToolPart[] = [];
  const all = list(chunks);
  for (let i = 0; i < all.length; i++) {
    const part = toolPart(all[i]);
    if (part !== undefined) parts.push(part);
  }
  return parts;
}

/** Some 0.24 give an empty `toolCalls`: then the calls are those of the results. */
export function callChunks({ toolCalls, toolResults }: Told): readonly unknown[] {
  const calls = list(toolCalls);
  for (let i = 0; i < calls.length; i++) if (toolPart(calls[i]) !== undefined) return calls;
  return list(toolResults);
}

export function callsOf(told: Told): ToolPart[] {
  return toolParts(callChunks(told));
}

/** What is looked at of a result or a step, each read once: by name, so that the engine knows where it stands. */
export interface Told {
  readonly text?: unknown;
  readonly finishReason?: unknown;
  readonly toolCalls?: unknown;
  readonly toolResults?: unknown;
  readonly steps?: unknown;
  readonly stepType?: unknown;
  readonly usage?: unknown;
  readonly totalUsage?: unknown;
  readonly runId?: unknown;
  readonly response?: unknown;
  readonly object?: unknown;
  readonly reasoningText?: unknown;
  readonly warnings?: unknown;
}

const TOLD = [
  "text",
  "finishReason",
  "toolCalls",
  "toolResults",
  "steps",
  "stepType",
  "usage",
  "totalUsage",
  "runId",
  "response",
  "object",
  "reasoningText",
  "warnings",
] as const satisfies (keyof Told)[];

export function toldBy(value: unknown): Told {
  if (!isObject(value)) return {};
  try {
    const { text, finishReason, toolCalls, toolResults, steps, stepType } = value;
    const { usage, totalUsage, runId, response, object, reasoningText, warnings } = value;
    return {
      text,
      finishReason,
      toolCalls,
      toolResults,
      steps,
      stepType,
      usage,
      totalUsage,
      runId,
      response,
      object,
      reasoningText,
      warnings,
    };
  } catch {
    // One of them throws: that one is missing.
    return readable(value, TOLD);
  }
}

/**
 * What a response says of its model: which one answered, else which was asked for; the answer's id; and who provides the
 * model (`openai.responses`).
 */
export interface Model {
  readonly modelId: string | undefined;
  readonly responseId: string | undefined;
  readonly modelProvider: string | undefined;
}

export function modelOf(response: unknown): Model {
  if (!isObject(response)) return NO_MODEL;
  try {
    return modelIn(response, response.modelMetadata);
  } catch {
    // One of its fields throws: that one is missing.
    const asked = field(response, "modelMetadata");
    return modelIn(readable(response, RESPONSE), isObject(asked) ? readable(asked, ASKED) : undefined);
  }
}

const RESPONSE = ["modelId", "id"] as const;
const ASKED = ["modelId", "modelProvider"] as const;

function modelIn({ modelId, id }: Fields, asked: unknown): Model {
  const metadata = isObject(asked) ? asked : {};
  return {
    modelId: text(modelId) ?? text(metadata.modelId),
    responseId: text(id),
    modelProvider: text(metadata.modelProvider),
  };
}

export const NO_MODEL: Model = { modelId: undefined, responseId: undefined, modelProvider: undefined };

/** `openai` of `openai.responses`. */
export function providerOf({ modelProvider }: Model): string | undefined {
  const dot = modelProvider?.indexOf(".") ?? -1;
  return dot < 0 ? modelProvider : modelProvider?.slice(0, dot);
}
