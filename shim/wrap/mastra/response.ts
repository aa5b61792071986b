import {
  putAgain,
  putArray,
  putEnd,
  putKeep,
  putName,
  putNumberMember,
  putObject,
  putText,
  putWordMember,
  SHORT,
} from "../../bytes";
import { Name } from "../../names";
import { putKnown, Written } from "../../values";
import {
  callChunks,
  callsOf,
  type Model,
  pickUsage,
  putUsage,
  type Told,
  type ToolPart,
  toldBy,
  toolPart,
} from "./pick";
import { field, list, text } from "./read";

/** The content of an answer, picked: never the whole result, which grows quadratically with its steps. */
export function responseOf(answer: Answer): Written<Answer> {
  return new Written(putResponse, answer);
}

/** A result, what was read of it, and the model that it names. */
export interface Answer {
  readonly result: unknown;
  readonly told: Told;
  readonly model: Model;
}

function putResponse({ result, told, model }: Answer): void {
  putObject();
  if (isAnswer(told)) putAnswer(told, model);
  else putKnown(typeof result === "string" ? Name.text : Name.object, result);
  putEnd();
}

/** A result with none of these is no agent's of Mastra's, and kept whole. */
function isAnswer({ text, finishReason, steps, toolResults, object }: Told): boolean {
  if (text !== undefined || finishReason !== undefined || steps !== undefined) return true;
  return toolResults !== undefined || object !== undefined;
}

function putAnswer(told: Told, { modelId, responseId }: Model): void {
  const kept = new Kept();
  putAnswerText(told.text, kept);
  putKnown(Name.finishReason, told.finishReason);
  putParts(Name.toolCalls, callChunks(told), kept, kept.calls);
  putParts(Name.toolResults, list(told.toolResults), kept, kept.results);
  putName(Name.steps);
  putArray();
  const steps = list(told.steps);
  for (let i = 0; i < steps.length; i++) putStep(toldBy(steps[i]), kept);
  putEnd();
  if (told.object !== null) putKnown(Name.object, told.object);
  putKnown(Name.reasoningText, text(told.reasoningText));
  putKnown(Name.modelId, modelId);
  putKnown(Name.responseId, responseId);
}

/**
 * What an answer tells at its top, and its steps once more: Mastra gives the same objects and texts there (1.71.0), which
 * are written once.
 */
class Kept {
  /** So many values were kept. */
  count = 0;
  text: string | undefined;
  readonly calls: KeptParts = { chunks: [], firstNumber: 0, next: 0 };
  readonly results: KeptParts = { chunks: [], firstNumber: 0, next: 0 };
}

/** Parts that were kept, under numbers one after the other, and which of them a step may tell next. */
interface KeptParts {
  readonly chunks: unknown[];
  firstNumber: number;
  next: number;
}

/** A short text is written again: its number would be no shorter. */
function putAnswerText(value: unknown, kept: Kept): void {
  if (typeof value !== "string" || value.length <= SHORT) {
    putKnown(Name.text, value);
    return;
  }
  putName(Name.text);
  putKeep();
  putText(value);
  kept.text = value;
  kept.count++;
}

function putStep(told: Told, kept: Kept): void {
  putObject();
  putKnown(Name.stepType, told.stepType);
  if (told.text !== undefined && told.text === kept.text) {
    putName(Name.text);
    putAgain(0);
    kept.text = undefined;
  } else putKnown(Name.text, told.text);
  putKnown(Name.finishReason, told.finishReason);
  putPartsOfStep(Name.toolCalls, callChunks(told), kept.calls);
  putPartsOfStep(Name.toolResults, list(told.toolResults), kept.results);
  putUsage(pickUsage(told.usage));
  putKnown(Name.timestamp, field(told.response, "timestamp"));
  putKnown(Name.responseId, text(field(told.response, "id")));
  putEnd();
}

function putParts(name: PartsName, chunks: readonly unknown[], kept: Kept, parts: KeptParts): void {
  parts.firstNumber = kept.count;
  putName(name);
  putArray();
  for (let i = 0; i < chunks.length; i++) {
    const chunk = chunks[i];
    const part = toolPart(chunk);
    if (part === undefined) continue;
    putKeep();
    putPart(name, part);
    parts.chunks.push(chunk);
  }
  putEnd();
  kept.count += parts.chunks.length;
}

function putPartsOfStep(name: PartsName, chunks: readonly unknown[], parts: KeptParts): void {
  putName(name);
  putArray();
  for (let i = 0; i < chunks.length; i++) {
    const chunk = chunks[i];
    if (parts.next < parts.chunks.length && parts.chunks[parts.next] === chunk) {
      putAgain(parts.firstNumber + parts.next++);
    } else {
      const part = toolPart(chunk);
      if (part !== undefined) putPart(name, part);
    }
  }
  putEnd();
}

type PartsName = Name.toolCalls | Name.toolResults;

function putPart(name: PartsName, { toolCallId, toolName, args, result }: ToolPart): void {
  putObject();
  putKnown(Name.toolCallId, toolCallId);
  putKnown(Name.toolName, toolName);
  if (name === Name.toolCalls) {
    putKnown(Name.args, args);
    putWordMember(Name.type, Name["tool-call"]);
  } else {
    putKnown(Name.result, result);
    putWordMember(Name.type, Name["tool-result"]);
  }
  putEnd();
}

/** An allow-list, with nothing of the content in it (`fallom.raw.metadata`). */
export function metadataOf(answer: Answer): Written<Answer> {
  return new Written(putMetadata, answer);
}

function putMetadata({ told, model: { modelId, responseId, modelProvider } }: Answer): void {
  putObject();
  putKnown(Name.finishReason, text(told.finishReason));
  putKnown(Name.modelId, modelId);
  putKnown(Name.responseId, responseId);
  putKnown(Name.modelProvider, modelProvider);
  putNumberMember(Name.stepCount, list(told.steps).length);
  putNumberMember(Name.toolCallCount, callsOf(told).length);
  putNumberMember(Name.warningCount, list(told.warnings).length);
  putEnd();
}
