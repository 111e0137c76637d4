import { expect } from 'chai'
import { createEventLog } from '../../../src/adapters/embedded/event-log.js'
import { bytes, range } from '../../conformance/subject.js'

describe('EventLog', () => {
  const all = range('', '~')
  const event = (revision: number): { revision: number; key: Uint8Array } => ({
    revision,
    key: bytes(`${revision}`),
  })

  it('ends a watcher that falls behind the log with Busy', async () => {
    const log = createEventLog(0, { events: 8, bytes: 1_000 })
    log.append([event(1), event(2)])
    const watcher = log.watch(all, 0, new AbortController().signal)[Symbol.asyncIterator]()
    expect((await watcher.next()).value.revision).to.equal(1)
    for (let revision = 3; revision < 30; revision++) log.append([event(revision)])
    const error = await watcher.next().catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'Busy')
  })

  it('wakes every watcher, each at its own place', async () => {
    const log = createEventLog(0)
    const { signal } = new AbortController()
    const first = log.watch(all, 0, signal)[Symbol.asyncIterator]()
    const second = log.watch(all, 1, signal)[Symbol.asyncIterator]()
    const seen = Promise.all([first.next(), second.next()])
    log.append([event(1)])
    log.append([event(2)])
    expect((await seen).map(({ value }) => value.revision)).to.deep.equal([1, 2])
  })
})
