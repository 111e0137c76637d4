/** That a signed request works once, and what it costs to know that. */
import { CLOCK_SKEW_MS } from '@cairn/gateway'
import { CairnError } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { SEEN_REQUESTS_MAX, SeenRequests } from '../../src/http/seen-requests.js'

describe('SeenRequests', () => {
  let clock: SimulatedClock
  let seen: SeenRequests

  beforeEach(() => {
    clock = createSimulatedClock(createSeededRandom(1))
    seen = new SeenRequests(clock)
  })

  const nowMs = (): number => Math.floor(clock.wallMicros() / 1000)

  /** The code of the refusal; `taken` without one. */
  function admit(signature: string, signedMs: number = nowMs()): string {
    try {
      seen.admit({ signature, signedMs })
      return 'taken'
    } catch (error) {
      return error instanceof CairnError ? error.code : 'other'
    }
  }

  it('takes a signature once, for as long as it is good', async () => {
    const signedMs = nowMs()
    expect(admit('a', signedMs)).to.equal('taken')
    expect(admit('a', signedMs)).to.equal('PreconditionFailed')
    expect(admit('b', signedMs)).to.equal('taken')
    await clock.advance(CLOCK_SKEW_MS)
    for (let at = 0; at < SEEN_REQUESTS_MAX; at++) admit(`more ${at}`)
    expect(admit('a', signedMs)).to.equal('PreconditionFailed')
  })

  it('refuses what was signed before it began: it cannot know whether it was there', () => {
    expect(admit('a', nowMs() - 2_000)).to.equal('PreconditionFailed')
    expect(admit('b', Math.floor(nowMs() / 1000) * 1000)).to.equal('taken')
  })

  it('refuses rather than forgets when it is full, and goes on when signatures have ended', async () => {
    for (let at = 0; at < SEEN_REQUESTS_MAX; at++) expect(admit(`${at}`)).to.equal('taken')
    expect(admit('one more')).to.equal('Busy')
    expect(admit('0')).to.equal('PreconditionFailed')
    await clock.advance(CLOCK_SKEW_MS + 1)
    expect(admit('one more')).to.equal('taken')
  })

  it('remembers a signature of a clock that is ahead until that is over', async () => {
    const signedMs = nowMs() + CLOCK_SKEW_MS
    expect(admit('ahead', signedMs)).to.equal('taken')
    for (let at = 1; at < SEEN_REQUESTS_MAX; at++) admit(`${at}`)
    await clock.advance(CLOCK_SKEW_MS + 1)
    expect(admit('one more')).to.equal('taken')
    expect(admit('ahead', signedMs)).to.equal('PreconditionFailed')
  })
})
