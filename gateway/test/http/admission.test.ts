import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { Admission, MANY } from '../../src/http/admission.js'

const LIMITS = {
  runningMax: 2,
  runningPerSenderMax: 1,
  waitingMax: 3,
  waitingPerSenderMax: 2,
  waitMsMax: 1000,
}

describe('Admission', () => {
  let clock: SimulatedClock
  let admission: Admission

  beforeEach(() => {
    clock = createSimulatedClock(createSeededRandom(1))
    admission = new Admission(clock, LIMITS)
  })

  it('begins at once while there is room', () => {
    expect(admission.enter(MANY)).to.equal(undefined)
    expect(admission.enter(MANY)).to.equal(undefined)
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 0, refused: 0 })
  })

  it('gives turns in the order of arrival', async () => {
    void admission.enter(MANY)
    void admission.enter(MANY)
    const order: number[] = []
    const turns = [1, 2, 3].map((name) => admission.enter(MANY)?.then(() => order.push(name)))
    admission.leave(MANY)
    admission.leave(MANY)
    admission.leave(MANY)
    await Promise.all(turns)
    expect(order).to.deep.equal([1, 2, 3])
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 0, refused: 0 })
  })

  it('refuses those beyond the queue with SlowDown', async () => {
    for (let request = 0; request < 5; request++) void admission.enter(MANY)?.catch(() => undefined)
    const refused = await admission.enter(MANY)?.catch((error: unknown) => error)
    expect(refused).to.be.instanceOf(S3Error)
    expect((refused as S3Error).code).to.equal('SlowDown')
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 3, refused: 1 })
  })

  it('refuses who has waited too long, and only him', async () => {
    void admission.enter(MANY)
    void admission.enter(MANY)
    const codes: string[] = []
    const note = (error: unknown): void => void codes.push((error as S3Error).code)
    const early = admission.enter(MANY)?.catch(note)
    await clock.advance(600)
    const late = admission.enter(MANY)
    await clock.advance(600)
    await early
    expect(codes).to.deep.equal(['SlowDown'])
    admission.leave(MANY)
    await late
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 0, refused: 1 })
  })
  it('leaves room for others, however many requests one sender has', async () => {
    expect(admission.enter('a')).to.equal(undefined)
    const second = admission.enter('a')
    void admission.enter('a')
    const refused = await admission.enter('a')?.catch((error: unknown) => error)
    expect((refused as S3Error).code).to.equal('SlowDown')
    expect(admission.enter('b')).to.equal(undefined)
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 2, refused: 1 })
    admission.leave('a')
    await second
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 1, refused: 1 })
  })

  it('passes over those whose sender has his share', async () => {
    void admission.enter('a')
    void admission.enter('b')
    void admission.enter('a')
    const turn = admission.enter('c')
    admission.leave('b')
    await turn
    expect(admission.counts).to.deep.equal({ running: 2, waiting: 1, refused: 0 })
  })

  it('forgets senders who have left', async () => {
    for (let round = 0; round < 3; round++) {
      void admission.enter('a')
      const late = admission.enter('a')?.catch(() => undefined)
      await clock.advance(1500)
      await late
      admission.leave('a')
    }
    expect(admission.counts).to.deep.equal({ running: 0, waiting: 0, refused: 3 })
    expect(admission.enter('a')).to.equal(undefined)
  })
})
