// A straight line through measurements, newer ones counting more: y ≈ base + slope · x, with the variance of
// what the line does not explain. Plain data that is changed in place: it is learnt from at the end of every
// attempt, and travels with a snapshot.

export interface Trend {
  weight: number;
  x: number;
  y: number;
  xx: number;
  xy: number;
  /** Mean square of the residuals. */
  variance: number;
}

export function newTrend(): Trend {
  return { weight: 0, x: 0, y: 0, xx: 0, xy: 0, variance: 0 };
}

/** What a measurement keeps of its weight when the next one comes. */
const memory = 0.95;

export function learn(trend: Trend, x: number, y: number): void {
  const residual = trend.weight === 0 ? 0 : y - predict(trend, x);
  const share = Math.max(1 - memory, 1 / (trend.weight + 1));
  trend.variance = trend.variance * (1 - share) + residual * residual * share;
  trend.weight = trend.weight * memory + 1;
  trend.x = trend.x * memory + x;
  trend.y = trend.y * memory + y;
  trend.xx = trend.xx * memory + x * x;
  trend.xy = trend.xy * memory + x * y;
}

/** Neither part of the line is ever negative: work takes time, and more work takes more. */
export function predict({ weight, x: sumX, y: sumY, xx, xy }: Trend, x: number): number {
  if (weight === 0) return 0;
  const spread = weight * xx - sumX * sumX;
  if (spread <= 1e-9 * weight * xx) return sumX > 0 ? (sumY / sumX) * x : sumY / weight;
  const slope = (weight * xy - sumX * sumY) / spread;
  if (slope < 0) return sumY / weight;
  const base = (sumY - slope * sumX) / weight;
  return base < 0 ? (xy / xx) * x : base + slope * x;
}

/** A moving mean with its variance. */
export interface Mean {
  count: number;
  value: number;
  variance: number;
}

export function newMean(): Mean {
  return { count: 0, value: 0, variance: 0 };
}

export function average(mean: Mean, value: number): void {
  const share = Math.max(1 - memory, 1 / (mean.count + 1));
  const distance = value - mean.value;
  mean.variance = (1 - share) * (mean.variance + share * distance * distance);
  mean.value += share * distance;
  mean.count++;
}
