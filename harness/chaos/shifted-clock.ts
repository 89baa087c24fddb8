// Loaded before everything else of a program (`node --import shifted-clock.ts?ms=N`): its wall clock is wrong
// by that much, as after a start with an empty battery or under a hand that set it. Monotonic time is not
// touched.

const byMs = Number(new URL(import.meta.url).searchParams.get("ms"));
const trueNow = Date.now;
Date.now = () => trueNow() + byMs;
