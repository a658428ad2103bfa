/** Calls a function again and again until the server is reachable. */

const [FIRST_DELAY, MAX_DELAY, DELAY_FACTOR] = [500, 5000, 1.5]; // the delays are in milliseconds

let isRetrying = false;

/**
 * Calls `load` with growing delays until the server answers, even if it refuses the request.
 * @param {() => Promise<any>} load rejects with a `ProblemError` while the server is unreachable
 * @returns {Promise<boolean>} whether it was called; false if an earlier call is still retrying
 */
export async function retryUntilReachable(load) {
  if (isRetrying) return false;
  isRetrying = true;
  for (let delay = FIRST_DELAY; isRetrying; delay = Math.min(delay * DELAY_FACTOR, MAX_DELAY)) {
    await new Promise((resolve) => setTimeout(resolve, delay));
    isRetrying = await isUnreachable(load);
  }
  return true;
}

async function isUnreachable(load) {
  try {
    await load();
    return false;
  } catch (error) {
    return Boolean(error.problem?.mayBeDown);
  }
}
