import { AsyncResource } from "node:async_hooks";
import { setTimeout } from "node:timers";
import { now } from "./clock";
import type { Context } from "./context";
import { seeToExit } from "./exit";
import { native } from "./native";

/** Why a span is sent as it stands. */
export type Incomplete = "exit" | "expired";

/** An open span, as far as this file sees to it. */
interface OpenSpan {
  readonly spanId: string;
  readonly traceId: string;
  readonly openedMs: number;
  readonly recording: boolean;
  readonly context: Context;
  /** Its neighbours among the open spans. */
  older: OpenSpan | undefined;
  newer: OpenSpan | undefined;
  finishIncomplete(why: Incomplete, errorMessage: string, endMs?: number): void;
}

/** The longest delay that a timer of Node can have. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * The open spans of this realm: the oldest and the newest of a list. They must all be sent, should the process end or
 * nobody end them.
 */
let oldest: OpenSpan | undefined;
let newest: OpenSpan | undefined;

/** Timers are made in this scope: made in a request's, one would hold that request's async state till it fires. */
const scope = new AsyncResource("FallomOpenSpans", { requireManualDestroy: true });

let timer: NodeJS.Timeout | undefined;

/** From now on, should the process or this thread end, open spans are sent as they stand, before it does. */
export function endWithProcess(): void {
  seeToExit(finishAll);
}

/** Whether no span is open. */
export function isIdle(): boolean {
  return oldest === undefined;
}

/** Sees to it that `span` is sent, whatever happens. */
export function keep(span: OpenSpan): void {
  span.older = newest;
  if (newest === undefined) oldest = span;
  else newest.newer = span;
  newest = span;
  endWithProcess();
  if (timer !== undefined) return;
  try {
    scope.runInAsyncScope(schedule);
  } catch {
    // Without a timer, the exit still ends it.
  }
}

/** The span has ended. */
export function forget(span: OpenSpan): void {
  const { older, newer } = span;
  if (older !== undefined) older.newer = newer;
  else if (oldest === span) oldest = newer;
  if (newer !== undefined) newer.older = older;
  else if (newest === span) newest = older;
  span.older = undefined;
  span.newer = undefined;
}

/** The trace of an open span. */
export function traceIdOf(spanId: string | undefined): string | undefined {
  let span = newest;
  while (span !== undefined && span.spanId !== spanId) span = span.older;
  return span?.traceId;
}

/** What the newest open span is the span of, of those that `is` takes. */
export function newestOwner<R extends object>(is: (owner: object) => owner is R): R | undefined {
  for (let span = newest; span !== undefined; span = span.older) {
    const { owner } = span.context;
    if (owner !== undefined && is(owner)) return owner;
  }
  return undefined;
}

const abandoned = new FinalizationRegistry<OpenSpan>((span) => {
  span.finishIncomplete("expired", "nothing was left that could end the span");
});

/**
 * Ends `span` as it stands once `token` is garbage. For a span that only callbacks can end: let `token` be an
 * object that they hold and nothing else does, `span` and its `witness` least of all.
 */
export function abandonWith(token: object, span: OpenSpan): void {
  if (span.recording) abandoned.register(token, span);
}

function schedule(): void {
  if (oldest === undefined) return;
  const delay = oldest.openedMs + native().maxOpenMs() - now();
  timer = setTimeout(sweep, Math.min(Math.max(delay, 1), MAX_DELAY_MS));
  timer.unref();
}

function sweep(): void {
  timer = undefined;
  const limit = native().maxOpenMs();
  // One end for all, so that no child outlasts its parent.
  const end = now();
  while (oldest !== undefined && oldest.openedMs + limit <= end)
    finishAsItIs(oldest, "expired", `the span was open for ${limit} ms and longer`, end);
  schedule();
}

function finishAsItIs(span: OpenSpan, why: Incomplete, errorMessage: string, endMs: number): void {
  span.finishIncomplete(why, errorMessage, endMs);
  // Whatever became of it, it is not met again.
  forget(span);
}

function finishAll(): void {
  try {
    const end = now();
    while (oldest !== undefined) finishAsItIs(oldest, "exit", "the process ended before the span did", end);
  } catch {
    // The end of the user's process is not ours to disturb.
  }
}
