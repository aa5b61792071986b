import { AsyncResource } from "node:async_hooks";
import { setTimeout } from "node:timers";
import type { Context } from "../../context";
import type { AgentRun } from "./run";

/** Runs that are open in this realm, by span and by Mastra's id of them: an index of live objects, nothing is queued. */
const bySpan = new Map<string, AgentRun>();
const byRunId = new Map<string, AgentRun>();

/** Timers are made in a scope of their own: made in a request's, one would hold that request's async state. */
const scope = new AsyncResource("FallomAgentRun", { requireManualDestroy: true });

/**
 * A suspended stream tells nobody but its status, which may be read: when a call of a tool was asked for and does not
 * start, it is looked at after these waits, in ms.
 */
const LOOKS_MS = [20, 100, 500, 2000, 10_000];

export function keepRun(run: AgentRun): void {
  bySpan.set(run.span.spanId, run);
}

/** Mastra has given the run its id. */
export function nameRun(runId: string, run: AgentRun): void {
  if (isLive(run)) byRunId.set(runId, run);
}

/** The run is over. Says whether it was open till now. */
export function forgetRun(run: AgentRun, runId: string | undefined): boolean {
  if (runId !== undefined && byRunId.get(runId) === run) byRunId.delete(runId);
  return bySpan.delete(run.span.spanId);
}

export function isLive(run: AgentRun): boolean {
  return bySpan.has(run.span.spanId);
}

export function runById(runId: string | undefined): AgentRun | undefined {
  return runId === undefined ? undefined : byRunId.get(runId);
}

/** The run of which this span is the agent's own. */
export function runOf(context: Context | undefined): AgentRun | undefined {
  return context && bySpan.get(context.spanId);
}

/** Whether an agent runs around this place, at whatever distance. */
export function isInsideAgent(context: Context | undefined): boolean {
  for (let at = context; at !== undefined; at = at.outer) if (bySpan.has(at.spanId)) return true;
  return false;
}

/** Looks at a run again and again, ever more seldom, until `found` says so or the run is over. */
export function lookAgain(run: AgentRun, found: () => boolean, onEnd: () => void): void {
  const look = (at: number): void => {
    const wait = LOOKS_MS[at];
    if (wait === undefined || !isLive(run)) onEnd();
    else setTimeout(() => (found() ? onEnd() : look(at + 1)), wait).unref();
  };
  scope.runInAsyncScope(look, undefined, 0);
}
