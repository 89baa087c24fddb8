// What tenants name, found by tenant and name: names are a tenant's own. Two maps within each other instead
// of one with joined keys, since joining a key for every lookup costs more than a second lookup.

export class ByTenant<T> {
  readonly #tenants = new Map<string, Map<string, T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(tenantId: string, name: string): T | undefined {
    return this.#tenants.get(tenantId)?.get(name);
  }

  set(tenantId: string, name: string, value: T): void {
    let names = this.#tenants.get(tenantId);
    if (names === undefined) {
      names = new Map();
      this.#tenants.set(tenantId, names);
    }
    const before = names.size;
    names.set(name, value);
    this.#size += names.size - before;
  }

  delete(tenantId: string, name: string): void {
    const names = this.#tenants.get(tenantId);
    if (names?.delete(name) !== true) return;
    this.#size--;
    if (names.size === 0) this.#tenants.delete(tenantId);
  }

  *values(): Iterable<T> {
    for (const names of this.#tenants.values()) yield* names.values();
  }
}
