import { getClusterMap, METADATA_DEADLINE_MS, ServiceDirectory } from '@cairn/protocol'
import { expect } from 'chai'
import { MetadataCaller } from '../../src/cluster/metadata-caller.js'
import { codeOf, createWorld, type World } from '../world/world.js'

const GONE = 'local:gone'

describe('calls to metadata services', () => {
  let world: World
  let looks: number
  /** What the store answers to whoever asks it where the services are. */
  let answer: Promise<readonly string[]>
  let caller: MetadataCaller

  beforeEach(async () => {
    world = await createWorld()
    looks = 0
    answer = new Promise(() => undefined)
    const discover = (): Promise<readonly string[]> => {
      looks++
      return answer
    }
    const { network, clock, random } = world
    const addresses = new ServiceDirectory({ given: [GONE], discover })
    caller = new MetadataCaller({ network, addresses, identity: world.identity('caller'), clock, random })
  })

  it('end in time though the store does not say where else a service is', async () => {
    const startMs = world.clock.monotonicMs()
    expect(await codeOf(world.run(caller.read(getClusterMap, {})))).to.equal('ConnectionLost')
    expect(world.clock.monotonicMs() - startMs).to.be.at.most(METADATA_DEADLINE_MS)
    expect(looks).to.equal(1)
  })

  it('end when they are cancelled though the store does not answer', async () => {
    const abort = new AbortController()
    const reading = caller.read(getClusterMap, {}, abort.signal)
    world.clock.setTimer(1_000, () => abort.abort())
    const startMs = world.clock.monotonicMs()
    expect(await codeOf(world.run(reading))).to.equal('Cancelled')
    expect(world.clock.monotonicMs() - startMs).to.be.at.most(1_000)
  })

  it('reach a service that the store names while they are repeated', async () => {
    let name: (addresses: readonly string[]) => void = () => undefined
    answer = new Promise((resolve) => {
      name = resolve
    })
    world.clock.setTimer(1_000, () => name(['local:metadata']))
    const { map } = await world.run(caller.read(getClusterMap, {}))
    expect(map).to.deep.equal(world.metadata.map)
  })
})
