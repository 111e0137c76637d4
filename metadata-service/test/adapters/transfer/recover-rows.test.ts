import { Pool } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { newLife } from '../../../src/adapters/transfer/recover-rows.js'
import { CLUSTER_KEY, ClusterRow, poolKey } from '../../../src/core/rows/cluster-state-rows.js'

const NOW_MS = Date.UTC(2026, 10, 22)

/** The rows of a copy that was made at these epochs. */
function copyOf(epoch: number) {
  const change = Buffer.alloc(16)
  const cluster = { clusterId: 'c', incarnation: 'i', featureLevel: 1, epoch, createdMs: 0, change }
  const pool: Pool = {
    id: 1,
    name: 'p',
    epoch,
    replicas: 1,
    failureDomain: 'drive',
    drives: [],
    groups: Buffer.alloc(0),
  }
  return [
    { key: CLUSTER_KEY, value: ClusterRow.encode(cluster) },
    { key: poolKey(1), value: Pool.encode(pool) },
  ]
}

function restore(epoch: number, nowMs: number): { cluster: number; pool: number } {
  const { puts } = newLife(copyOf(epoch), { random: createSeededRandom(1), nowMs }) ?? { puts: [] }
  const valueAt = (wanted: Uint8Array): Uint8Array =>
    puts.find(({ key }) => Buffer.compare(key, wanted) === 0)?.value ?? Buffer.alloc(0)
  return {
    cluster: ClusterRow.decode(valueAt(CLUSTER_KEY)).epoch,
    pool: Pool.decode(valueAt(poolKey(1))).epoch,
  }
}

describe('a new life', () => {
  it('has epochs above those of a life that was restored before it from a later copy', () => {
    const monday = restore(40, NOW_MS)
    const sunday = restore(38, NOW_MS + 1_000)
    expect(sunday.pool).to.be.above(monday.pool)
    expect(sunday.cluster).to.be.above(monday.cluster)
  })

  it('has epochs above those of its copy, whatever the clock says', () => {
    const { cluster, pool } = restore(NOW_MS, 0)
    expect([cluster > NOW_MS, pool > NOW_MS]).to.deep.equal([true, true])
  })
})
