// Which engine versions a pool takes: the one it is pinned to, and where it wants one version only, the one
// that its other replicas run. It compares and says so; what follows is the directory's business.

export interface VersionRule {
  /** The version that must run; absent where any may. */
  readonly pinned?: string;
  /** Whether all replicas of the pool run one version. */
  readonly isOne: boolean;
}

/** A replica that asks to be taken. */
export interface Newcomer {
  readonly poolId: string;
  readonly replicaId: string;
  readonly version: string;
}

/**
 * Why a replica is not taken; undefined where it is.
 * @param running what another replica of the pool runs; undefined where none is taken yet
 */
export function versionProblem(
  { poolId, replicaId, version }: Newcomer,
  { pinned, isOne }: VersionRule,
  running: string | undefined,
): string | undefined {
  const runs = `VERSION_MISMATCH: Replica ${replicaId} runs engine version ${version}, but pool ${poolId}`;
  if (pinned !== undefined && pinned !== version) {
    return `${runs} is pinned to ${pinned}. Start that version, or change provisioning.engine.version.`;
  }
  if (!isOne || running === undefined || running === version) return undefined;
  return `${runs} runs ${running} already. Bring all to one version, or set require_same_engine_version: false.`;
}
