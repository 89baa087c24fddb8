// What was told and is not yet safe, so that it is found from the moment it was told, as if it were. A call
// that is safe, or was refused, leaves it.

import type { NamedTask } from "../naming.ts";
import type { Admitted, EndedTask, Fact } from "../store.ts";

export class Pending {
  /** By the name of the task, newest last. */
  readonly #admitted = new Map<string, Admitted[]>();
  /** By job: what was told of its end last, and when it was told first. */
  readonly #ended = new Map<string, { readonly fact: EndedTask; readonly atMs: number }>();

  add(facts: readonly Fact[]): void {
    for (const fact of facts) {
      if (fact.fact === "admitted") this.#add(fact);
      else if (fact.fact === "ended") this.#end(fact);
    }
  }

  settle(facts: readonly Fact[]): void {
    for (const fact of facts) {
      if (fact.fact === "admitted") this.#remove(fact);
      else if (fact.fact === "ended" && this.#ended.get(fact.jobId)?.fact === fact)
        this.#ended.delete(fact.jobId);
    }
  }

  isOver(jobId: string): boolean {
    return this.#ended.has(jobId);
  }

  /** The newest of that name, of one tenant or of any. */
  newest(tenantId: string | undefined, taskId: string): NamedTask | undefined {
    const found = this.#admitted
      .get(taskId)
      ?.findLast(({ facts }) => tenantId === undefined || facts.task.tenantId === tenantId);
    if (found === undefined) return undefined;
    const { fingerprint, answer } = found.facts;
    return this.ending({ fingerprint, answer });
  }

  /** With the end that was told since. */
  ending(task: NamedTask): NamedTask {
    const told = this.#ended.get(task.answer.jobId);
    if (told === undefined) return task;
    return { ...task, ended: endedTask(told.fact, task.ended?.atMs ?? told.atMs) };
  }

  #end(fact: EndedTask): void {
    this.#ended.set(fact.jobId, { fact, atMs: this.#ended.get(fact.jobId)?.atMs ?? fact.atMs });
  }

  #add(fact: Admitted): void {
    const { taskId } = fact.facts.task;
    const others = this.#admitted.get(taskId);
    if (others === undefined) this.#admitted.set(taskId, [fact]);
    else others.push(fact);
  }

  #remove(fact: Admitted): void {
    const { taskId } = fact.facts.task;
    const others = this.#admitted.get(taskId)?.filter((each) => each !== fact) ?? [];
    if (others.length === 0) this.#admitted.delete(taskId);
    else this.#admitted.set(taskId, others);
  }
}

function endedTask({ jobId, tenantId, taskId, outcome, transcript }: EndedTask, atMs: number): EndedTask {
  return { jobId, tenantId, taskId, atMs, outcome, ...(transcript !== undefined && { transcript }) };
}
