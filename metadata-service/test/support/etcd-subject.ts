/** Stores on real members of etcd, each test's below a prefix of its own. */
import { randomBytes } from 'node:crypto'
import { type EtcdCluster, type EtcdOptions, hasEtcd, startEtcd } from '@cairn/e2e'
import { systemRandom } from '@cairn/protocol'
import {
  type EtcdEntryStore,
  type EtcdEntryStoreOptions,
  openEtcdEntryStore,
} from '../../src/adapters/etcd/etcd-entry-store.js'
import { createRealWorld, type World } from '../conformance/subject.js'

/** An etcd cluster for the tests of a suite; skips the suite where there is no etcd. */
export function useEtcd(options: EtcdOptions = {}): () => EtcdCluster {
  let cluster: EtcdCluster | undefined
  before(async function () {
    this.timeout(120_000)
    if (!(await hasEtcd())) return this.skip()
    cluster = await startEtcd(options)
  })
  after(async () => {
    await cluster?.stop()
  })
  return () => {
    if (cluster === undefined) throw new Error('etcd does not run')
    return cluster
  }
}

/** Short enough for tests: leases of a second, elections within one. */
export const QUICK_FLAGS: readonly string[] = ['--heartbeat-interval=50', '--election-timeout=500']

export interface EtcdSubject {
  readonly world: World
  readonly store: EtcdEntryStore
  readonly prefix: string
  forgetEvents(beforeRevision: number): Promise<void>
}

/** A store below a prefix that nobody has used. Lease ids are random, whatever the seed: all prefixes share them. */
export async function openEtcdSubject(
  cluster: EtcdCluster,
  options: Partial<EtcdEntryStoreOptions> & { worldSeed?: number } = {},
): Promise<EtcdSubject> {
  const { worldSeed, ...more } = options
  const world = createRealWorld(worldSeed)
  const prefix = `/test/${randomBytes(6).toString('hex')}/`
  const store = await openEtcdEntryStore({
    endpoints: cluster.endpoints,
    prefix,
    clock: world.clock,
    random: systemRandom,
    ...more,
  })
  return {
    world,
    store,
    prefix,
    forgetEvents: (revision) => store.compact(revision),
  }
}
