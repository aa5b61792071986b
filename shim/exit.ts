import { native } from "./native";

/** The signals that end a process which does not listen to them, and that the core lets through once all is sent. */
const SIGNALS: ReadonlySet<unknown> = new Set(["SIGTERM", "SIGINT", "SIGHUP"]);

/** Marks the listeners that are to be last, of any copy of this package in the process (from 0.1.0 on). */
const LAST = Symbol.for("fallom.trace.last");

let seenTo = false;

/**
 * Sees to it that the process, or this thread of it, ends only when all is delivered, within `exitTimeoutMs`.
 * `finishOpen` ends the open spans of this thread as they stand; it must not throw.
 */
export function seeToExit(finishOpen: () => void): void {
  if (seenTo) return;
  const isMain = isMainThread();
  try {
    if (!native().seeToExit(isMain, finishOpen)) return;
  } catch {
    // The `exit` event is left.
  }
  seenTo = true;
  atExit(() => {
    finishOpen();
    native().drain();
  });
  if (isMain) process.on("removeListener", takeSignalBack);
}

/** Its module is loaded with `init`: it brings Node's streams along, 2 ms that a mere `require` should not take. */
function isMainThread(): boolean {
  return (require("node:worker_threads") as typeof import("node:worker_threads")).isMainThread;
}

/**
 * Calls `leave` at the `exit` event, after the user's own listeners, which may still end spans. Nothing asynchronous
 * runs any more then, but the core's thread does: it delivers while we wait.
 */
function atExit(leave: (() => void) & { [LAST]?: true }): void {
  leave[LAST] = true;
  const last = (): void => {
    process.off("exit", leave);
    process.on("exit", leave);
  };
  last();
  process.on("newListener", (event, listener: { [LAST]?: true }) => {
    // It is not in the list yet. Another copy's comes last, too: each would go behind the other without end.
    if (event === "exit" && listener[LAST] !== true) queueMicrotask(last);
  });
}

/** With its last listener gone, Node gives a signal its default action back, and with it the loss of all spans. */
function takeSignalBack(event: unknown): void {
  if (SIGNALS.has(event) && process.listenerCount(event as NodeJS.Signals) === 0) native().armSignals();
}
