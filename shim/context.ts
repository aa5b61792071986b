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
  /** What the span is the span of, as long as that is under way; only who sets it reads it. */
  owner: object | undefined;
}

/** One storage a realm, even where two copies of this package are loaded. */
const KEY = Symbol.for("fallom.trace.context.1");
const shared = globalThis as unknown as { [KEY]?: AsyncLocalStorage<Context | undefined> };
shared[KEY] ??= new AsyncLocalStorage<Context | undefined>();
const storage: AsyncLocalStorage<Context | undefined> = shared[KEY];

/** How far out a parent is sought; only work begun and never awaited, again and again, leads further. */
const MAX_STEPS = 32;

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

/** `from`, or the next one out, that is open and a parent for this session. */
export function visible(from: Context | undefined, sessionId: string | undefined): Context | undefined {
  let context = from;
  for (let steps = 0; context !== undefined && steps < MAX_STEPS; steps++) {
    if (context.open && (!context.entered || context.sessionId === sessionId)) return context;
    context = context.outer;
  }
  return undefined;
}

/** `from`, or the next one out, that is open. */
export function firstOpen(from: Context | undefined): Context | undefined {
  let context = from;
  while (context !== undefined && !context.open) context = context.outer;
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

/** The innermost context that is open here, of whatever session. */
export function innermost(): Context | undefined {
  return firstOpen(storage.getStore());
}

/**
 * The context around one that is entered at `site`, with `innermost` open. Where that one was entered by the same site, in
 * parallel, it is what is around that one.
 */
export function surrounding(innermost: Context | undefined, site: CallSite): Context | undefined {
  for (let at = innermost; at?.site !== undefined; at = at.outer) {
    if (isSameSite(at.site, site)) return firstOpen(at.outer);
  }
  return innermost;
}

function forgetSites(): void {
  for (const context of fresh.splice(0)) context.site = undefined;
}

/** Ends `context`, wherever it is still seen: what starts there from now on belongs to what is around it. */
export function leave(context: Context): void {
  context.open = false;
  context.site = undefined;
  // Kept short: spans that overlap for ever, each opened inside the last one, must not chain up.
  context.outer = firstOpen(context.outer);
}
