import { types } from "node:util";
import { native } from "./native";
import type { Diagnostic } from "./types";

/** What `init` was given. */
type Listener = (event: Diagnostic) => unknown;

/** The listener of this realm. */
let listener: Listener | undefined;

/** From now on, events go to `next` and no longer to the listener before it. Returns what takes that back. */
export function listen(next: Listener): () => void {
  const before = listener;
  hear(next);
  return () => hear(before);
}

function hear(next: Listener | undefined): void {
  listener = next;
  native().onDiagnostic(next && ((event) => tell(next, event)));
}

/** What the user's function throws, or rejects with, is not repeated: it may quote anything. */
function tell(to: Listener, event: string): void {
  try {
    const result = to(JSON.parse(event) as Diagnostic);
    if (types.isPromise(result)) Promise.prototype.then.call(result, undefined, complain);
  } catch {
    complain();
  }
}

/** A warning is an event, too; said once, it comes back here once at most. */
function complain(): void {
  native().warn("onDiagnostic threw; what it throws is ignored");
}
