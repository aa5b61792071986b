import { putArray, putEnd, putName, putObject } from "../../bytes";
import { Name } from "../../names";
import { putKnown, Written } from "../../values";
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
export function callsOf({ toolCalls, toolResults }: Told): ToolPart[] {
  const calls = toolParts(toolCalls);
  return calls.length > 0 ? calls : toolParts(toolResults);
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
  "response",
  "object",
  "reasoningText",
  "warnings",
] as const satisfies (keyof Told)[];

export function toldBy(value: unknown): Told {
  if (!isObject(value)) return {};
  try {
    const { text, finishReason, toolCalls, toolResults, steps, stepType } = value;
    const { usage, response, object, reasoningText, warnings } = value;
    return {
      text,
      finishReason,
      toolCalls,
      toolResults,
      steps,
      stepType,
      usage,
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

function readable(value: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, field(value, name)]));
}

/** The content of an answer, picked: never the whole result, which grows quadratically with its steps. */
export function responseOf(result: unknown, model: Model): Written<[unknown, Model]> {
  return new Written(putResponse, [result, model]);
}

function putResponse([result, model]: [unknown, Model]): void {
  const told = toldBy(result);
  putObject();
  if (KNOWN.some((name) => told[name] !== undefined)) putAnswer(told, model);
  else putKnown(typeof result === "string" ? Name.text : Name.object, result);
  putEnd();
}

function putAnswer(told: Told, { modelId, responseId }: Model): void {
  putKnown(Name.text, told.text);
  putKnown(Name.finishReason, told.finishReason);
  putTools(told);
  putName(Name.steps);
  putArray();
  for (const step of list(told.steps)) putStep(toldBy(step));
  putEnd();
  if (told.object !== null) putKnown(Name.object, told.object);
  putKnown(Name.reasoningText, text(told.reasoningText));
  putKnown(Name.modelId, modelId);
  putKnown(Name.responseId, responseId);
}

function putStep(told: Told): void {
  putObject();
  putKnown(Name.stepType, told.stepType);
  putKnown(Name.text, told.text);
  putKnown(Name.finishReason, told.finishReason);
  putTools(told);
  putUsage(pickUsage(told.usage));
  putKnown(Name.timestamp, field(told.response, "timestamp"));
  putKnown(Name.responseId, text(field(told.response, "id")));
  putEnd();
}

function putTools(told: Told): void {
  putName(Name.toolCalls);
  putArray();
  for (const call of callsOf(told)) putPart(call, Name.args, call.args, Name["tool-call"]);
  putEnd();
  putName(Name.toolResults);
  putArray();
  for (const part of toolParts(told.toolResults))
    putPart(part, Name.result, part.result, Name["tool-result"]);
  putEnd();
}

function putPart({ toolCallId, toolName }: ToolPart, content: Name, value: unknown, type: Name): void {
  putObject();
  putKnown(Name.toolCallId, toolCallId);
  putKnown(Name.toolName, toolName);
  putKnown(content, value);
  putName(Name.type);
  putName(type);
  putEnd();
}

/** The model that answered, else the one asked for; the answer's id; and who provides the model (`openai.responses`). */
export interface Model {
  readonly modelId: string | undefined;
  readonly responseId: string | undefined;
  readonly modelProvider: string | undefined;
}

export function modelOf(result: unknown): Model {
  const response = field(result, "response");
  if (!isObject(response)) return NO_MODEL;
  const asked = field(response, "modelMetadata");
  return {
    modelId: text(field(response, "modelId")) ?? text(field(asked, "modelId")),
    responseId: text(field(response, "id")),
    modelProvider: text(field(asked, "modelProvider")),
  };
}

export const NO_MODEL: Model = { modelId: undefined, responseId: undefined, modelProvider: undefined };

/** `openai` of `openai.responses`. */
export function providerOf({ modelProvider }: Model): string | undefined {
  const dot = modelProvider?.indexOf(".") ?? -1;
  return dot < 0 ? modelProvider : modelProvider?.slice(0, dot);
}

/** An allow-list, with nothing of the content in it (`fallom.raw.metadata`). */
export function metadataOf(result: unknown, model: Model): Written<[unknown, Model]> {
  return new Written(putMetadata, [result, model]);
}

function putMetadata([result, { modelId, responseId, modelProvider }]: [unknown, Model]): void {
  const told = toldBy(result);
  putObject();
  putKnown(Name.finishReason, text(told.finishReason));
  putKnown(Name.modelId, modelId);
  putKnown(Name.responseId, responseId);
  putKnown(Name.modelProvider, modelProvider);
  putKnown(Name.stepCount, list(told.steps).length);
  putKnown(Name.toolCallCount, callsOf(told).length);
  putKnown(Name.warningCount, list(told.warnings).length);
  putEnd();
}
