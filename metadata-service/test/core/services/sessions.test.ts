import { SESSION_LEASE_MS, type SessionId } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { sessionKey } from '../../../src/core/rows/keys.js'
import { Sessions } from '../../../src/core/services/sessions.js'
import type { CommitResult, KeyValueStore } from '../../../src/ports.js'
import { rejection } from '../../rejection.js'

const random = createSeededRandom(12)
const clock = createSimulatedClock(random)
const run = <T>(work: Promise<T>): Promise<T> => clock.runUntil(work)

function open(): { store: KeyValueStore; sessions: Sessions } {
  const store = createKeyValueStore({
    store: createMemoryEntryStore({ clock }),
    clock,
    random,
    service: 'm1',
  })
  return { store, sessions: new Sessions({ store, clock, random }) }
}

/** Commits one row under the compare of a session. */
async function write(store: KeyValueStore, sessions: Sessions, session: SessionId): Promise<CommitResult> {
  const key = Buffer.from('x/row')
  return store.commit({
    compares: [await sessions.compare(session)],
    puts: [{ key, value: Buffer.from('1') }],
    proof: { keys: [key], carries: (rows) => rows[0] !== undefined },
  })
}

const opening = { role: 'gateway', name: 'g1' }

describe('Sessions', () => {
  it('opens sessions that differ and lets their writers commit', async () => {
    const { store, sessions } = open()
    const a = await run(sessions.open(opening))
    const b = await run(sessions.open(opening))
    expect(Buffer.compare(a, b)).to.not.equal(0)
    expect((await run(write(store, sessions, a))).committed).to.equal(true)
  })

  it('keeps a session that renews, and ends one that does not', async () => {
    const { sessions } = open()
    const kept = await run(sessions.open(opening))
    const lost = await run(sessions.open(opening))
    for (let turn = 0; turn < 4; turn++) {
      await clock.advance(SESSION_LEASE_MS / 2)
      await run(sessions.renew(kept))
    }
    expect((await rejection(run(sessions.renew(lost)))).code).to.equal('SessionExpired')
    expect((await rejection(run(sessions.compare(lost)))).code).to.equal('SessionExpired')
  })

  it('refuses the commit of a writer whose session ended after it made its compare', async () => {
    const { store, sessions } = open()
    const session = await run(sessions.open(opening))
    await run(write(store, sessions, session))
    await clock.advance(SESSION_LEASE_MS * 2)
    const result = await run(write(store, sessions, session))
    expect(result.committed).to.equal(false)
    expect(sessions.forget(session).code).to.equal('SessionExpired')
    expect((await rejection(run(write(store, sessions, session)))).code).to.equal('SessionExpired')
  })

  it('removes the row at once when a session closes', async () => {
    const { store, sessions } = open()
    const session = await run(sessions.open(opening))
    await run(sessions.close(session))
    const { results } = await run(store.read([{ kind: 'get', key: sessionKey(session) }]))
    expect(results).to.deep.equal([[]])
    expect((await rejection(run(sessions.close(session)))).code).to.equal('SessionExpired')
  })

  it('renews and closes sessions that another service opened', async () => {
    const { store, sessions } = open()
    const other = new Sessions({ store, clock, random })
    const session = await run(sessions.open(opening))
    await run(other.renew(session))
    await run(other.close(session))
    expect((await rejection(run(sessions.renew(session)))).code).to.equal('SessionExpired')
    expect((await rejection(run(sessions.renew(Buffer.alloc(3) as Uint8Array as SessionId)))).code).to.equal(
      'InvalidArgument',
    )
  })
})
