import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { Admission } from '../../src/http/admission.js'

const LIMITS = { runningMax: 2, waitingMax: 3, waitMsMax: 1000 }

describe('Admission', () => {
  let clock: SimulatedClock
  let admission: Admission

  beforeEach(() => {
    clock = createSimulatedClock(createSeededRandom(1))
    admission = new Admission(clock, LIMITS)
  })

  it('begins at once while there is room', () => {
    expect(admission.enter()).to.equal(undefined)
    expect(admission.enter()).to.equal(undefined)
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 0, refused: 0 })
  })

  it('gives turns in the order of arrival', async () => {
    void admission.enter()
    void admission.enter()
    const order: number[] = []
    const turns = [1, 2, 3].map((name) => admission.enter()?.then(() => order.push(name)))
    admission.leave()
    admission.leave()
    admission.leave()
    await Promise.all(turns)
    expect(order).to.deep.equal([1, 2, 3])
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 0, refused: 0 })
  })

  it('refuses those beyond the queue with SlowDown', async () => {
    for (let request = 0; request < 5; request++) void admission.enter()?.catch(() => undefined)
    const refused = await admission.enter()?.catch((error: unknown) => error)
    expect(refused).to.be.instanceOf(S3Error)
    expect((refused as S3Error).code).to.equal('SlowDown')
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 3, refused: 1 })
  })

  it('refuses who has waited too long, and only him', async () => {
    void admission.enter()
    void admission.enter()
    const codes: string[] = []
    const note = (error: unknown): void => void codes.push((error as S3Error).code)
    const early = admission.enter()?.catch(note)
    await clock.advance(600)
    const late = admission.enter()
    await clock.advance(600)
    await early
    expect(codes).to.deep.equal(['SlowDown'])
    admission.leave()
    await late
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 0, refused: 1 })
  })
})
