import { putArray, putBoolean, putEnd, putName, putNumber, putObject, putText } from "../../bytes";
import { Name } from "../../names";
import { putKnown } from "../../values";
import { callsOf, putUsage, toldBy, type Usage } from "./pick";
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
  putMs(Name.requestStart, 0);
  if (firstTokenMs !== undefined) putMs(Name.firstTokenTime, since(startMs, firstTokenMs));
  putMs(Name.responseEnd, since(startMs, endMs));
  putMs(Name.totalDurationMs, since(startMs, endMs));
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

function putMs(name: Name, ms: number): void {
  putName(name);
  putNumber(ms);
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
  putName(Name.type);
  putName(type);
  putName(Name.label);
  if (typeof label === "string") putText(label);
  else putName(label);
  putMs(Name.startMs, start);
  putMs(Name.endMs, end);
  putMs(Name.durationMs, end - start);
  putName(Name.accurate);
  putBoolean(accurate);
  putEnd();
}

function putToolTime({ name, startMs, endMs }: ToolTime, runStartMs: number): void {
  putObject();
  putKnown(Name.name, name);
  putMs(Name.startTime, since(runStartMs, startMs));
  putMs(Name.endTime, since(runStartMs, endMs));
  putMs(Name.duration, endMs - startMs);
  putEnd();
}

function putStepTime({ endMs, step, usage }: StepTime, stepIndex: number, runStartMs: number): void {
  const told = toldBy(step);
  putObject();
  putMs(Name.stepIndex, stepIndex);
  putKnown(Name.stepType, text(told.stepType));
  putKnown(Name.finishReason, text(told.finishReason));
  putMs(Name.timestamp, since(runStartMs, endMs));
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
