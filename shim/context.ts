import { AsyncLocalStorage } from "node:async_hooks";
import { type CallSite, isSameSite } from "./call-site";

/** A span as what runs inside it sees it. Small on purpose: timers and sockets of the user may hold it for long. */
export interface Context {
  readonly traceId: string;
  readonly spanId: string;
  readonly startMs: number;
  /** The session id that the span belongs to. */
  readonly sessionId: string;
  /** False once the span has ended; then it is nobody's parent any more. */
  open: boolean;
  /** What was current when the span started. */
  outer: Context | undefined;
  /** Entered by `session.span` and not run around a function: what merely follows sees it, too. */
  readonly entered: boolean;
  /** Where it was entered, as long as the turn of the event loop lasts. */
  site: CallSite | undefined;
}

/** One storage a realm, even where two copies of this package are loaded. */
const KEY = Symbol.for("fallom.trace.context.1");
const shared = globalThis as unknown as { [KEY]?: AsyncLocalStorage<Context | undefined> };
shared[KEY] ??= new AsyncLocalStorage<Context | undefined>();
const storage: AsyncLocalStorage<Context | undefined> = shared[KEY];

/**
 * The innermost span that is open here, or `undefined`.
 *
 * An entered span is a parent for its own session only. `session.span` cannot tell what it encloses from what its
 * caller starts next, so among requests begun in one turn of the event loop (`Promise.all`) the second would find
 * the first one's span. Requests have sessions of their own; that keeps them apart.
 */
export function current(sessionId?: string): Context | undefined {
  return visible(storage.getStore(), sessionId);
}

function visible(from: Context | undefined, sessionId: string | undefined): Context | undefined {
  let context = from;
  while (context !== undefined && !(context.open && (!context.entered || context.sessionId === sessionId))) {
    context = context.outer;
  }
  return context;
}

/** Runs `fn` inside `context`; the value and the throw of `fn` come through intact. */
export function runIn<R>(context: Context, fn: () => R): R {
  return storage.run(context, fn);
}

/** As `runIn`, for a function with a `this` and arguments. */
export function applyIn<R>(context: Context, fn: (...args: never[]) => R, self: unknown, args: unknown[]): R {
  return storage.run(context, Reflect.apply, fn, self, args) as R;
}

/** The most sites that are kept; each holds on to a call stack. */
const MAX_FRESH = 256;

/** Contexts entered in this turn of the event loop. */
const fresh: Context[] = [];

/** What follows in this async scope runs inside `context`, until `leave`. */
export function enter(context: Context): void {
  storage.enterWith(context);
  if (context.site === undefined) return;
  // A turn may be long: what it opened first is no sibling of what comes so much later.
  if (fresh.length >= MAX_FRESH) forgetSites();
  if (fresh.push(context) === 1) Promise.resolve().then(forgetSites);
}

/**
 * What encloses a span that starts here: the current one, but for a span entered in parallel, by the same `site`,
 * whatever encloses that one.
 */
export function enclosing(sessionId: string, site: CallSite | undefined): Context | undefined {
  const innermost = current(sessionId);
  if (site === undefined) return innermost;
  for (let at = innermost; at?.site !== undefined; at = at.outer) {
    if (isSameSite(at.site, site)) return visible(at.outer, sessionId);
  }
  return innermost;
}

function forgetSites(): void {
  for (const context of fresh.splice(0)) context.site = undefined;
}

/** Ends `context`, wherever it is still seen; where it is current, its outer one is current again. */
export function leave(context: Context): void {
  context.open = false;
  context.site = undefined;
  let outer = context.outer;
  while (outer !== undefined && !outer.open) outer = outer.outer;
  // Kept short: spans that overlap for ever, each opened inside the last one, must not chain up.
  context.outer = outer;
  if (storage.getStore() === context) storage.enterWith(outer);
}
