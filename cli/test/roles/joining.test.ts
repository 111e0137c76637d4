import { CairnError } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { ConfigError } from '../../src/config.js'
import { joined } from '../../src/roles/joining.js'
import { errorOf } from '../error-of.js'

const LOST = new CairnError('ConnectionLost', 'connect ECONNREFUSED')

describe('a role that joins its cluster', () => {
  const clock = createSimulatedClock(createSeededRandom(1))

  it('waits for a metadata service that is started after it', async () => {
    let left = 20
    const join = async () => {
      if (left-- > 0) throw LOST
      return 'here'
    }
    expect(await clock.runUntil(joined(clock, join))).to.equal('here')
  })

  it('gives up after half a minute, and says what it has waited for', async () => {
    const beganMs = clock.monotonicMs()
    const error = (await clock.runUntil(errorOf(joined(clock, () => Promise.reject(LOST))))) as Error
    expect(error.message).to.equal('no metadata service has answered for 30 s: connect ECONNREFUSED')
    expect(clock.monotonicMs() - beganMs).to.be.within(29_000, 30_000)
  })

  it('waits for nothing when it is refused, or has failed itself', async () => {
    const beganMs = clock.monotonicMs()
    const refused = new CairnError('PeerRejected', 'another secret')
    expect(await errorOf(joined(clock, () => Promise.reject(refused)))).to.be.instanceOf(ConfigError)
    const broken = new Error('no port')
    expect(await errorOf(joined(clock, () => Promise.reject(broken)))).to.equal(broken)
    expect(clock.monotonicMs()).to.equal(beganMs)
  })
})
