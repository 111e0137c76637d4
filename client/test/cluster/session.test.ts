import { expect } from 'chai'
import { COMMIT_DEADLINE_MS, SESSION_ROTATION_MS } from '../../src/limits.js'
import { codeOf, createWorld, patternBytes } from '../world/world.js'

describe('sessions', () => {
  it('are renewed for as long as the client lives, and closed with it', async () => {
    const world = await createWorld()
    await world.clock.advance(60_000)
    await world.run(world.client.putObject('b', 'k', patternBytes(9)))
    expect(world.metadata.calls.OpenSession).to.equal(1)
    await world.run(world.client.close())
    expect(world.metadata.sessions.size).to.equal(0)
    expect(await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))).to.equal('Cancelled')
  })

  it('that are lost make the running write fail at its commit, and the next one opens a new session', async () => {
    const world = await createWorld()
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    async function* body(): AsyncGenerator<Uint8Array> {
      yield patternBytes(70_000)
      await released
      yield patternBytes(70_000)
    }
    const running = world.client.putObject('b', 'k', body())
    running.catch(() => undefined)
    await world.clock.advance(10)
    world.metadata.renewals = false
    await world.clock.advance(30_000)
    world.metadata.renewals = true
    release()
    expect(await codeOf(world.run(running))).to.equal('SessionExpired')
    expect(world.metadata.object('b/k')).to.equal(undefined)
    await world.run(world.client.putObject('b', 'k', patternBytes(9)))
    expect(world.metadata.calls.OpenSession).to.equal(2)
  })

  it('that only the metadata service knows to have ended fail cleanly too', async () => {
    const world = await createWorld()
    world.metadata.sessions.clear()
    expect(await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))).to.equal(
      'SessionExpired',
    )
  })

  it('are replaced after their time, and the old one is closed when its last write has ended', async () => {
    const world = await createWorld()
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    async function* body(): AsyncGenerator<Uint8Array> {
      yield patternBytes(70_000)
      await released
    }
    const first = [...world.metadata.sessions.keys()]
    const running = world.client.putObject('b', 'k', body())
    for (let passedMs = 0; passedMs < SESSION_ROTATION_MS + 20_000; passedMs += 20_000) {
      await world.clock.advance(20_000)
    }
    expect(world.metadata.calls.OpenSession).to.equal(2)
    expect(world.metadata.closedSessions).to.deep.equal([])
    release()
    await world.run(running)
    await world.clock.advance(100)
    expect(world.metadata.closedSessions).to.deep.equal(first)
  })
})

describe('commits', () => {
  it('whose answer is lost are repeated with the same op id and happen once', async () => {
    const world = await createWorld()
    world.metadata.answersToLose = 3
    await world.run(world.client.putObject('b', 'k', patternBytes(9)))
    expect(world.metadata.ops).to.have.length(4)
    expect(new Set(world.metadata.ops).size).to.equal(1)
    expect(world.client.counters().repeatedCommits).to.equal(3)
  })

  it('whose answer stays lost are of unknown outcome', async () => {
    const world = await createWorld()
    world.metadata.answersToLose = 1_000_000
    const startMs = world.clock.monotonicMs()
    expect(await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))).to.equal(
      'OutcomeUnknown',
    )
    expect(world.clock.monotonicMs() - startMs).to.be.at.most(COMMIT_DEADLINE_MS)
    expect(new Set(world.metadata.ops).size).to.equal(1)
  })

  it('of which no service can tell whether they have happened are not repeated until the deadline', async () => {
    const world = await createWorld()
    world.metadata.answersToLose = 1
    world.metadata.forgetsAttempts = true
    const startMs = world.clock.monotonicMs()
    const put = world.client.putObject('b', 'k', patternBytes(9))
    expect(await codeOf(world.run(put))).to.equal('OutcomeUnknown')
    expect(world.clock.monotonicMs() - startMs).to.be.below(1_000)
  })

  it('are given up at once when the store of the metadata has failed', async () => {
    const world = await createWorld()
    await world.run(world.client.putObject('b', 'k', patternBytes(9)))
    world.metadata.answersToLose = 1
    world.metadata.failed = true
    const startMs = world.clock.monotonicMs()
    expect(await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))).to.equal('DriveFailed')
    expect(world.clock.monotonicMs() - startMs).to.be.below(1_000)
  })

  it('are tried three times when the service is busy, not more', async () => {
    const world = await createWorld()
    world.metadata.busy = 2
    await world.run(world.client.putObject('b', 'k', patternBytes(9)))
    world.metadata.busy = 100
    expect(await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))).to.equal('Busy')
    expect(world.metadata.busy).to.equal(97)
  })
})
