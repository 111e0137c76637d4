/** The conformance suites on real etcd: one member, and three. */
import type { EtcdCluster } from '@cairn/e2e'
import { systemRandom } from '@cairn/protocol'
import { createKeyValueStore } from '../../src/core/commit/batcher.js'
import { createFaultyEntryStore } from '../../src/simulation/faulty-entry-store.js'
import { openEtcdSubject, QUICK_FLAGS, useEtcd } from '../support/etcd-subject.js'
import { openMirrorSubject } from '../support/mirror-subject.js'
import { describeEntryStore } from './entry-store.js'
import { describeKeyValueStore, type KeyValueStoreTraits } from './key-value-store.js'
import { type Subject, withIsolationCheck, withoutBatcher } from './subject.js'

const TIMEOUT_MS = 60_000

/** etcd gives whole seconds, and ends leases when it looks for those that are over. */
const TRAITS: KeyValueStoreTraits = {
  histories: process.env.CAIRN_TEST_SEEDS === undefined ? 25 : 200,
  outlivesProcess: false,
  leases: { longMs: 2_000, shortMs: 1_000, lateMs: 1_500 },
}

async function openBare(cluster: EtcdCluster, worldSeed?: number): Promise<Subject> {
  const { store, ...subject } = await openEtcdSubject(cluster, worldSeed === undefined ? {} : { worldSeed })
  return { ...subject, store: withoutBatcher(store) }
}

/** Reads of the suite itself are not meant to fail: only the batcher's own are retried. */
async function openFaulty(cluster: EtcdCluster, worldSeed?: number): Promise<Subject> {
  const subject = await openEtcdSubject(cluster, worldSeed === undefined ? {} : { worldSeed })
  const { world, store: entries } = subject
  const line = createFaultyEntryStore({
    store: withIsolationCheck(entries),
    random: world.random,
    rate: 0.2,
  })
  const batcher = createKeyValueStore({ store: line, ...world, service: 'test', entriesInFlight: 3 })
  return {
    world,
    store: {
      commit: (commit) => batcher.commit(commit),
      read: (reads) => entries.read(reads),
      readAuthority: (reads) => entries.read(reads),
      watch: (range, from, signal) => entries.watch(range, from, signal),
      grantLease: (ttlMs) => batcher.grantLease(ttlMs),
      renewLease: (lease) => batcher.renewLease(lease),
      revokeLease: (lease) => batcher.revokeLease(lease),
      close: () => batcher.close(),
    },
  }
}

async function openMirrored(cluster: EtcdCluster, worldSeed?: number): Promise<Subject> {
  const subject = await openEtcdSubject(cluster, worldSeed === undefined ? {} : { worldSeed })
  return openMirrorSubject({ ...subject.world, random: systemRandom }, subject.store)
}

describe('one member of etcd', function () {
  this.timeout(TIMEOUT_MS)
  const cluster = useEtcd({ flags: QUICK_FLAGS })
  describeEntryStore('EtcdEntryStore', () => openEtcdSubject(cluster()))
  describeKeyValueStore('EtcdEntryStore', (from) => openBare(cluster(), from), TRAITS)
  describeKeyValueStore(
    'Batcher over a mirrored EtcdEntryStore',
    (from) => openMirrored(cluster(), from),
    TRAITS,
  )
})

describe('three members of etcd', function () {
  this.timeout(TIMEOUT_MS)
  const cluster = useEtcd({ members: 3, flags: QUICK_FLAGS })
  describeEntryStore('EtcdEntryStore', () => openEtcdSubject(cluster()))
  describeKeyValueStore(
    'Batcher with three lanes over a faulty EtcdEntryStore',
    (from) => openFaulty(cluster(), from),
    TRAITS,
  )
})
