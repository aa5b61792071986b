import { callsOf, pickUsage } from "./pick";
import { type Fields, field, text } from "./read";

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

/** The waterfall (`fallom.raw.timings`, wire.md): ms from the start of the request. Holds names, never content. */
export function timingsOf(times: RunTimes): Fields {
  const since = (ms: number): number => Math.max(0, ms - times.startMs);
  const total = since(times.endMs);
  const first = times.firstTokenMs === undefined ? undefined : since(times.firstTokenMs);
  return {
    requestStart: 0,
    ...(first !== undefined && { firstTokenTime: first }),
    responseEnd: total,
    totalDurationMs: total,
    ...(times.streaming && { isStreaming: true }),
    phases: phasesOf(times, since),
    toolTimings: times.tools.map(({ name, startMs, endMs }) => ({
      name,
      startTime: since(startMs),
      endTime: since(endMs),
      duration: endMs - startMs,
    })),
    ...(times.steps.length > 0 && { steps: times.steps.map((step, at) => stepJson(step, at, since)) }),
  };
}

/** The model's turns, each up to its first tool, and the tools. A step that was not seen makes a turn a guess. */
function phasesOf(
  { startMs, endMs, firstTokenMs, steps, tools }: RunTimes,
  since: (ms: number) => number,
): Fields[] {
  const phases: Fields[] = [];
  const add = (type: string, label: string, start: number, end: number, accurate: boolean): void => {
    const [startAt, endAt] = [since(start), Math.max(since(start), since(end))];
    phases.push({ type, label, startMs: startAt, endMs: endAt, durationMs: endAt - startAt, accurate });
  };
  if (firstTokenMs !== undefined) add("ttft", "time to first token", startMs, firstTokenMs, true);
  let turnStart = startMs;
  for (const turnEnd of steps.length > 0 ? steps.map((step) => step.endMs) : [endMs]) {
    const inTurn = tools.filter((tool) => tool.startMs >= turnStart && tool.startMs <= turnEnd);
    const firstTool = Math.min(turnEnd, ...inTurn.map((tool) => tool.startMs));
    add("llm", "model", turnStart, firstTool, steps.length > 0);
    turnStart = turnEnd;
  }
  for (const tool of tools) add("tool", tool.name, tool.startMs, tool.endMs, tool.accurate);
  return phases;
}

function stepJson({ endMs, step }: StepTime, stepIndex: number, since: (ms: number) => number): Fields {
  return {
    stepIndex,
    stepType: text(field(step, "stepType")),
    finishReason: text(field(step, "finishReason")),
    timestamp: since(endMs),
    toolCalls: callsOf(step).map(({ toolCallId, toolName }) => ({ id: toolCallId, name: toolName })),
    usage: pickUsage(field(step, "usage")),
  };
}
