import {
  putArray,
  putBoolean,
  putEnd,
  putName,
  putNumberMember,
  putObject,
  putText,
  putWordMember,
} from "../../bytes";
import { Name } from "../../names";
import { putKnown } from "../../values";
import { callsOf, putUsage, type Told, type Usage } from "./pick";
import { text } from "./read";

/** A tool's execution, in ms since 1970. */
export interface ToolTime {
  name: string;
  startMs: number;
  endMs: number;
  /** Whether the tool itself was timed. */
  accurate: boolean;
}

/** A step of the run as its callback told it. */
export interface StepTime {
  endMs: number;
  step: unknown;
  told: Told;
  usage: Usage | undefined;
}

/** What is known of a run's time. */
export interface RunTimes {
  startMs: number;
  endMs: number;
  firstTokenMs: number | undefined;
  streaming: boolean;
  steps: readonly StepTime[];
  tools: readonly ToolTime[];
}

/**
 * Writes the waterfall (`fallom.raw.timings`, wire.md): ms from the start of the request. Holds names, never content.
 */
export function putTimings(times: RunTimes): void {
  const { startMs, endMs, firstTokenMs, streaming, steps, tools } = times;
  putObject();
  putNumberMember(Name.requestStart, 0);
  if (firstTokenMs !== undefined) putNumberMember(Name.firstTokenTime, since(startMs, firstTokenMs));
  putNumberMember(Name.responseEnd, since(startMs, endMs));
  putNumberMember(Name.totalDurationMs, since(startMs, endMs));
  if (streaming) putKnown(Name.isStreaming, true);
  putName(Name.phases);
  putArray();
  putPhases(times);
  putEnd();
  putName(Name.toolTimings);
  putArray();
  for (const tool of tools) putToolTime(tool, startMs);
  putEnd();
  if (steps.length > 0) {
    putName(Name.steps);
    putArray();
    for (let i = 0; i < steps.length; i++) putStepTime(steps[i] as StepTime, i, startMs);
    putEnd();
  }
  putEnd();
}

function since(startMs: number, ms: number): number {
  return Math.max(0, ms - startMs);
}

/** The model's turns, each up to its first tool, and the tools. A step that was not seen makes a turn a guess. */
function putPhases({ startMs, endMs, firstTokenMs, steps, tools }: RunTimes): void {
  if (firstTokenMs !== undefined)
    putPhase(Name.ttft, Name["time to first token"], 0, since(startMs, firstTokenMs), true);
  let turnStart = startMs;
  for (let i = 0; i < Math.max(1, steps.length); i++) {
    const turnEnd = steps[i]?.endMs ?? endMs;
    let modelEnd = turnEnd;
    for (const tool of tools) {
      if (tool.startMs >= turnStart && tool.startMs < modelEnd) modelEnd = tool.startMs;
    }
    putPhase(Name.llm, Name.model, since(startMs, turnStart), since(startMs, modelEnd), steps.length > 0);
    turnStart = turnEnd;
  }
  for (const tool of tools) {
    putPhase(Name.tool, tool.name, since(startMs, tool.startMs), since(startMs, tool.endMs), tool.accurate);
  }
}

function putPhase(type: Name, label: Name | string, start: number, until: number, accurate: boolean): void {
  const end = Math.max(start, until);
  putObject();
  putWordMember(Name.type, type);
  if (typeof label === "string") {
    putName(Name.label);
    putText(label);
  } else putWordMember(Name.label, label);
  putNumberMember(Name.startMs, start);
  putNumberMember(Name.endMs, end);
  putNumberMember(Name.durationMs, end - start);
  putName(Name.accurate);
  putBoolean(accurate);
  putEnd();
}

function putToolTime({ name, startMs, endMs }: ToolTime, runStartMs: number): void {
  putObject();
  putKnown(Name.name, name);
  putNumberMember(Name.startTime, since(runStartMs, startMs));
  putNumberMember(Name.endTime, since(runStartMs, endMs));
  putNumberMember(Name.duration, endMs - startMs);
  putEnd();
}

function putStepTime({ endMs, told, usage }: StepTime, stepIndex: number, runStartMs: number): void {
  putObject();
  putNumberMember(Name.stepIndex, stepIndex);
  putKnown(Name.stepType, text(told.stepType));
  putKnown(Name.finishReason, text(told.finishReason));
  putNumberMember(Name.timestamp, since(runStartMs, endMs));
  putName(Name.toolCalls);
  putArray();
  for (const { toolCallId, toolName } of callsOf(told)) {
    putObject();
    putKnown(Name.id, toolCallId);
    putKnown(Name.name, toolName);
    putEnd();
  }
  putEnd();
  putUsage(usage);
  putEnd();
}
