// How likely a task ends before its deadline, taking what is uncertain about its start and its service as
// normally distributed. It never claims certainty: 0.99 is the most anyone may promise about the future.

const certain = 0.99;

export function onTimeProbability(finishAtMs: number, deadlineAtMs: number, varianceMs2: number): number {
  const slack = deadlineAtMs - finishAtMs;
  if (varianceMs2 <= 0) return slack >= 0 ? certain : 0;
  return Math.min(certain, normalCdf(slack / Math.sqrt(varianceMs2)));
}

/** Logistic approximation of the normal distribution; its error stays below 0.0002. */
function normalCdf(z: number): number {
  return 1 / (1 + Math.exp(-1.5976 * z - 0.07056 * z ** 3));
}
