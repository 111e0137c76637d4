import {
  createMemoryEntryStore,
  createMetadataService,
  type MetadataServiceStatus,
} from '@cairn/metadata-service'
import { createNetwork } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMetrics } from '../../src/metrics.js'
import { addMetadataMetrics } from '../../src/roles/metadata-metrics.js'

/** That of a service that has just been made. */
async function freshStatus(): Promise<MetadataServiceStatus> {
  const random = createSeededRandom(1)
  const clock = createSimulatedClock(random)
  const service = await clock.runUntil(
    createMetadataService({
      store: createMemoryEntryStore({ clock }),
      clock,
      random,
      network: createNetwork({ clock, random }),
      identity: {
        role: 'metadata',
        name: 'm1',
        clusterId: '',
        featureLevel: 1,
        clusterSecret: Buffer.alloc(32),
      },
      address: 'local:metadata',
      gcGraceSeconds: 60,
      orphanGraceSeconds: 60,
      replicas: 3,
      drivesExpected: 3,
    }),
  )
  const status = service.status()
  await clock.runUntil(service.close())
  return status
}

describe('metrics of a metadata service', () => {
  it('hold what the coordinator has counted only as long as it is the one', async () => {
    const fresh = await freshStatus()
    const { upkeep } = fresh
    const counted = {
      ...upkeep,
      garbage: { ...upkeep.garbage, pendingBytes: 1, pendingRows: 2, freedBytes: 3 },
      repair: { ...upkeep.repair, underReplicated: 4, unavailable: 5, dirtyGroups: 6 },
      moves: { ...upkeep.moves, positionsLeft: 7 },
    }
    let status: MetadataServiceStatus = { ...fresh, upkeep: counted, isCoordinator: true }
    const metrics = createMetrics()
    addMetadataMetrics(metrics, { status: () => status })
    const read = async (): Promise<readonly (readonly [string, number])[]> => {
      const text = await metrics.render()
      return NAMES.map((name) => [name, Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])])
    }
    expect(await read()).to.deep.equal(NAMES.map((name, at) => [name, at + 1]))
    status = { ...status, isCoordinator: false }
    // Counters go on from where they are.
    const left = NAMES.map((name, at) => [name, name.endsWith('_total') ? at + 1 : 0])
    expect(await read()).to.deep.equal(left)
  })
})

const NAMES = [
  'cairn_garbage_bytes',
  'cairn_garbage_rows',
  'cairn_garbage_freed_bytes_total',
  'cairn_blocks_underreplicated',
  'cairn_blocks_unavailable',
  'cairn_groups_dirty',
  'cairn_positions_to_move',
]
