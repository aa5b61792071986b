/**
 * Tells parallel work from nested work, where the async context cannot: in
 *
 *     await Promise.all(docs.map(async (doc) => { const span = session.span("rank"); … }))
 *
 * each call runs up to its first `await` in the turn of its caller, so the second finds the first one's span open.
 * But it comes from the very same call stack. The function that opened the first span has returned since then, or
 * looped, and either way the first span does not enclose the second.
 */

/** Frames compared; a recursion that opens a span at each level looks like a loop below this depth. */
const FRAMES = 50;

/** Where a span was opened. It holds on to all objects on the stack, so it must not outlive the turn. */
export interface CallSite {
  stack?: unknown;
}

/** Marks this place. It costs some microseconds: the text is made when it is compared. */
export function captureSite(): CallSite {
  const site: CallSite = {};
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = FRAMES;
    Error.captureStackTrace(site);
    Error.stackTraceLimit = limit;
  } catch {
    // A frozen `Error`: no site is like another then.
  }
  return site;
}

/** Whether both were opened by the same place of the same calls. */
export function isSameSite(one: CallSite, other: CallSite): boolean {
  const text = textOf(one);
  return text !== undefined && text === textOf(other);
}

function textOf(site: CallSite): string | undefined {
  const prepare = Error.prepareStackTrace;
  try {
    // Ours for a moment, so that no source maps are read and no code of the user's runs.
    Error.prepareStackTrace = positions;
    return typeof site.stack === "string" ? site.stack : undefined;
  } catch {
    return undefined;
  } finally {
    restore(prepare);
  }
}

function restore(prepare: typeof Error.prepareStackTrace): void {
  try {
    Error.prepareStackTrace = prepare;
  } catch {
    // Frozen: then it was never replaced.
  }
}

function positions(_error: Error, sites: NodeJS.CallSite[]): string {
  return sites.map((at) => `${at.getFileName()}:${at.getLineNumber()}:${at.getColumnNumber()}`).join("\n");
}
