import { performance } from "node:perf_hooks";

/** Below this, a difference to the wall clock is jitter, and moving the anchor would only reorder spans. */
const DRIFT_MS = 100;

let anchor = Date.now() - performance.now();

/** ms since 1970, whole; never runs backwards while a span is open, so a child lies inside its parent. */
export function now(): number {
  return Math.floor(anchor + performance.now());
}

/** ms that only ever grow, for measuring what lasts. */
export function ticks(): number {
  return performance.now();
}

/**
 * Puts the anchor right after the machine slept or the wall clock was set. To be called only while no span is
 * open: inside a span, a new anchor would move its children out of it.
 */
export function settleClock(): void {
  const fresh = Date.now() - performance.now();
  if (Math.abs(fresh - anchor) > DRIFT_MS) anchor = fresh;
}
