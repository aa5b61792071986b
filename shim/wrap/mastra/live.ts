import { AsyncResource } from "node:async_hooks";
import { setTimeout } from "node:timers";
import type { Context } from "../../context";
import { newestOwner } from "../../open-spans";

/** A run, as far as it is found again here. */
interface Run {
  readonly span: { readonly context: Context };
  /** Mastra's id of it, once that is known. */
  readonly runId: string | undefined;
}

/** Timers are made in a scope of their own: made in a request's, one would hold that request's async state. */
const scope = new AsyncResource("FallomAgentRun", { requireManualDestroy: true });

/**
 * A suspended stream tells nobody but its status, which may be read: when a call of a tool was asked for and does not
 * start, it is looked at after these waits, in ms.
 */
const LOOKS_MS = [20, 100, 500, 2000, 10_000];

/** The runs that are open in this realm, each by its span. */
export class LiveRuns<R extends Run> {
  /** `isRun`: of this realm and this copy of the package, which others share the contexts with. */
  constructor(private readonly isRun: (owner: object) => owner is R) {}

  keep(run: R): void {
    run.span.context.owner = run;
  }

  /** The run is over. Says whether it was open till now. */
  forget(run: R): boolean {
    const wasOpen = this.has(run);
    if (wasOpen) run.span.context.owner = undefined;
    return wasOpen;
  }

  has(run: R): boolean {
    return run.span.context.owner === run;
  }

  /** By Mastra's id of the run. Seldom asked for: an index would cost every run more than it saves a few. */
  byId(runId: string | undefined): R | undefined {
    if (runId === undefined) return undefined;
    return newestOwner((owner): owner is R => this.isRun(owner) && owner.runId === runId);
  }

  /** The run of which this span is the agent's own. */
  of(context: Context | undefined): R | undefined {
    const owner = context?.owner;
    return owner !== undefined && this.isRun(owner) ? owner : undefined;
  }

  /** Whether an agent runs around this place, at whatever distance. */
  isAround(context: Context | undefined): boolean {
    for (let at = context; at !== undefined; at = at.outer) if (this.of(at) !== undefined) return true;
    return false;
  }

  /** Looks at a run again and again, ever more seldom, until `found` says so or the run is over. */
  lookAgain(run: R, found: () => boolean, onEnd: () => void): void {
    const look = (at: number): void => {
      const wait = LOOKS_MS[at];
      if (wait === undefined || !this.has(run)) onEnd();
      else setTimeout(() => (found() ? onEnd() : look(at + 1)), wait).unref();
    };
    scope.runInAsyncScope(look, undefined, 0);
  }
}
