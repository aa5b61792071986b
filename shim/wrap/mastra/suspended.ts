import { native } from "../../native";
import { quietly } from "./read";

/** Where a run that was suspended stands in its trace, so that what resumes it goes on there. */
export interface SuspendedRun {
  traceId: string;
  /** The span around the run, if there was one. */
  parentSpanId?: string | undefined;
  /** The prompt that the run was given. */
  promptJson?: string | undefined;
  /** Tool calls that have their span already, by id. */
  seen: string[];
  /** Tool calls that were asked for and have not started, by id. */
  waiting: string[];
}

/** One table a process, bounded; it is the core's. */
export function rememberSuspended(runId: string, run: SuspendedRun): void {
  quietly(() => native().rememberRun(runId, JSON.stringify(run)));
}

export function recallSuspended(runId: string | undefined): SuspendedRun | undefined {
  if (runId === undefined) return undefined;
  return quietly(() => JSON.parse(native().recallRun(runId)) as SuspendedRun | null) ?? undefined;
}
