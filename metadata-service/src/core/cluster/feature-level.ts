/**
 * The feature level of the cluster, and how it is raised.
 *
 * 1. The target is announced in `m/cluster`. Whoever joins compares that row: so from now on no metadata service, chunk
 *    server or writer of a lower level joins, and no session is bound to such a service.
 * 2. All that live then are looked at, in the store itself. If one does not support the target, it is withdrawn.
 * 3. Sessions are freed from runs of services that are gone: one that was only paused can commit nothing any more.
 * 4. One commit raises the level, if `m/cluster` is still as announced.
 *
 * A crash leaves the target announced: the command is given again, and raises or withdraws it.
 */
import {
  CairnError,
  type ClusterMap,
  FEATURE_MEMBERS_MAX,
  type FeatureLevelReport,
  type FeatureMember,
} from '@cairn/protocol'
import type { KeyValueStore } from '../../ports.js'
import { readServices, type ServiceRow } from '../services/service-lease.js'
import { readSessions, SessionRow, unbindSession } from '../services/sessions.js'
import type { ClusterState } from './cluster-state.js'
import type { ClusterChange } from './drive-registration.js'

export interface FeatureLevelsOptions {
  readonly store: KeyValueStore
  readonly cluster: ClusterState
}

/** Attempts of one raise against other changes of the map; then `Busy`. */
const RAISE_ATTEMPTS_MAX = 16

/** Members that a refusal names. */
const NAMED_MAX = 10

export class FeatureLevels {
  private readonly options: FeatureLevelsOptions

  constructor(options: FeatureLevelsOptions) {
    this.options = options
  }

  /** The level, and who supports which. */
  async report(): Promise<FeatureLevelReport> {
    const map = await this.options.cluster.current()
    const members = await this.readMembers(map)
    return reportOf(map, members.sort((a, b) => a.level - b.level).slice(0, FEATURE_MEMBERS_MAX))
  }

  /** Raises the level to the highest that any member supports. `PreconditionFailed` if another does not support it. */
  async raise(): Promise<FeatureLevelReport> {
    const { cluster } = this.options
    for (let attempt = 0; attempt < RAISE_ATTEMPTS_MAX; attempt++) {
      const map = await cluster.current()
      const levels = (await this.readMembers(map)).map(({ level }) => level)
      const target = Math.max(cluster.supportedLevel, ...levels)
      if (target <= map.featureLevel) {
        await this.set(map.featureLevel, 0)
        return this.report()
      }
      if (await this.tryRaise(target)) return this.report()
    }
    throw new CairnError('Busy', 'the cluster map keeps changing')
  }

  private async tryRaise(target: number): Promise<boolean> {
    const { cluster } = this.options
    if (cluster.supportedLevel < target) throw notSupported(target, ['the metadata service that was asked'])
    await this.set(cluster.known.featureLevel, target)
    const announced = await cluster.current()
    if (announced.featureLevelTarget !== target) return false
    const lacking = (await this.readMembers(announced)).filter(({ level }) => level < target)
    if (lacking.length > 0) {
      await this.set(announced.featureLevel, 0)
      throw notSupported(target, lacking.map(describe))
    }
    if (!(await this.freeSessions())) return false
    return this.raiseAsAnnounced(announced, target)
  }

  private async raiseAsAnnounced({ epoch }: ClusterMap, target: number): Promise<boolean> {
    const raised = await this.options.cluster.change(({ map }) =>
      map.epoch === epoch ? changeTo(target, 0) : NOTHING,
    )
    return raised
  }

  /** Writes level and target, unless they stand so. */
  private async set(level: number, target: number): Promise<void> {
    await this.options.cluster.change(({ map }) => {
      const isSo = map.featureLevel === level && (map.featureLevelTarget ?? 0) === target
      return isSo || map.featureLevel > level ? NOTHING : changeTo(level, target)
    })
  }

  /** False if one was changed meanwhile. */
  private async freeSessions(): Promise<boolean> {
    const { store } = this.options
    const runs = new Set((await this.services()).map(({ run }) => run))
    for (const row of await readSessions(store)) {
      const { boundTo = '' } = SessionRow.decode(row.value)
      if (boundTo !== '' && !runs.has(boundTo) && !(await unbindSession(store, row))) return false
    }
    return true
  }

  private async readMembers({ members }: ClusterMap): Promise<FeatureMember[]> {
    const services = await this.services()
    const sessions = (await readSessions(this.options.store)).map(({ value }) => SessionRow.decode(value))
    return [
      ...services.map(({ name, featureLevel: level }) => ({ kind: 'metadata' as const, name, level })),
      ...members.map(({ id, featureLevel: level = 1 }) => ({ kind: 'chunk' as const, name: id, level })),
      ...sessions.map(({ role, name, featureLevel: level = 1 }) => {
        return { kind: 'session' as const, name: `${role} ${name}`, level }
      }),
    ]
  }

  private services(): Promise<ServiceRow[]> {
    const { store } = this.options
    return readServices({ read: (reads) => store.readAuthority(reads) })
  }
}

const NOTHING: ClusterChange = { members: [], drives: [], pools: [], indebted: [] }

function changeTo(level: number, target: number): ClusterChange {
  return { ...NOTHING, feature: { level, target } }
}

function reportOf(
  { featureLevel: level, featureLevelTarget }: ClusterMap,
  members: readonly FeatureMember[],
): FeatureLevelReport {
  return { level, members, ...(featureLevelTarget === undefined ? {} : { target: featureLevelTarget }) }
}

function describe({ kind, name, level }: FeatureMember): string {
  const what = { metadata: 'metadata service', chunk: 'chunk server', session: 'session of' }[kind]
  return `${what} ${name} (${level})`
}

function notSupported(target: number, names: readonly string[]): CairnError {
  const rest = names.length - NAMED_MAX
  const more = rest > 0 ? [`${rest} more`] : []
  const list = [...names.slice(0, NAMED_MAX), ...more].join(', ')
  return new CairnError('PreconditionFailed', `feature level ${target} is not supported by: ${list}`)
}
