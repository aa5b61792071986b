// The floors: no tracing; and one JSON.stringify, of what is kept of the run or of a span, or of all that Mastra gives.
// What is turned into text of a recorded run is picked before, so this is the stringify alone.

import { picked } from "../support/record.mjs";

const nothing = async () => {};
const floor = (generate, span = () => {}) => ({ generate, span, flush: nothing, shutdown: nothing });
const bare = (agent, messages, options) => agent.generate(messages, options);

let text;

export const start = () => floor(bare);

export const startKept = () =>
  floor(
    async (agent, messages, options, kept) => {
      const result = await bare(agent, messages, options);
      text = JSON.stringify(kept ?? { request: messages, response: picked(result) });
      return result;
    },
    (input, output) => {
      text = JSON.stringify({ input, output });
    },
  );

export const startWhole = () =>
  floor(async (agent, messages, options) => {
    const result = await bare(agent, messages, options);
    text = JSON.stringify(result);
    return result;
  });

/** So that no compiler leaves the stringify out. */
export const last = () => text;
