/** Waiting for a server that is away, by asking for its documents until they come. */

const [FIRST, LONGEST, GROWTH] = [500, 5000, 1.5]; // milliseconds

let isWaiting = false;

/**
 * Call `read` until it is answered, be it with a refusal.
 * @param {() => Promise<any>} read
 * @returns {Promise<boolean>} false if somebody waits already
 */
export async function waitFor(read) {
  if (isWaiting) return false;
  isWaiting = true;
  for (let pause = FIRST; isWaiting; pause = Math.min(pause * GROWTH, LONGEST)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    isWaiting = await isAway(read);
  }
  return true;
}

async function isAway(read) {
  try {
    await read();
    return false;
  } catch (error) {
    return Boolean(error.problem?.isAway);
  }
}
