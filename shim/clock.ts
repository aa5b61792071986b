/** Below this, a difference to the wall clock is jitter, and moving the anchor would only reorder spans. */
const DRIFT_MS = 100;

let timer: typeof performance | undefined;
/** What `ticks` must be added to for the wall clock. */
let anchor: number | undefined;

/** ms since 1970, whole; never runs backwards while a span is open, so a child lies inside its parent. */
export function now(): number {
  anchor ??= Date.now() - ticks();
  return Math.floor(anchor + ticks());
}

/** ms that only ever grow, for measuring what lasts. */
export function ticks(): number {
  // Loaded when a time is asked for: it takes 1 ms, which a mere `require` of this package should not.
  timer ??= (require("node:perf_hooks") as typeof import("node:perf_hooks")).performance;
  return timer.now();
}

/**
 * As `now`, with the anchor put right after the machine slept or the wall clock was set. To be called only while no span
 * is open: inside a span, a new anchor would move its children out of it.
 */
export function settledNow(): number {
  const passed = ticks();
  const fresh = Date.now() - passed;
  if (anchor === undefined || Math.abs(fresh - anchor) > DRIFT_MS) anchor = fresh;
  return Math.floor(anchor + passed);
}

/** Whole, and no less than 0; `undefined` for what is no time. */
export function wholeMs(ms: number | undefined): number | undefined {
  return ms !== undefined && Number.isFinite(ms) ? Math.max(0, Math.floor(ms)) : undefined;
}
