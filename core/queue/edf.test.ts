import { edf } from "./edf.ts";
import { conforms } from "./queue.conformance.ts";

const earlier = (a: number, b: number, ties: boolean) => a < b || (a === b && ties);
conforms("edf", edf, (a, b) => earlier(a.deadlineAtMs, b.deadlineAtMs, a.ordinal < b.ordinal));
