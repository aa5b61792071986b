// The usual test report, without what Mastra writes to stderr about the failures that tests are about. What a file with
// a failing test wrote is shown at the end.

import { Readable } from "node:stream";
import { spec as Spec } from "node:test/reporters";

export default async function* report(events) {
  const said = new Map();
  const failed = new Set();
  yield* Readable.from(quiet(events, said, failed)).pipe(new Spec());
  for (const file of failed) if (said.has(file)) yield `\nstderr of ${file}:\n${said.get(file).join("")}`;
}

async function* quiet(events, said, failed) {
  for await (const event of events) {
    const { file } = event.data;
    if (event.type === "test:fail") failed.add(file);
    if (event.type !== "test:stderr") yield event;
    else if (said.has(file)) said.get(file).push(event.data.message);
    else said.set(file, [event.data.message]);
  }
}
