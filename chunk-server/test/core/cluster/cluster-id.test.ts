import {
  CairnError,
  createRouter,
  getClusterMap,
  type HandshakeIdentity,
  type RpcRouter,
  type RpcRouterTable,
} from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { fetchClusterId } from '../../../src/core/cluster/cluster-id.js'
import { codeOf } from '../../conformance/blocks.js'
import { recordMetadata } from '../../rpc/metadata-stub.js'
import { createTestNetwork, identity, type TestNetwork } from '../../rpc/network.js'

const METADATA = 'local:metadata'

describe('a server that asks for its cluster', () => {
  const random = createSeededRandom(5)
  let clock: SimulatedClock
  let network: TestNetwork
  let router: RpcRouter & RpcRouterTable
  let startMs: number

  beforeEach(() => {
    clock = createSimulatedClock(random)
    network = createTestNetwork(clock, random)
    router = createRouter()
    startMs = clock.monotonicMs()
  })

  const serve = (own: HandshakeIdentity = identity) =>
    network.listen(METADATA, router, { ...own, role: 'metadata' })
  const ask = () =>
    clock.runUntil(
      fetchClusterId(network.connect(METADATA, { ...identity, clusterId: '' }, 'metadata'), {
        clock,
        random,
      }),
    )

  it('waits for a metadata service to appear', async () => {
    recordMetadata(router)
    clock.setTimer(20_000, () => void serve())
    expect(await ask()).to.equal('c1')
  })

  it('gives up after half a minute, however long each attempt takes', async () => {
    router.handle(getClusterMap, () => new Promise(() => undefined))
    await serve()
    expect(await codeOf(ask())).to.equal('DeadlineExceeded')
    expect(clock.monotonicMs() - startMs).to.be.within(28_000, 30_000)
  })

  it('ends at once if it has another secret', async () => {
    recordMetadata(router)
    await serve({ ...identity, clusterSecret: Buffer.alloc(32, 2) })
    expect(await codeOf(ask())).to.equal('PeerRejected')
    expect(clock.monotonicMs() - startMs).to.be.below(1_000)
  })

  for (const code of ['NotAllowed', 'FormatTooNew'] as const) {
    it(`ends at once if it is refused with ${code}`, async () => {
      router.handle(getClusterMap, () => Promise.reject(new CairnError(code, 'refused')))
      await serve()
      expect(await codeOf(ask())).to.equal(code)
      expect(clock.monotonicMs() - startMs).to.be.below(1_000)
    })
  }
})
