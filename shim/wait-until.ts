import { types } from "node:util";
import { ticks } from "./clock";
import { flushInBackground } from "./flush";
import { native } from "./native";
import { className } from "./thrown";
import type { WaitUntil } from "./types";

/**
 * Where platforms keep the request at hand: Next.js and who hosts it (Netlify, OpenNext), and Vercel. `get()` gives the
 * request, or nothing outside of one.
 */
const CONTEXTS = ["@next/request-context", "@vercel/request-context"].map((name) => Symbol.for(name));
/** Where OpenNext keeps Cloudflare's request: a getter, whose `ctx` has the method. */
const CLOUDFLARE = Symbol.for("__cloudflare-context__");

/** To ask what is global takes half a microsecond each time. */
const LOOK_AGAIN_MS = 100;

interface Request {
  readonly waitUntil?: unknown;
}
type Globals = Record<symbol, ({ get?: () => Request | undefined } & { ctx?: Request }) | undefined>;

/** Whom to tell, and as whose method. */
interface Target {
  readonly waitUntil: WaitUntil;
  readonly of: unknown;
}

/** What `init` was given in this realm. */
let general: WaitUntil | undefined;
/** The flush that the spans of this turn of the event loop share, and whom it was given to. */
let flushing: { readonly done: Promise<void>; readonly told: Target[] } | undefined;
let found = false;
/** Where no platform was found, there is none until then: it is there before the code that it runs. */
let nowhereUntil = 0;

/** From now on, `waitUntil` is told where the session has none of its own. */
export function waitWith(waitUntil: WaitUntil): void {
  general = waitUntil;
}

/**
 * A span has ended that is nobody's child here: asks the platform, if there is one, not to stop the process until all
 * that has ended is delivered, 5 s at most. Never throws.
 *
 * @param own what the span's session was given
 */
export function waitForDelivery(own: WaitUntil | undefined): void {
  try {
    const target = targetOf(own);
    if (target !== undefined) tell(target);
  } catch (error) {
    complain(error);
  }
}

function targetOf(own: WaitUntil | undefined): Target | undefined {
  const given = own ?? general;
  if (given !== undefined) return { waitUntil: given, of: undefined };
  return ticks() < nowhereUntil ? undefined : platforms();
}

function platforms(): Target | undefined {
  const globals = globalThis as unknown as Globals;
  // Whether it is there, not what it gives: outside of a request that may be nothing.
  if (!(CLOUDFLARE in globals) && !CONTEXTS.some((context) => context in globals)) {
    nowhereUntil = ticks() + LOOK_AGAIN_MS;
    return undefined;
  }
  for (const context of CONTEXTS) {
    const target = methodOf(globals[context]?.get?.());
    if (target !== undefined) return target;
  }
  return methodOf(globals[CLOUDFLARE]?.ctx);
}

function methodOf(request: Request | undefined): Target | undefined {
  const waitUntil = request?.waitUntil;
  if (typeof waitUntil !== "function") return undefined;
  if (!found)
    native().debug("waitUntil was found in the platform's request: it is told of each trace that ends");
  found = true;
  return { waitUntil: waitUntil as WaitUntil, of: request };
}

function tell(target: Target): void {
  flushing ??= { done: flushSoon(), told: [] };
  const { done, told } = flushing;
  if (told.some(({ waitUntil, of }) => waitUntil === target.waitUntil && of === target.of)) return;
  told.push(target);
  const result: unknown = target.waitUntil.call(target.of, done);
  if (types.isPromise(result)) Promise.prototype.then.call(result, undefined, complain);
}

/** At the end of the turn, so that one flush takes all that end in it. Never rejects. */
async function flushSoon(): Promise<void> {
  await undefined;
  flushing = undefined;
  await flushInBackground();
}

/** Not with the error's own words: they may quote anything. */
function complain(error: unknown): void {
  native().warn(`waitUntil failed (${className(error)}): the platform may stop before all is delivered`);
}
