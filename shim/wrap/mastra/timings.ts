import { putArray, putEnd, putObject, putText } from "../../bytes";
import { putNamed } from "../../values";
import { callsOf, pickUsage } from "./pick";
import { field, text } from "./read";

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
  putNamed("requestStart", 0);
  if (firstTokenMs !== undefined) putNamed("firstTokenTime", since(startMs, firstTokenMs));
  putNamed("responseEnd", since(startMs, endMs));
  putNamed("totalDurationMs", since(startMs, endMs));
  if (streaming) putNamed("isStreaming", true);
  putText("phases");
  putArray();
  putPhases(times);
  putEnd();
  putText("toolTimings");
  putArray();
  for (const tool of tools) putToolTime(tool, startMs);
  putEnd();
  if (steps.length > 0) {
    putText("steps");
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
    putPhase("ttft", "time to first token", 0, since(startMs, firstTokenMs), true);
  let turnStart = startMs;
  for (let i = 0; i < Math.max(1, steps.length); i++) {
    const turnEnd = steps[i]?.endMs ?? endMs;
    let modelEnd = turnEnd;
    for (const tool of tools) {
      if (tool.startMs >= turnStart && tool.startMs < modelEnd) modelEnd = tool.startMs;
    }
    putPhase("llm", "model", since(startMs, turnStart), since(startMs, modelEnd), steps.length > 0);
    turnStart = turnEnd;
  }
  for (const tool of tools) {
    putPhase("tool", tool.name, since(startMs, tool.startMs), since(startMs, tool.endMs), tool.accurate);
  }
}

function putPhase(type: string, label: string, start: number, until: number, accurate: boolean): void {
  const end = Math.max(start, until);
  putObject();
  putNamed("type", type);
  putNamed("label", label);
  putNamed("startMs", start);
  putNamed("endMs", end);
  putNamed("durationMs", end - start);
  putNamed("accurate", accurate);
  putEnd();
}

function putToolTime({ name, startMs, endMs }: ToolTime, runStartMs: number): void {
  putObject();
  putNamed("name", name);
  putNamed("startTime", since(runStartMs, startMs));
  putNamed("endTime", since(runStartMs, endMs));
  putNamed("duration", endMs - startMs);
  putEnd();
}

function putStepTime({ endMs, step }: StepTime, stepIndex: number, runStartMs: number): void {
  putObject();
  putNamed("stepIndex", stepIndex);
  putNamed("stepType", text(field(step, "stepType")));
  putNamed("finishReason", text(field(step, "finishReason")));
  putNamed("timestamp", since(runStartMs, endMs));
  putText("toolCalls");
  putArray();
  for (const { toolCallId, toolName } of callsOf(step)) {
    putObject();
    putNamed("id", toolCallId);
    putNamed("name", toolName);
    putEnd();
  }
  putEnd();
  putNamed("usage", pickUsage(field(step, "usage")));
  putEnd();
}
