// Tenants as accounts: live tasks, memory, budgets. A tenant without anything to remember is not kept.

import type { State, Tenant } from "../state.ts";

/** Kept from its first accepted task on; before that, asking leaves no trace. */
export function tenantOf(state: State, id: string): Tenant {
  return state.tenants.get(id) ?? newTenant(id);
}

function newTenant(id: string): Tenant {
  const nothing = () => ({ tokens: 0, timeMs: 0, cost: 0 });
  return { id, live: 0, memoryBytes: 0, spent: nothing(), reserved: nothing() };
}

/** An idle tenant without a budget would only fill memory. While work of it still stops, it is not idle. */
export function dropIdleTenant(state: State, tenant: Tenant): void {
  const idle = tenant.live === 0 && tenant.reserved.tokens === 0;
  if (idle && state.settings.tenantBudgets[tenant.id] === undefined) state.tenants.delete(tenant.id);
}
