import { CairnError, createRouter, ServiceDirectory } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { MetadataPeers } from '../../../src/core/cluster/metadata-peers.js'
import type { Registration } from '../../../src/core/cluster/registration.js'
import { startRegistrations } from '../../../src/core/cluster/registrations.js'
import { RunStart } from '../../../src/core/cluster/run-start.js'
import { type RecordedMetadata, recordMetadata } from '../../rpc/metadata-stub.js'
import { createTestNetwork, identity } from '../../rpc/network.js'

const ADDRESSES = ['local:m1', 'local:m2']

describe('the registration with all metadata services', () => {
  const random = createSeededRandom(9)
  let clock: SimulatedClock
  let services: RecordedMetadata[]
  /** What the server was told: `true`, or the code it was refused with. */
  let told: (boolean | string)[]
  let registration: Registration

  beforeEach(async () => {
    clock = createSimulatedClock(random)
    told = []
    const network = createTestNetwork(clock, random)
    const routers = ADDRESSES.map(() => createRouter())
    services = routers.map((router) => recordMetadata(router))
    for (const [at, router] of routers.entries()) {
      await network.listen(ADDRESSES[at] ?? '', router, { ...identity, role: 'metadata' })
    }
    for (const service of services) service.refusing = true
    registration = startRegistrations({
      clock,
      random,
      metadata: new MetadataPeers(new ServiceDirectory({ given: ADDRESSES }), network, identity),
      member: { id: 'c1', address: 'local:c1', zone: '', rack: '', host: '' },
      runStart: new RunStart(clock.wallMicros()),
      registrations: async () => [],
      reports: async () => [],
      onChange: ({ registered, error }) => {
        told.push(error instanceof CairnError ? error.code : registered)
      },
    })
  })
  afterEach(() => clock.runUntil(registration.close()))

  function refuse(refusal: CairnError | undefined): void {
    for (const service of services) {
      service.refusing = false
      service.refusal = () => refusal
    }
  }

  for (const code of ['PeerRejected', 'DriveFull'] as const) {
    it(`goes on when it is refused with ${code}, and tells so once`, async () => {
      await clock.advance(5_000)
      refuse(new CairnError(code, 'refused'))
      await clock.advance(60_000)
      expect(told).to.deep.equal(['Busy', code])
      refuse(undefined)
      await clock.advance(10_000)
      expect(told).to.deep.equal(['Busy', code, true])
      await registration.first
    })
  }

  it('tells anew of what it has told before, after it was registered', async () => {
    refuse(undefined)
    await clock.advance(5_000)
    refuse(new CairnError('PeerRejected', 'refused'))
    for (const service of services) service.forget()
    await clock.advance(60_000)
    refuse(undefined)
    await clock.advance(10_000)
    refuse(new CairnError('PeerRejected', 'refused'))
    for (const service of services) service.forget()
    await clock.advance(60_000)
    const lost = ['InvalidArgument', 'PeerRejected']
    expect(told.slice(told.indexOf(true))).to.deep.equal([true, ...lost, true, ...lost])
  })
})
